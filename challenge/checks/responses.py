"""Check responses and noise ceilings: shapes, values, and contradictions between files."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from challenge.ceilings.noise_ceiling import read_ceilings
from challenge.errors import Findings
from challenge.files import check_finite, column_fault, open_responses, row_fault
from challenge.layout import HEMISPHERES, SPLITS, ceiling_file, responses_file
from challenge.rounding import constant_columns
from challenge.subject import Subject

Counts = Mapping[str, int | None]


def check_responses(
    subject: Subject, n_images: Counts, n_vertices: Counts, findings: Findings
) -> None:
    """Read the responses and noise ceilings of a subject, and check every value.

    `n_images` are those of each split to check, `n_vertices` those of each hemisphere; None if the
    number is unknown.
    """
    ceilings = _check_ceilings(subject, n_vertices, findings)
    tests = [responses_file(subject.folder, h, "test") for h in HEMISPHERES]
    for hemisphere in HEMISPHERES:
        for split, count in n_images.items():
            if split == "test" and not any(file.exists() for file in tests):
                continue  # the organisers do not publish them
            file = responses_file(subject.folder, hemisphere, split)
            values = findings.attempt(open_responses, file)
            if values is None:
                continue
            if count is not None:
                findings.add_fault(row_fault(file, values, subject.folder, split, count))
            n = n_vertices[hemisphere]
            if n is not None:
                findings.add_fault(column_fault(file, values, subject.folder, hemisphere, n))
            findings.attempt(check_finite, values, file)
            _check_constant(file, values, split, ceilings[hemisphere], findings)


def _check_ceilings(
    subject: Subject, n_vertices: Counts, findings: Findings
) -> dict[str, np.ndarray | None]:
    """Return the ceilings of the test pictures, by hemisphere."""
    ceilings: dict[str, np.ndarray | None] = {}
    for split in SPLITS:
        files = {h: ceiling_file(subject.folder, h, split) for h in HEMISPHERES}
        existing = [file for file in files.values() if file.is_file()]
        ceilings = dict.fromkeys(HEMISPHERES)
        for hemisphere, file in files.items():
            if file in existing:
                ceilings[hemisphere] = findings.attempt(read_ceilings, file, n_vertices[hemisphere])
            elif existing:
                findings.add_fault(
                    f"{file}: missing, while {existing[0].name} is there; expected the noise "
                    "ceilings of both hemispheres, or none: copy it into place, or remove the other"
                )
    return ceilings


def _check_constant(
    file: Path, values: np.ndarray, split: str, ceilings: np.ndarray | None, findings: Findings
) -> None:
    if len(values) < 2:
        return
    constant = np.flatnonzero(constant_columns(values))
    if split == "test" and ceilings is not None and len(ceilings) == values.shape[1]:
        # Vertices with a ceiling of 0 are left out of scores.
        constant = constant[ceilings[constant] > 0]
        if constant.size:
            findings.add_fault(
                f"{file}: {_vertices_text(constant)} the same response to all pictures and a noise "
                "ceiling above 0, expected responses that vary: no prediction correlates with "
                "them; copy the file again, or write 0 as their ceilings"
            )
    elif constant.size:
        findings.add_remark(
            f"{file}: {_vertices_text(constant)} the same response to all pictures: no model can "
            "learn anything from them, and no prediction correlates with them"
        )


def _vertices_text(columns: np.ndarray) -> str:
    numbers = ", ".join(map(str, columns[:5])) + (", …" if columns.size > 5 else "")
    subject = "1 vertex has" if columns.size == 1 else f"{columns.size} vertices have"
    return f"{subject} (columns {numbers}, counting from 0)"

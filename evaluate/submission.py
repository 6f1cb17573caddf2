"""`python -m evaluate submission`: all fits into one zip, checked before and after writing."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from base import plural, progress, provenance, replacing, say, sha256_files
from cache import digest
from challenge import HEMISPHERES, Subject
from evaluate.caveats import find_started, origin_lines, warning_lines
from evaluate.check import faults, member
from evaluate.completeness import coverage, say_coverage, say_unfinished, unfinished
from evaluate.ensemble import DEFAULT, check_rule, combine, judge
from evaluate.errors import EvaluateError
from evaluate.hemisphere import load_hemisphere
from evaluate.inputs import Inputs, gather
from evaluate.kept import read_kept, write_json

OTHERWISE = (
    "(or leave the run out by naming the others with --fits, make submission FITS=…; to take it as "
    "it is, python -m evaluate submission --allow_incomplete true)"
)


def submission(
    data: Path = Path("data"),
    out: Path = Path("derivatives"),
    subject: str | int = "all",
    roi_classes: list[str] | None = None,
    fits: list[str] | None = None,
    ensemble: str = DEFAULT,
    allow_incomplete: bool = False,
) -> None:
    """Combine all fits into submission.zip, for every subject and vertex.

    One subject alone goes to submission-02.zip and so on, and leaves that of all alone.

    Parameters
    ----------
    data : Path
        The challenge's directory.
    out : Path
        The output folder, which holds `fits`.
    subject : str or int
        "all", as the challenge takes it, or one ("01"), for a zip of that subject alone.
    roi_classes : list of str, optional
        ROI classes that the ensemble is made of; the others only fill in. All by default.
    fits : list of str, optional
        Which fits: by name, or by the beginning of their folder in `OUT/fits`. All by default.
    ensemble : str
        The rule of its weights: average, per_roi, per_vertex or stacked.
    allow_incomplete : bool
        Whether to take runs that lack models of some ROIs; every vertex must have one even so.

    Raises
    ------
    EvaluateError
        If a subject or vertex has no fit, a run lacks models, or the zip does not pass its check.
    """
    # Weights come from all held-out pictures, whether or not test responses are there to see.
    check_rule(ensemble)
    inputs = gather(data, out, subject, fits, roi_classes, split="heldout")
    _check_subjects(inputs, data)
    lacks = unfinished(inputs.subjects, inputs.runs)
    if lacks and not allow_incomplete:
        raise EvaluateError("\n".join([*say_unfinished(lacks), OTHERWISE]))
    settings = {"ensemble": ensemble, "roi_classes": sorted(set(roi_classes or ()))}
    key = digest({"kind": "submission", "schema": 3, "settings": settings, **inputs.key})
    path, sidecar = (out / f"submission{inputs.suffix}.{type_}" for type_ in ("zip", "json"))
    if (kept := read_kept(path, sidecar, key)) is not None:
        say(f"{path}: nothing has changed since it was made, nothing recomputed")
        _report(path, inputs, kept)
        return
    with replacing(path) as temporary:
        filled = _write(temporary, inputs, roi_classes, ensemble)
        if wrong := faults(temporary, inputs.subjects):
            raise EvaluateError("the submission did not pass its check:\n- " + "\n- ".join(wrong))
    about = _describe(inputs) | {
        "key": key,
        "sha256": sha256_files([path])[0],
        "settings": settings,
        "n_filled": filled,
        "unfinished": lacks,
        "provenance": provenance(),
    }
    write_json(sidecar, about)
    _report(path, inputs, about)


def _describe(inputs: Inputs) -> dict[str, Any]:
    return {
        "inputs": inputs.key,
        "runs": {
            run.name: {"label": run.label, "model": run.model, "spaces": run.joined}
            for run in inputs.runs
        },
        "untrained": sorted({space for run in inputs.runs for space in run.untrained}),
        "simulated": [subject.name for subject in inputs.subjects if subject.simulated],
        "leaked": inputs.leaked,
        "started": find_started(inputs.runs),
        "coverage": coverage(inputs.subjects, inputs.runs),
    }


def _check_subjects(inputs: Inputs, data: Path) -> None:
    lacking = [
        f"subject {subject.name} ({', '.join(absent)})"
        for subject in sorted([*inputs.subjects, *inputs.without], key=lambda found: found.name)
        if (absent := [h for h in HEMISPHERES if not _fitted(inputs, subject, h)])
    ]
    if lacking:
        first = lacking[0].split()[1]
        raise EvaluateError(
            f"no fits of {'; '.join(lacking)}, and a submission holds all subjects of {data}: "
            f"run `make fit SUBJECT={first}`, or `make fit SUBJECT=all`"
        )


def _fitted(inputs: Inputs, subject: Subject, hemisphere: str) -> bool:
    return any(
        (model.meta["subject"], model.meta["hemisphere"]) == (subject.name, hemisphere)
        for run in inputs.runs
        for model in run.models
    )


def _write(
    path: Path, inputs: Inputs, roi_classes: Sequence[str] | None, ensemble: str
) -> dict[str, int]:
    filled = {}
    sides = [(subject, name) for subject in inputs.subjects for name in HEMISPHERES]
    with zipfile.ZipFile(path, "w") as opened:
        for subject, name in progress(sides, desc="predicting", unit="hemisphere"):
            predictions, n_filled = _predict(inputs, subject, name, roi_classes, ensemble)
            add_array(opened, member(subject, name), predictions)
            filled[f"{subject.name} {name}"] = n_filled
    return filled


def _predict(
    inputs: Inputs,
    subject: Subject,
    name: str,
    roi_classes: Sequence[str] | None,
    ensemble: str,
) -> tuple[NDArray[np.float32], int]:
    hemisphere = load_hemisphere(subject, name, inputs.runs, inputs.responses[subject.name, name])
    assert hemisphere is not None  # _check_subjects has seen to it
    everything = range(len(hemisphere.models))
    found = combine(hemisphere, "test", judge(hemisphere, rule=ensemble), everything, roi_classes)
    expected = (len(subject.pictures("test")), subject.n_vertices(name))
    predictions = found.predictions
    if predictions.shape != expected or predictions.dtype != np.float32:
        raise EvaluateError(
            f"subject {subject.name} {name}: predictions are {predictions.dtype} of shape "
            f"{predictions.shape}, expected float32 of {expected}: run make fit again"
        )
    if not found.covered.all():
        raise EvaluateError(
            f"subject {subject.name} {name}: no fit covers {int((~found.covered).sum())} of "
            f"{expected[1]} vertices (first: {int(np.argmin(found.covered))}): run `make fit "
            f"SUBJECT={subject.name}` to the end, for all ROI classes"
        )
    if not np.isfinite(predictions).all():
        raise EvaluateError(
            f"subject {subject.name} {name}: the combined predictions overflow float32: "
            "run make fit again"
        )
    return predictions, found.n_filled


def add_array(opened: zipfile.ZipFile, name: str, array: NDArray[Any]) -> None:
    """Add an array to a zip as .npy, deflated, the same bytes whenever it is done.

    Parameters
    ----------
    opened : ZipFile
        Open for writing.
    name : str
        The member.
    array : array
        Any plain array.
    """
    # A fixed time and system: equal predictions give equal bytes, on any day and machine.
    entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    entry.create_system = 3
    entry.external_attr = 0o644 << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    with opened.open(entry, "w") as stream:
        np.lib.format.write_array(
            stream, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False
        )


def _report(path: Path, inputs: Inputs, about: dict[str, Any]) -> None:
    if filled := sum(about["n_filled"].values()):
        say(f"{plural(filled, 'vertex')} in none of the chosen ROI classes, filled from the others")
    if inputs.suffix:
        alone = f"subject {inputs.subjects[0].name} alone"
        say(f"holds {alone}: the challenge takes all subjects in one zip")
    for line in warning_lines(about | {"split": "test"}):
        say(f"WARNING: {line}")
    if uneven := say_coverage(about["coverage"], "submission"):
        say("\n".join(["the ensemble is of fewer fits for some subjects:", *uneven]))
    for line in origin_lines(about):
        say(line)
    runs = ", ".join(run.name for run in inputs.runs)
    say(f"-> {path}: {plural(len(inputs.subjects), 'subject')} from {runs}, "
        f"{path.stat().st_size / 1e6:.1f} MB, checked")  # fmt: skip

"""Inputs of the commands of this stage: subjects, fits, and digests by which changes are seen."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

from base import choose_from, content_digests, run_hint, say
from cache import digest
from challenge import (
    HEMISPHERES,
    ROI_CLASSES,
    Subject,
    SubjectChoice,
    chooses_all,
    find_subjects,
    response_digests,
)
from challenge.dataset import check_training_data, check_values, print_missing_classes
from challenge.layout import responses_file
from evaluate.errors import EvaluateError
from evaluate.fits.caveats import Caveats, find_leaked, find_started
from evaluate.fits.completeness import find_unfinished
from evaluate.fits.run_labels import ENSEMBLE
from evaluate.fits.runs import Run, find_runs

SPLITS = ("auto", "test", "heldout")
# The folder of the output folder where `python -m evaluate ceilings` writes.
CEILINGS = "ceilings"


@dataclass(frozen=True)
class Inputs:
    """Subjects and fits, and digests of the contents of their files."""

    out: Path  # the output folder
    subjects: tuple[Subject, ...]  # those with fits
    unfitted: tuple[Subject, ...]
    runs: tuple[Run, ...]
    split: str  # the scored split, "test" or "heldout"
    suffix: str  # of the names of output files: "-02" or "-01+02" where only some are asked for
    responses: dict[tuple[str, str], str]  # by subject and hemisphere, sha256, training split
    absent: dict[str, list[str]]  # missing files: `ceilings` of the scored split, `test_responses`
    data: dict[str, dict[str, str | None]]  # digests of the data of each subject

    @property
    def pooled(self) -> str:
        """The name of the prediction from all fits: "ensemble", or the only fit's folder."""
        return ENSEMBLE if len(self.runs) > 1 else self.runs[0].name

    @cached_property
    def key(self) -> dict[str, Any]:
        """Digests of everything that the scores depend on, as JSON."""
        # Of the contents of the fits: a file that was replaced may have any time, and any record.
        paths = [model.path for run in self.runs for model in run.models]
        names = [str(path.relative_to(self.out)) for path in paths]
        fits = dict(zip(names, content_digests(paths), strict=True))
        return {"fits": fits, "data": self.data, "scored": self.split}

    @cached_property
    def n_pictures(self) -> dict[str, int]:
        """The number of scored pictures of each subject."""
        if self.split == "test":
            return {subject.name: len(subject.pictures("test")) for subject in self.subjects}
        last = {m.meta["subject"]: m for run in self.runs for m in run.models}
        rows = {s.name: last[s.name].read("heldout_rows")["heldout_rows"] for s in self.subjects}
        return {name: len(subject_rows) for name, subject_rows in rows.items()}

    @cached_property
    def caveats(self) -> Caveats:
        """What must be said with scores of these fits."""
        return Caveats(
            split=self.split,
            n_pictures=self.n_pictures,
            leaked=find_leaked(self.subjects),
            started=find_started(self.runs),
            unfinished=find_unfinished(self.subjects, self.runs),
            simulated=[subject.name for subject in self.subjects if subject.simulated],
            untrained={run.name: sorted(run.untrained) for run in self.runs},
            made_ceilings=made_ceilings(self.subjects, ceiling_split(self.split)),
        )

    def vertices_digest(self, run: str, subject: str) -> str:
        """Digest the fits and data of which the vertices of a run (or "ensemble") are scores."""
        runs = [fit for fit in self.runs if run in (fit.name, ENSEMBLE)]
        paths = [model.path.relative_to(self.out) for r in runs for model in r.models_of(subject)]
        contents = {str(path): self.key["fits"][str(path)] for path in paths}
        return digest({"fits": contents, "data": self.data[subject], "scored": self.split})


def gather(
    data: Path,
    out: Path,
    subject: SubjectChoice = "all",
    fits: Sequence[str] | None = None,
    roi_classes: Sequence[str] | None = None,
    split: str = "auto",
) -> Inputs:
    """Find the subjects and fits that a command's arguments name, check them and digest them."""
    all_classes = (*ROI_CLASSES, "residual")
    if unknown := [name for name in roi_classes or () if name not in all_classes]:
        raise EvaluateError(
            f"unknown ROI class {', '.join(unknown)}: {choose_from(unknown[0], all_classes)}"
        )
    if split not in SPLITS:
        raise EvaluateError(f"unknown split {split!r}: {choose_from(split, SPLITS)}")
    subjects = [replace(s, ceilings=out / CEILINGS) for s in find_subjects(data, subject)]
    names = [s.name for s in subjects]
    runs = find_runs(out, fits, names)
    with_fits = {name for run in runs for name in run.subjects}
    fitted_subjects = tuple(s for s in subjects if s.name in with_fits)
    check_training_data(fitted_subjects)
    missing_responses = _missing_files(
        fitted_subjects, lambda s, h: responses_file(s.folder, h, "test")
    )
    scored_split = _choose_split(split, missing_responses, fitted_subjects)
    missing_ceilings = _missing_files(
        fitted_subjects, lambda s, h: s.ceiling_file(h, ceiling_split(scored_split))
    )
    responses = response_digests(fitted_subjects)
    # The test split is only scored where every subject has test responses.
    test_responses = response_digests(fitted_subjects, "test") if scored_split == "test" else {}
    digests = {
        s.name: _digests(s, scored_split, responses, test_responses) for s in fitted_subjects
    }
    return Inputs(
        out=out,
        subjects=fitted_subjects,
        unfitted=tuple(s for s in subjects if s.name not in with_fits),
        runs=tuple(runs),
        split=scored_split,
        suffix="" if chooses_all(subject) else f"-{'+'.join(names)}",
        responses=responses,
        absent={"ceilings": missing_ceilings, "test_responses": missing_responses},
        data=digests,
    )


def report_missing(inputs: Inputs) -> None:
    """Print which subjects have no fits, and which are scored against computed ceilings."""
    for subject in inputs.unfitted:
        command = run_hint("fit", subject=subject.name)
        say(f"subject {subject.name} has no fits, left out ({command})")
    report_made_ceilings(inputs.subjects, ceiling_split(inputs.split))
    print_missing_classes(inputs.subjects)


def report_made_ceilings(subjects: Sequence[Subject], split: str) -> None:
    """Print the subjects whose noise ceilings were made by `python -m evaluate ceilings`."""
    if names := made_ceilings(subjects, split):
        folder = next(subject.ceilings for subject in subjects if subject.name == names[0])
        say(f"noise ceilings of subjects {', '.join(names)} are those in {folder}")


def made_ceilings(subjects: Sequence[Subject], split: str) -> list[str]:
    """List the subjects whose noise ceilings were computed, and did not come with the data."""
    return [
        s.name
        for s in subjects
        if s.ceilings is not None and s.ceiling_file("lh", split).is_relative_to(s.ceilings)
    ]


def _choose_split(split: str, missing_responses: Sequence[str], subjects: Sequence[Subject]) -> str:
    """Return "test" or "heldout"; raise if "test" is asked for and responses are missing."""
    if split == "heldout" or (split == "auto" and missing_responses):
        return "heldout"
    if missing_responses:
        rest = f" and {len(missing_responses) - 1} more" if len(missing_responses) > 1 else ""
        raise EvaluateError(
            f"no test responses in {subjects[0].folder.parent}: {missing_responses[0]}{rest} "
            "missing (the organisers keep them): use --split heldout "
            f"({run_hint('evaluate', split='heldout')})"
        )
    check_values(subjects, "test")
    return "test"


def ceiling_split(split: str) -> str:
    """Return the split whose ceilings apply: held-out pictures are of the training split."""
    return "test" if split == "test" else "train"


def _missing_files(
    subjects: Sequence[Subject], path_of: Callable[[Subject, str], Path]
) -> list[str]:
    """List the missing ones of the files that `path_of` names for each hemisphere."""
    files = [path_of(subject, h) for subject, h in product(subjects, HEMISPHERES)]
    return [str(file.relative_to(file.parents[3])) for file in files if not file.is_file()]


def _digests(
    subject: Subject,
    split: str,
    responses: dict[tuple[str, str], str],
    test_responses: dict[tuple[str, str], str],
) -> dict[str, str | None]:
    """Digest the pictures, masks, responses and noise ceilings of a subject."""
    digests: dict[str, str | None] = {
        f"{picture_split}_pictures": digest({"pictures": subject.picture_digests(picture_split)})
        for picture_split in ("train", "test")
    }
    digests["masks"] = digest(subject.mask_digests())
    for name in HEMISPHERES:
        digests[f"{name}_responses"] = responses[subject.name, name]
        if (subject.name, name) in test_responses:
            digests[f"{name}_test_responses"] = test_responses[subject.name, name]
        ceiling = subject.noise_ceiling(name, ceiling_split(split))
        digests[f"{name}_noise_ceiling"] = (
            None if ceiling is None else hashlib.sha256(ceiling.tobytes()).hexdigest()
        )
    return digests

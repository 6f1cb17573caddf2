"""What a command of this stage works on: subjects, fits, and digests that tell if they changed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

from base import choose_from, run_hint, say
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
from challenge.inputs import check_training_data, check_values, print_missing_classes
from challenge.layout import responses_file
from evaluate.errors import EvaluateError
from evaluate.fits.caveats import Leaked, find_leaked
from evaluate.fits.runs import ENSEMBLE, Run, find_runs

SPLITS = ("auto", "test", "heldout")
CEILINGS = "ceilings"
"""The folder of the output folder where `python -m evaluate ceilings` writes."""


@dataclass(frozen=True)
class Inputs:
    """Subjects and fits, and what identifies them.

    Attributes
    ----------
    subjects : tuple of Subject
        Those that have fits.
    without : tuple of Subject
        Those that have none.
    runs : tuple of Run
        The fits.
    split : str
        "test" or "heldout": what is scored.
    suffix : str
        What the files' names end in: "-02" or "-01+02" for some subjects, so that they
        replace no file of all.
    responses : dict of (str, str) to str
        For each subject and hemisphere, the sha256 of the training responses.
    absent : dict of str to list of str
        Files that are not there: `ceilings`, for what is scored, and `test_responses`.
    key : dict
        Digests of all that goes into the numbers, in JSON.
    """

    subjects: tuple[Subject, ...]
    without: tuple[Subject, ...]
    runs: tuple[Run, ...]
    split: str
    suffix: str
    responses: dict[tuple[str, str], str]
    absent: dict[str, list[str]]
    key: dict[str, Any]

    @property
    def pooled(self) -> str:
        """What predicts every vertex from all fits: "ensemble", or the only fit's folder."""
        return ENSEMBLE if len(self.runs) > 1 else self.runs[0].name

    @cached_property
    def leaked(self) -> Leaked:
        """Test pictures that are training pictures too, by subject."""
        return find_leaked(self.subjects)

    @cached_property
    def n_pictures(self) -> dict[str, int]:
        """For each subject, the number of pictures that are scored."""
        if self.split == "test":
            return {subject.name: len(subject.pictures("test")) for subject in self.subjects}
        first = {m.meta["subject"]: m for run in self.runs for m in run.models}
        return {
            subject.name: len(first[subject.name].read("heldout_rows")["heldout_rows"])
            for subject in self.subjects
        }


def gather(
    data: Path,
    out: Path,
    subject: SubjectChoice = "all",
    fits: Sequence[str] | None = None,
    roi_classes: Sequence[str] | None = None,
    split: str = "auto",
) -> Inputs:
    """Find subjects and fits, and digest them."""
    known = (*ROI_CLASSES, "residual")
    if wrong := [name for name in roi_classes or () if name not in known]:
        raise EvaluateError(f"unknown ROI class {', '.join(wrong)}: {choose_from(wrong[0], known)}")
    if split not in SPLITS:
        raise EvaluateError(f"unknown split {split!r}: {choose_from(split, SPLITS)}")
    subjects = [replace(s, ceilings=out / CEILINGS) for s in find_subjects(data, subject)]
    runs = find_runs(out, fits, [found.name for found in subjects])
    fitted = {name for run in runs for name in run.subjects}
    chosen = tuple(found for found in subjects if found.name in fitted)
    check_training_data(chosen)
    closed = _absent(chosen, lambda s, h: responses_file(s.folder, h, "test"))
    what = _settle(split, closed, chosen)
    responses = response_digests(chosen)
    # To be scored on test pictures, every subject has responses to them.
    tests = response_digests(chosen, "test") if what == "test" else {}
    return Inputs(
        subjects=chosen,
        without=tuple(found for found in subjects if found.name not in fitted),
        runs=tuple(runs),
        split=what,
        suffix="" if chooses_all(subject) else f"-{'+'.join(one.name for one in subjects)}",
        responses=responses,
        absent={
            "ceilings": _absent(chosen, lambda s, h: s.ceiling_file(h, ceilings_of(what))),
            "test_responses": closed,
        },
        key={
            "fits": {str(m.path.relative_to(out)): digest(m.meta) for r in runs for m in r.models},
            "data": {s.name: _digests(s, what, responses, tests) for s in chosen},
            "scored": what,
        },
    )


def report_missing(inputs: Inputs) -> None:
    """Say which subjects have no fits, and which are scored against ceilings that were made."""
    for subject in inputs.without:
        command = run_hint("fit", subject=subject.name)
        say(f"subject {subject.name} has no fits, left out ({command})")
    say_made_ceilings(inputs.subjects, ceilings_of(inputs.split))
    print_missing_classes(inputs.subjects)


def say_made_ceilings(subjects: Sequence[Subject], split: str) -> None:
    """Say which subjects' noise ceilings were made by `python -m evaluate ceilings`."""
    made = made_ceilings(subjects, split)
    if made:
        folder = next(subject.ceilings for subject in subjects if subject.name == made[0])
        say(f"noise ceilings of subjects {', '.join(made)} are those in {folder}")


def made_ceilings(subjects: Sequence[Subject], split: str) -> list[str]:
    """Name the subjects whose noise ceilings were made, and did not come with the data."""
    return [
        subject.name
        for subject in subjects
        if subject.ceilings is not None
        and subject.ceiling_file("lh", split).is_relative_to(subject.ceilings)
    ]


def _settle(split: str, closed: Sequence[str], subjects: Sequence[Subject]) -> str:
    """Choose between "test" and "heldout", and refuse test responses that cannot be scored."""
    if split == "heldout" or (split == "auto" and closed):
        return "heldout"
    if closed:
        more = f" and {len(closed) - 1} more" if len(closed) > 1 else ""
        raise EvaluateError(
            f"no test responses in {subjects[0].folder.parent}: {closed[0]}{more} missing (the "
            f"organisers keep them): use --split heldout ({run_hint('evaluate', split='heldout')})"
        )
    check_values(subjects, "test")
    return "test"


def ceilings_of(split: str) -> str:
    """Say which ceilings the pictures that are scored have: held-out ones were for training."""
    return "test" if split == "test" else "train"


def _absent(subjects: Sequence[Subject], named: Callable[[Subject, str], Path]) -> list[str]:
    files = [named(subject, h) for subject, h in product(subjects, HEMISPHERES)]
    return [str(file.relative_to(file.parents[3])) for file in files if not file.is_file()]


def _digests(
    subject: Subject,
    split: str,
    responses: dict[tuple[str, str], str],
    tests: dict[tuple[str, str], str],
) -> dict[str, str | None]:
    found: dict[str, str | None] = {
        f"{of}_pictures": digest({"pictures": subject.picture_digests(of)})
        for of in ("train", "test")
    }
    found["masks"] = digest(subject.mask_digests())
    for name in HEMISPHERES:
        found[f"{name}_responses"] = responses[subject.name, name]
        if (subject.name, name) in tests:
            found[f"{name}_test_responses"] = tests[subject.name, name]
        ceiling = subject.noise_ceiling(name, ceilings_of(split))
        found[f"{name}_noise_ceiling"] = (
            None if ceiling is None else hashlib.sha256(ceiling.tobytes()).hexdigest()
        )
    return found

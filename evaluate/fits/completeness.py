"""Runs that lack ROI models, and runs that not all subjects have."""

import textwrap
from collections.abc import Sequence
from itertools import product
from typing import TypedDict

from base import run_hint
from challenge import HEMISPHERES, Subject
from evaluate.fits.runs import Run

WIDTH = 100


# A run that has models of some ROIs of a subject, but not of all: it `lacks` models `of` ROIs.
Unfinished = TypedDict(  # noqa: UP013
    "Unfinished",
    {"run": str, "model": str, "spaces": list[str], "subject": str, "lacks": int, "of": int},
)
# Names of the runs that all subjects have, and of those that each subject lacks.
Coverage = TypedDict("Coverage", {"shared": list[str], "lacking": dict[str, list[str]]})  # noqa: UP013


def find_unfinished(subjects: Sequence[Subject], runs: Sequence[Run]) -> list[Unfinished]:
    """Find the runs that have models of some ROIs of a subject, but not of all."""
    entries: list[Unfinished] = []
    for subject in subjects:
        expected = {(h, roi.roi_class, roi.name) for h in HEMISPHERES for roi in subject.regions(h)}
        for run in runs:
            models = run.models_of(subject.name)
            existing = {(model.meta["hemisphere"], *model.roi_key) for model in models}
            if existing and (lacks := expected - existing):
                entries.append(
                    {"run": run.name, "model": run.model, "spaces": [*run.spaces],
                     "subject": subject.name, "lacks": len(lacks), "of": len(expected)}
                )  # fmt: skip
    return entries


def unfinished_lines(entries: Sequence[Unfinished]) -> list[str]:
    """Return a sentence for each entry of `find_unfinished`."""
    lines = []
    for entry in entries:
        again = run_hint(
            "fit", subject=entry["subject"], model=entry["model"], spaces=entry["spaces"]
        )
        lacks = f"lacks {entry['lacks']} of {entry['of']} models"
        lines.append(f"run {entry['run']} of subject {entry['subject']} {lacks}: run {again} again")
    return lines


def coverage(subjects: Sequence[Subject], runs: Sequence[Run]) -> Coverage:
    """List the runs that all subjects have, and those that some subjects lack."""
    missing: dict[str, list[str]] = {}
    for subject, run in product(subjects, runs):
        if subject.name not in run.subjects:
            missing.setdefault(subject.name, []).append(run.name)
    absent = {name for names in missing.values() for name in names}
    return {"shared": [run.name for run in runs if run.name not in absent], "lacking": missing}


def coverage_lines(run_coverage: Coverage, target: str) -> list[str]:
    """Return lines on the runs that each subject lacks and how to leave them out; may be empty."""
    lines = [
        line
        for subject, names in run_coverage["lacking"].items()
        for line in wrap(f"  subject {subject} lacks {', '.join(names)}")
    ]
    if not lines:
        return []
    if run_coverage["shared"]:
        lines.append("  to take only those that all subjects have (--fits):")
        return [*lines, f"  {run_hint(target, fits=run_coverage['shared'])}"]
    return [*lines, f"  no run is of all subjects: {run_hint('fit')}"]


def wrap(line: str) -> list[str]:
    """Break a line at 100 characters and indent all parts but the first by four."""
    return textwrap.wrap(
        line, WIDTH, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
    )

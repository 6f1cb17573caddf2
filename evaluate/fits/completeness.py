"""Whether runs went to their end, and whether all subjects have the same runs."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from base import run_hint
from challenge import HEMISPHERES, Subject
from evaluate.fits.runs import Run

WIDTH = 100


def unfinished(subjects: Sequence[Subject], runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Compare each run's models with the ROIs of the masks.

    Parameters
    ----------
    runs : sequence of Run
        The runs. One that has no model of a subject at all is not unfinished there.

    Returns
    -------
    list of dict
        For each that lacks any: its name `run`, its `model` and `spaces`, the `subject`, how many
        models it `lacks` and how many there should be, `of`.
    """
    found = []
    for subject in subjects:
        expected = {(h, roi.roi_class, roi.name) for h in HEMISPHERES for roi in subject.regions(h)}
        for run in runs:
            models = [model for model in run.models if model.meta["subject"] == subject.name]
            there = {(model.meta["hemisphere"], model.roi_class, model.roi) for model in models}
            if there and (lacks := expected - there):
                counts = {"lacks": len(lacks), "of": len(expected)}
                about = {
                    "run": run.name,
                    "model": run.models[0].meta["model"],
                    "spaces": [*run.spaces],
                }
                found.append({**about, "subject": subject.name, **counts})
    return found


def say_unfinished(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """Put into words what `unfinished` found."""
    lines = []
    for one in found:
        same = {name: one.get(name) for name in ("subject", "model", "spaces")}
        lacks = f"lacks {one['lacks']} of {one['of']} models"
        again = run_hint("fit", **same)
        lines.append(f"run {one['run']} of subject {one['subject']} {lacks}: run {again} again")
    return lines


def coverage(subjects: Sequence[Subject], runs: Sequence[Run]) -> dict[str, Any]:
    """Tell which runs the subjects have in common, and which some of them lack.

    Returns
    -------
    dict
        `shared`, the names of the runs that all subjects have, and `lacking`, for each subject
        that lacks any, their names.
    """
    of = {run.name: run.subjects for run in runs}
    lacking = {
        subject.name: [name for name, whose in of.items() if subject.name not in whose]
        for subject in subjects
    }
    return {
        "shared": [name for name in of if not any(name in names for names in lacking.values())],
        "lacking": {subject: names for subject, names in lacking.items() if names},
    }


def say_coverage(found: Mapping[str, Any], target: str) -> list[str]:
    """Put into words what `coverage` found.

    Returns
    -------
    list of str
        Lines that say what each subject lacks and what to do; none where nothing is lacking.
    """
    if not found["lacking"]:
        return []
    lines = [
        line
        for subject, names in found["lacking"].items()
        for line in wrap(f"  subject {subject} lacks {', '.join(names)}")
    ]
    if found["shared"]:
        lines.append("  to take only those that all subjects have (--fits):")
        return [*lines, f"  {run_hint(target, fits=found['shared'])}"]
    return [*lines, f"  no run is of all subjects: {run_hint('fit')}"]


def wrap(line: str) -> list[str]:
    """Break a line at 100 characters.

    Returns
    -------
    list of str
        It, or its parts, those after the first indented by four.
    """
    return textwrap.wrap(
        line, WIDTH, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
    )

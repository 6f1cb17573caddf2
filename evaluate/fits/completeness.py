"""Whether runs went to their end, and whether all subjects have the same runs."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from base import run_hint
from challenge import HEMISPHERES, Subject
from evaluate.fits.runs import Run

WIDTH = 100


def find_unfinished(subjects: Sequence[Subject], runs: Sequence[Run]) -> list[dict[str, Any]]:
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
    entries = []
    for subject in subjects:
        expected = {(h, roi.roi_class, roi.name) for h in HEMISPHERES for roi in subject.regions(h)}
        for run in runs:
            models = [model for model in run.models if model.meta["subject"] == subject.name]
            existing = {(model.meta["hemisphere"], model.roi_class, model.roi) for model in models}
            if existing and (lacks := expected - existing):
                counts = {"lacks": len(lacks), "of": len(expected)}
                about = {
                    "run": run.name,
                    "model": run.models[0].meta["model"],
                    "spaces": [*run.spaces],
                }
                entries.append({**about, "subject": subject.name, **counts})
    return entries


def unfinished_lines(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """Put into words what `unfinished` found."""
    lines = []
    for entry in entries:
        same = {name: entry.get(name) for name in ("subject", "model", "spaces")}
        lacks = f"lacks {entry['lacks']} of {entry['of']} models"
        again = run_hint("fit", **same)
        lines.append(f"run {entry['run']} of subject {entry['subject']} {lacks}: run {again} again")
    return lines


def coverage(subjects: Sequence[Subject], runs: Sequence[Run]) -> dict[str, Any]:
    """Tell which runs the subjects have in common, and which some of them lack.

    Returns
    -------
    dict
        `shared`, the names of the runs that all subjects have, and `lacking`, for each subject
        that lacks any, their names.
    """
    subjects_by_run = {run.name: run.subjects for run in runs}
    missing = {
        subject.name: [
            name
            for name, fitted_subjects in subjects_by_run.items()
            if subject.name not in fitted_subjects
        ]
        for subject in subjects
    }
    return {
        "shared": [
            name for name in subjects_by_run if not any(name in names for names in missing.values())
        ],
        "lacking": {subject: names for subject, names in missing.items() if names},
    }


def coverage_lines(run_coverage: Mapping[str, Any], target: str) -> list[str]:
    """Put into words what `coverage` found.

    Returns
    -------
    list of str
        Lines that say what each subject lacks and what to do; none where nothing is lacking.
    """
    if not run_coverage["lacking"]:
        return []
    lines = [
        line
        for subject, names in run_coverage["lacking"].items()
        for line in wrap(f"  subject {subject} lacks {', '.join(names)}")
    ]
    if run_coverage["shared"]:
        lines.append("  to take only those that all subjects have (--fits):")
        return [*lines, f"  {run_hint(target, fits=run_coverage['shared'])}"]
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

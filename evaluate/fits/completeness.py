"""Runs that lack ROI models, and runs that not all subjects have."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from base import run_hint
from challenge import HEMISPHERES, Subject
from evaluate.fits.runs import Run

WIDTH = 100


def find_unfinished(subjects: Sequence[Subject], runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Find the runs that have models of some ROIs of a subject, but not of all.

    Returns
    -------
    list of dict
        For each such run and subject: the name of the `run`, its `model` and `spaces`, the
        `subject`, how many models it `lacks` and how many ROIs there are, `of`.
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
    """Return a sentence for each entry of `find_unfinished`."""
    lines = []
    for entry in entries:
        same = {name: entry.get(name) for name in ("subject", "model", "spaces")}
        lacks = f"lacks {entry['lacks']} of {entry['of']} models"
        again = run_hint("fit", **same)
        lines.append(f"run {entry['run']} of subject {entry['subject']} {lacks}: run {again} again")
    return lines


def coverage(subjects: Sequence[Subject], runs: Sequence[Run]) -> dict[str, Any]:
    """List the runs that all subjects have, and those that some subjects lack.

    Returns
    -------
    dict
        `shared`, the names of the runs that all subjects have, and `lacking`, for each subject
        that lacks any, their names.
    """
    missing = {
        subject.name: [run.name for run in runs if subject.name not in run.subjects]
        for subject in subjects
    }
    absent = {name for names in missing.values() for name in names}
    return {
        "shared": [run.name for run in runs if run.name not in absent],
        "lacking": {subject: names for subject, names in missing.items() if names},
    }


def coverage_lines(run_coverage: Mapping[str, Any], target: str) -> list[str]:
    """Return lines on the runs that each subject lacks and how to leave them out; may be empty."""
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
    """Break a line at 100 characters and indent all parts but the first by four."""
    return textwrap.wrap(
        line, WIDTH, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
    )

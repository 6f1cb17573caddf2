"""Warnings about scores: leaked test pictures, unfinished fits, simulated data. Shown with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from base import plural
from challenge import Subject, test_pictures_in_training
from evaluate.fits.completeness import unfinished_lines
from evaluate.fits.runs import Run

# For each subject, the number of test pictures and the file names of those in the training split.
Leaked = dict[str, dict[str, Any]]


def find_leaked(subjects: Sequence[Subject]) -> Leaked:
    """Find the test pictures that are training pictures too.

    Returns
    -------
    dict of str to dict
        For each subject that has any: `n_pictures`, its number of test pictures, and `pairs` of
        file names, in the test and in the training split.
    """
    duplicates = {
        subject.name: (subject, test_pictures_in_training(subject)) for subject in subjects
    }
    return {
        name: {
            "n_pictures": len(subject.pictures("test")),
            "pairs": [[test.name, training.name] for test, training in pairs],
        }
        for name, (subject, pairs) in duplicates.items()
        if pairs
    }


def find_started(runs: Sequence[Run]) -> dict[str, dict[str, int]]:
    """Count, by label and subject, test pictures in the training of the fit a fit started from."""
    counts: dict[str, dict[str, int]] = {}
    for run in runs:
        for model in run.models:
            if count := model.meta.get("training", {}).get("start_tested", 0):
                counts.setdefault(run.label, {})[str(model.meta["subject"])] = int(count)
    return counts


def leak_lines(leaked: Mapping[str, Mapping[str, Any]], split: str = "test") -> list[str]:
    """Return a sentence for each subject with test pictures that are training pictures."""
    return [
        f"{len(leak['pairs'])} of {plural(leak['n_pictures'], 'test picture')} of subject {name} "
        "are training pictures too, which a model has learned: their scores are no predictions "
        f"(such as {' = '.join(leak['pairs'][0])}; make check lists all)"
        for name, leak in leaked.items()
        if split == "test"
    ]


def warning_lines(sidecar: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each reason to distrust scores.

    They come from `split`, `leaked`, `started` and `unfinished` of the JSON next to the scores.
    """
    return [
        *leak_lines(sidecar["leaked"], sidecar["split"]),
        *(
            f"{label} began from a fit that was trained on "
            f"{plural(count, 'test picture')} of subject {name}: its scores on them are inflated"
            for label, counts in sidecar["started"].items()
            for name, count in counts.items()
            if sidecar["split"] == "test"
        ),
        *unfinished_lines(sidecar["unfinished"]),
    ]


def origin_lines(sidecar: Mapping[str, Any]) -> list[str]:
    """Return a sentence each for simulated responses, untrained networks and computed ceilings.

    They come from `simulated`, `untrained` (a list of spaces, or a list for each fit) and, if it is
    there, `made_ceilings` of the JSON next to the scores.
    """
    lines = []
    if names := sidecar.get("made_ceilings"):
        lines.append(f"ceilings made by `evaluate ceilings`, subjects: {', '.join(names)}")
    if sidecar["simulated"]:
        lines.append(f"the responses are SIMULATED, subjects: {', '.join(sidecar['simulated'])}")
    untrained = sidecar["untrained"]
    if isinstance(untrained, Mapping):
        untrained = sorted({space for spaces in untrained.values() for space in spaces})
    if untrained:
        lines.append(f"UNTRAINED networks, random weights: {', '.join(untrained)}")
    return lines


def pictures_line(n_pictures: Mapping[str, int], split: str) -> str:
    """Return, for example, "on 159 to 395 test pictures of each subject: 01, 02"."""
    low, high = min(n_pictures.values()), max(n_pictures.values())
    noun = {"test": "test picture", "heldout": "held-out training picture"}[split]
    counted = plural(high, noun) if low == high else f"{low} to {plural(high, noun)}"
    several = "each subject: " if len(n_pictures) > 1 else "subject "
    return f"on {counted} of {several}{', '.join(n_pictures)}"

"""What the training of a model took: weights, epochs, seconds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from evaluate.fits.runs import RoiModel


def sum_training(models: Sequence[RoiModel]) -> dict[str, Any]:
    """Sum up what the training of some ROI models took.

    Returns
    -------
    dict
        `parameters`, of all groups, with those that belong to all vertices of a training;
        `seconds_per_epoch`, of one pass over all; `epochs`, the median of the groups', with
        `epochs_low` and `epochs_high`. What is not known is left out: fits of earlier revisions do
        not tell, and models that are solved have no epochs.
    """
    records = [(m.meta["training"], m.meta["group"]) for m in models if m.meta.get("training")]
    if len(records) < len(models):
        return {}
    # Several ROIs may be of one group, and several groups, and subjects, of one training.
    groups: dict[tuple[str, ...], tuple[int, int | None]] = {}
    shared: dict[tuple[str, ...], int] = {}
    seconds: dict[str, float] = {}
    for record, group in records:
        groups[*record["seconds_per_epoch"], group] = record["parameters"], record["epochs"]
        shared[*record["seconds_per_epoch"],] = record.get("shared_parameters", 0)
        seconds |= record["seconds_per_epoch"]
    epochs = [n for _, n in groups.values() if n is not None]
    group_parameters = sum(n for n, _ in groups.values())
    summary: dict[str, Any] = {"parameters": group_parameters + sum(shared.values())}
    if epochs:
        summary["seconds_per_epoch"] = sum(seconds.values())
        summary["epochs"] = float(np.median(epochs))
        summary |= {"epochs_low": min(epochs), "epochs_high": max(epochs)}
    return summary


def pool_seeds(summaries: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Sum up what the trainings of several seeds took, one beside the other.

    Returns
    -------
    dict
        The same fields: means of the seconds, the median of the epochs, the ends of all.
    """
    if not all("epochs" in summary for summary in summaries):
        return summaries[0]
    epochs = [summary["epochs"] for summary in summaries]
    return {
        "parameters": summaries[0]["parameters"],
        "seconds_per_epoch": float(
            np.mean([summary["seconds_per_epoch"] for summary in summaries])
        ),
        "epochs": float(np.median(epochs)),
        "epochs_low": min(summary["epochs_low"] for summary in summaries),
        "epochs_high": max(summary["epochs_high"] for summary in summaries),
    }

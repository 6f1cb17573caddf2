"""What the training of a model took: weights, epochs, seconds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from evaluate.fits.runs import RoiModel


def training(models: Sequence[RoiModel]) -> dict[str, Any]:
    """Sum up what the training of some ROI models took.

    Returns
    -------
    dict
        `parameters`, of all groups, with those that belong to all vertices of a training;
        `seconds_per_epoch`, of one pass over all; `epochs`, the median of the groups', with
        `epochs_low` and `epochs_high`. What is not known is left out: fits of earlier revisions do
        not tell, and models that are solved have no epochs.
    """
    told = [(m.meta["training"], m.meta["group"]) for m in models if m.meta.get("training")]
    if len(told) < len(models):
        return {}
    # Several ROIs may be of one group, and several groups, and subjects, of one training.
    groups: dict[tuple[str, ...], tuple[int, int | None]] = {}
    shared: dict[tuple[str, ...], int] = {}
    seconds: dict[str, float] = {}
    for one, group in told:
        groups[*one["seconds_per_epoch"], group] = one["parameters"], one["epochs"]
        shared[*one["seconds_per_epoch"],] = one.get("shared_parameters", 0)
        seconds |= one["seconds_per_epoch"]
    epochs = [n for _, n in groups.values() if n is not None]
    own = sum(n for n, _ in groups.values())
    found: dict[str, Any] = {"parameters": own + sum(shared.values())}
    if epochs:
        found["seconds_per_epoch"] = sum(seconds.values())
        found["epochs"] = float(np.median(epochs))
        found |= {"epochs_low": min(epochs), "epochs_high": max(epochs)}
    return found


def over_seeds(each: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Sum up what the trainings of several seeds took, one beside the other.

    Returns
    -------
    dict
        The same fields: means of the seconds, the median of the epochs, the ends of all.
    """
    if not all("epochs" in one for one in each):
        return each[0]
    epochs = [one["epochs"] for one in each]
    return {
        "parameters": each[0]["parameters"],
        "seconds_per_epoch": float(np.mean([one["seconds_per_epoch"] for one in each])),
        "epochs": float(np.median(epochs)),
        "epochs_low": min(one["epochs_low"] for one in each),
        "epochs_high": max(one["epochs_high"] for one in each),
    }

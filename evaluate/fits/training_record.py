"""Parameters, epochs and seconds of the training of models."""

from collections.abc import Sequence
from typing import TypedDict

import numpy as np

from evaluate.fits.runs import RoiModel


class TrainingSummary(TypedDict, total=False):
    """Size and duration of a run's training; what is solved has no epochs."""

    parameters: int  # of all groups, and those that all vertices of a training share
    seconds_per_epoch: float  # summed over trainings
    epochs: float  # median over groups
    epochs_low: int
    epochs_high: int


def sum_training(models: Sequence[RoiModel]) -> TrainingSummary:
    """Sum over the ROI models of a run; empty if a model has no record of its training."""
    records = [(m.meta["training"], m.meta["group"]) for m in models if m.meta.get("training")]
    if len(records) < len(models):
        return {}
    # Several ROIs may share a group, and several groups and subjects a training.
    groups: dict[tuple[str, ...], tuple[int, int | None]] = {}
    shared: dict[tuple[str, ...], int] = {}
    seconds: dict[str, float | None] = {}
    for record, group in records:
        trainings = tuple(record["seconds_per_epoch"])
        groups[*trainings, group] = record["parameters"], record["epochs"]
        shared[trainings] = record.get("shared_parameters", 0)
        seconds |= record["seconds_per_epoch"]
    epochs = [n for _, n in groups.values() if n is not None]
    group_parameters = sum(n for n, _ in groups.values())
    summary: TrainingSummary = {"parameters": group_parameters + sum(shared.values())}
    if epochs:
        summary["seconds_per_epoch"] = sum(value or 0 for value in seconds.values())
        summary["epochs"] = float(np.median(epochs))
        summary |= {"epochs_low": min(epochs), "epochs_high": max(epochs)}
    return summary


def pool_seeds(summaries: Sequence[TrainingSummary]) -> TrainingSummary:
    """Pool the records of several seeds: mean seconds, median epochs, and the range of epochs."""
    if not all("epochs" in summary for summary in summaries):
        return summaries[0]
    return {
        "parameters": summaries[0]["parameters"],
        "seconds_per_epoch": float(np.mean([s["seconds_per_epoch"] for s in summaries])),
        "epochs": float(np.median([s["epochs"] for s in summaries])),
        "epochs_low": min(summary["epochs_low"] for summary in summaries),
        "epochs_high": max(summary["epochs_high"] for summary in summaries),
    }

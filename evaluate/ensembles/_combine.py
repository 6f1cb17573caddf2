"""Functions of the rules that compute the strength of each model independently of the others."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from evaluate.arrays import Array, Floats
from evaluate.fits.hemisphere import Hemisphere

Strength = Callable[[Array, Array], Floats]

# With fewer pictures r is too uncertain to tell models apart: all have the same weight.
FEWEST_PICTURES = 5


def each_model(
    hemisphere: Hemisphere, parts: Sequence[Any], strength: Strength
) -> list[list[Floats]]:
    """Compute, for each part, the `strength` of every model, with one in memory at a time."""
    measured = hemisphere.measured("heldout")
    judged: list[list[Floats]] = [[] for _ in parts]
    for index, vertices in enumerate(hemisphere.vertices):
        predicted = hemisphere.predictions(index, "heldout")
        truth = measured[:, vertices]
        for part, strengths in zip(parts, judged, strict=True):
            strengths.append(strength(truth[part], predicted[part]))
    return judged


def over_loudness(accuracy: Floats, predicted: Array) -> Floats:
    """Compute a^2 / s, with accuracies a >= 0 and the standard deviation s of the predictions.

    Thus predictions of large variance get no more weight; constant ones get 0.
    """
    loudness = predicted.std(axis=0, dtype=np.float64)
    audible = loudness > 0
    return np.where(audible, np.maximum(accuracy, 0) ** 2 / np.where(audible, loudness, 1), 0)

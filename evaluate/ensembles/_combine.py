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
    """Compute the strength of every model of a hemisphere, with one in memory at a time.

    `hemisphere`: the models. `parts`: sets of held-out pictures. `strength`: function of measured
    and predicted responses (n_images, n_roi_vertices) that returns (n_roi_vertices,). Returns the
    strength of each model (n_roi_vertices,) for each part.
    """
    measured = hemisphere.measured("heldout")
    judged: list[list[Floats]] = [[] for _ in parts]
    for index, vertices in enumerate(hemisphere.vertices):
        predicted = hemisphere.predictions(index, "heldout")
        truth = measured[:, vertices]
        for part, strengths in zip(parts, judged, strict=True):
            strengths.append(strength(truth[part], predicted[part]))
    return judged


def over_loudness(accuracy: Floats, predicted: Array) -> Floats:
    """Compute strengths a^2 / s, so that predictions of large variance get no more weight.

    `accuracy` (n_roi_vertices,): accuracies a; negative ones count as 0. `predicted` (n_images,
    n_roi_vertices): predictions, of standard deviation s. Returns (n_roi_vertices,): not negative;
    0 where the prediction is constant.
    """
    loudness = predicted.std(axis=0, dtype=np.float64)
    audible = loudness > 0
    return np.where(audible, np.maximum(accuracy, 0) ** 2 / np.where(audible, loudness, 1), 0)

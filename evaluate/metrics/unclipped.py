"""The official score without its cut at 100, per vertex. It is not the challenge's score."""

import numpy as np

from evaluate.arrays import Floats
from evaluate.metrics._inputs import Pair


def compute(pair: Pair) -> Floats:
    """Compute 100 * max(r, 0)^2 / NC, which may be above 100.

    By chance r^2 is above the ceiling at some vertices and below at others. The official score
    cuts off only the excess, so that its mean over vertices is below 100 even for the true
    noise-free signal; without the cut, chance cancels out. However, where the ceiling is next to 0,
    chance alone is divided by it, and a few such vertices can dominate the mean. Read both.
    `python -m benchmarks.clipping` prints by how much, for the challenge's numbers of pictures.

    Parameters
    ----------
    pair : Pair
        Responses, predictions (n_images, n_vertices) and, where there are any, noise ceilings.

    Returns
    -------
    array (n_vertices,), float64
        Percent, 0 and above; NaN where the ceiling is 0, and everywhere without ceilings.
    """
    return 100 * np.maximum(pair.r, 0) ** 2 / pair.divisor

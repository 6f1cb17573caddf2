"""Pearson's r between measured and predicted responses."""

import numpy as np

from evaluate.arrays import Floats
from evaluate.metrics._inputs import Pair


def compute(pair: Pair) -> Floats:
    """Compute Pearson's r, vertex by vertex.

    Parameters
    ----------
    pair : Pair
        Responses, predictions (n_images, n_vertices) and, where there are any, noise ceilings.

    Returns
    -------
    array (n_vertices,), float64
        r in -1..1, sign kept, 0 for a constant prediction; NaN where the ceiling is 0.
    """
    return np.where(pair.excluded, np.nan, pair.r)

"""Pearson's r between measured and predicted responses."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluate.correlation import correlation


def compute(
    measured: NDArray[Any], predicted: NDArray[Any], ceiling: NDArray[Any] | None
) -> NDArray[np.float64]:
    """Correlate, vertex by vertex.

    Parameters
    ----------
    measured : array (n_images, n_vertices)
        Responses.
    predicted : array (n_images, n_vertices)
        Predictions.
    ceiling : array (n_vertices,), optional
        Noise ceilings as fractions; used only to exclude the same vertices as the official score.

    Returns
    -------
    array (n_vertices,), float64
        r in -1..1, sign kept, 0 for a constant prediction; NaN where the ceiling is 0.
    """
    r = correlation(measured, predicted)
    return r if ceiling is None else np.where(np.asarray(ceiling) == 0, np.nan, r)

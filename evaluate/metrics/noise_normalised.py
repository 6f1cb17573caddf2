"""The official score of the Algonauts 2023 challenge, per vertex."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluate.metrics import unclipped


def compute(
    measured: NDArray[Any], predicted: NDArray[Any], ceiling: NDArray[Any] | None
) -> NDArray[np.float64]:
    """Give the explained share of what the noise leaves to explain, in percent.

    score = min(100, 100 * max(r, 0)^2 / NC). A constant prediction has r = 0.

    Parameters
    ----------
    measured : array (n_images, n_vertices)
        Responses.
    predicted : array (n_images, n_vertices)
        Predictions.
    ceiling : array (n_vertices,), optional
        Noise ceilings NC as fractions 0..1 of the variance, not percent.

    Returns
    -------
    array (n_vertices,), float64
        Percent, 0..100; NaN where the ceiling is 0, and everywhere without ceilings.

    References
    ----------
    Gifford et al. (2023), "The Algonauts Project 2023 Challenge: How the Human Brain Makes Sense
    of Natural Scenes", arXiv:2301.03198. That a vertex of ceiling 0 is left out, not set to 0,
    follows from the challenge server's published figures.
    """
    return np.minimum(unclipped.compute(measured, predicted, ceiling), 100)

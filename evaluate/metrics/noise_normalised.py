"""The official score of the Algonauts 2023 challenge, per vertex."""

import numpy as np

from evaluate.arrays import Floats
from evaluate.metrics import unclipped
from evaluate.metrics._inputs import Pair


def compute(pair: Pair) -> Floats:
    """Compute the explained share of the explainable variance, in percent.

    score = min(100, 100 * max(r, 0)^2 / NC). A constant prediction has r = 0.

    Parameters
    ----------
    pair : Pair
        Responses, predictions (n_images, n_vertices) and, where there are any, noise ceilings.

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
    return np.minimum(unclipped.compute(pair), 100)

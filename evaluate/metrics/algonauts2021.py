"""The noise-normalised correlation of the Algonauts 2021 challenge, per vertex."""

import numpy as np

from evaluate.arrays import Floats
from evaluate.metrics._inputs import Pair


def compute(pair: Pair) -> Floats:
    """Divide r by the square root of the responses' reliability.

    2021's reliability is the correlation of halves of the repeats, taken to their full number by
    Spearman and Brown's formula. It estimates the same fraction as the noise ceiling NC of the
    averaged responses, which is used here (`python -m evaluate ceilings --estimator split_half`
    makes it from halves). The sign is kept, nothing is cut off, and it is a correlation, not a
    share of variance: it is not comparable with 2023's score.

    Parameters
    ----------
    pair : Pair
        Responses, predictions (n_images, n_vertices) and, where there are any, noise ceilings.

    Returns
    -------
    array (n_vertices,), float64
        About -1..1, beyond it by chance; NaN where the ceiling is 0, and everywhere without
        ceilings.

    References
    ----------
    Cichy et al. (2021), "The Algonauts Project 2021 Challenge: How the Human Brain Makes Sense of
    a World in Motion", arXiv:2104.13714, and the challenge's page at
    competitions.codalab.org/competitions/30930.
    """
    return pair.r / np.sqrt(pair.divisor)

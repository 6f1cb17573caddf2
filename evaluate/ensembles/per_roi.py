"""One weight for each model and ROI, from its mean held-out correlation there."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from evaluate.arrays import Array, Floats
from evaluate.ensembles._combine import FEWEST_PICTURES, each_model, over_loudness
from evaluate.fits.hemisphere import Hemisphere
from evaluate.metrics._correlation import correlation


def judge(hemisphere: Hemisphere, parts: Sequence[Any]) -> list[list[Floats]]:
    """Compute the strength of each model from the mean of r over its ROI.

    Parameters
    ----------
    hemisphere : Hemisphere
        The models.
    parts : sequence of index
        Sets of held-out pictures.

    Returns
    -------
    list of list of array (n_roi_vertices,), float64
        a^2 / s, with the same a at all vertices of a ROI and s the spread of the prediction.
    """
    return each_model(hemisphere, parts, strength)


def strength(measured: Array, predicted: Array) -> Floats:
    """Compute the strength of one ROI's model, (n_roi_vertices,), >= 0; 0 with too few images."""
    if len(measured) < FEWEST_PICTURES:
        return np.zeros(measured.shape[1])
    mean = correlation(measured, predicted).mean()
    return over_loudness(np.full(measured.shape[1], mean), predicted)

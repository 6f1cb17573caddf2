"""One weight for each model and vertex, from its held-out r shrunk to its ROI's mean: the default.

A model's strength at a vertex is a^2 / s. s is the standard deviation of its held-out prediction,
so that predictions of large variance get no more weight. a is its held-out accuracy: r, shrunk
towards the mean r of its ROI by the share of the variance of r that sampling alone explains [1]_,
and 0 where negative. With few held-out pictures a is nearly the ROI's mean, with many the vertex's
r.

On simulations of eight mixtures of good, useless, high-variance, similar and complementary models
at two noise levels (`python -m benchmarks.ensemble`), r was compared with that of the better, in
hindsight, of the plain average and the best single model. With selected members it was 0.007 above
it on average with 30 held-out pictures and 0.009 with 900, and 0.005 and 0.002 below for the worst
mixture; with all models as members 0.002 and 0.003 above, as near-duplicates then outweigh models
that differ. With 30, the plain average of all models was 0.042 below on average and 0.23 at worst,
the single model that was best on held-out pictures 0.031 and 0.10.

References
----------
.. [1] Efron and Morris (1975), "Data Analysis Using Stein's Estimator and its Generalizations",
   Journal of the American Statistical Association 70 (350).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from evaluate.arrays import Array, Floats
from evaluate.ensembles._combine import FEWEST_PICTURES, each_model, over_loudness
from evaluate.fits.hemisphere import Hemisphere
from evaluate.metrics._correlation import correlation


def judge(hemisphere: Hemisphere, parts: Sequence[Any]) -> list[list[Floats]]:
    """Compute the strength of each model at each vertex.

    Parameters
    ----------
    hemisphere : Hemisphere
        The models.
    parts : sequence of index
        Sets of held-out pictures.

    Returns
    -------
    list of list of array (n_roi_vertices,), float64
        a^2 / s for each part and model.
    """
    return each_model(hemisphere, parts, strength)


def strength(measured: Array, predicted: Array) -> Floats:
    """Compute a^2 / s of one ROI's model, (n_roi_vertices,), >= 0; 0 with too few images."""
    n_images, n_vertices = measured.shape
    if n_images < FEWEST_PICTURES:
        return np.zeros(n_vertices)
    r = correlation(measured, predicted)
    mean = r.mean()
    sampling = (1 - mean**2) ** 2 / (n_images - 1)
    true_spread = max(0.0, float(r.var()) - sampling)
    shrunk = mean + true_spread / (true_spread + sampling) * (r - mean) if sampling else r
    return over_loudness(shrunk, predicted)

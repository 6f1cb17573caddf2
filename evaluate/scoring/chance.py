"""The expected score of predictions that are unrelated to the pictures."""

import numpy as np
from scipy.special import betainc

from evaluate.arrays import Array, Floats


def chance_score(n_pictures: int, ceiling: Array) -> Floats:
    """Compute the expected official score of predictions that are unrelated to the pictures.

    Where predictions and responses are independent and one of them is normal, r^2 of n pictures
    follows Beta(a, b) with a = 1/2 and b = (n - 2)/2, and both signs of r are as likely. With
    c = min(NC, 1) and I the regularised incomplete beta function,

    E[min(1, max(r, 0)^2 / NC)] = (I_c(a + 1, b) / ((n - 1) NC) + 1 - I_c(a, b)) / 2.

    Without the cut it is 1 / (2 (n - 1) NC): E[r^2] = 1 / (n - 1) holds for the permutations of any
    responses.

    Parameters
    ----------
    n_pictures : int
        The number of scored rows; each counts as a different picture.
    ceiling : array (n_vertices,)
        Noise ceilings, above 0; NaN for a vertex without one.

    Returns
    -------
    array (n_vertices,), float64
        Percent, above 0 and at most 50; NaN where the ceiling is.

    References
    ----------
    R. A. Fisher (1915), "Frequency distribution of the values of the correlation coefficient in
    samples from an indefinitely large population", Biometrika 10, 507-521: the distribution of r
    where the true correlation is 0.

    Examples
    --------
    >>> chance_score(60, np.array([0.1, 0.3, 0.7])).round(1)
    array([8.3, 2.8, 1.2])
    """
    ceiling = np.asarray(ceiling, np.float64)
    if n_pictures == 2:
        # Two points always lie on a line: r is 1 or -1.
        return 50 / np.maximum(ceiling, 1)
    cut = np.minimum(ceiling, 1)
    a, b = 0.5, (n_pictures - 2) / 2
    below = betainc(a + 1, b, cut) / ((n_pictures - 1) * ceiling)
    return np.asarray(50 * (below + 1 - betainc(a, b, cut)))

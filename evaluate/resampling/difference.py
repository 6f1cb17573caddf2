"""Two predictions of the same responses: which is better, and by how much."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from evaluate.resampling.draws import DRAWN, LEFT_OUT, OBSERVED, Draws
from evaluate.resampling.intervals import FEWEST_PICTURES, quantile_of, small_sample


class Difference(NamedTuple):
    """The second less the first, with its 95 % interval and two-sided p of no difference."""

    value: float | None
    low: float | None = None
    high: float | None = None
    p: float | None = None


def difference(first: Draws, second: Draws, of: str = "score") -> Difference:
    """Compare two predictions on the same vertices and pictures, by the same resamples.

    What both have in common (which pictures happened to be easy) cancels. The resampled variance
    has the noise of r^2 in it three times where nothing is predicted, instead of once; it is taken
    out by the variance of the errors alone, which the true one is never below. Two models that
    both predict next to nothing are still called different less often than the level says.

    Parameters
    ----------
    first, second : Draws
        Of the same vertices, from the same weights.
    of : str
        "score" (as a share 0..1) or "r".

    Returns
    -------
    Difference
        None where a score has no value, an interval needs more pictures, or no vertex counts.

    References
    ----------
    .. [1] Efron and Stein (1981), "The jackknife estimate of variance", Annals of Statistics 9 (3).
    """
    n = first.n_vertices
    place = OBSERVED.index(of)
    if n == 0 or np.isnan(first.observed[place] + second.observed[place]):
        return Difference(None)
    value = float(second.observed[place] - first.observed[place]) / n
    n_pictures = min(first.n_pictures, second.n_pictures)
    if n_pictures < FEWEST_PICTURES:
        return Difference(value)
    drawn = (second.drawn - first.drawn) / n
    left_out = (second.left_out - first.left_out)[:, LEFT_OUT.index(of)] / n
    # Resampling gives too small a variance in small samples, leaving out too large a one [1]_.
    raised = small_sample(n_pictures)
    variance = (drawn[:, DRAWN.index(of)].var() * raised + _left_out_variance(left_out)) / 2
    if of == "score":
        null = DRAWN.index("score_null")
        quadratic = min(drawn[:, null].var() * raised, variance)
        # The share of both scores that errors alone would give; from half on, all is noise.
        noise = (first.drawn + second.drawn)[:, null].mean()
        score = (first.observed + second.observed)[place]
        share = min(2 * noise / score, 1.0) if score > 0 else 1.0
        variance = max(variance - 2 * share * quadratic, quadratic)
    deviation = float(np.sqrt(variance))
    if deviation == 0:
        return Difference(value, value, value, 1.0 if value == 0 else 0.0)
    quantile, freedom = quantile_of(left_out)
    half = quantile * deviation
    p = 2 * float(student.sf(abs(value) / deviation, freedom))
    return Difference(value, value - half, value + half, p)


def _left_out_variance(left_out: NDArray[np.float64]) -> float:
    n = len(left_out)
    return float(((left_out - left_out.mean()) ** 2).sum() * (n - 1) / n)

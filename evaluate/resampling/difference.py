"""Two predictions of the same responses: which is better, and by how much."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
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
    has the noise of r^2 in it twice where little is predicted; it is taken out by the variance of
    the errors alone, which the true one is never below.

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
    Efron and Stein (1981), "The jackknife estimate of variance", Annals of Statistics 9 (3): what
    the quadratic part of a statistic adds to its resampled variance.
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
    variance = float(drawn[:, DRAWN.index(of)].var())
    if of == "score":
        quadratic = float(drawn[:, DRAWN.index("score_null")].var())
        variance = max(variance - 2 * quadratic, min(quadratic, variance))
    deviation = np.sqrt(variance * small_sample(n_pictures))
    if deviation == 0:
        return Difference(value, value, value, 1.0 if value == 0 else 0.0)
    left_out = (second.left_out - first.left_out)[:, LEFT_OUT.index(of)]
    quantile, freedom = quantile_of(left_out)
    half = quantile * deviation
    p = 2 * float(student.sf(abs(value) / deviation, freedom))
    return Difference(value, value - half, value + half, p)

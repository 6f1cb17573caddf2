"""Two predictions of the same responses: which is better, and by how much."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evaluate.resampling.draws import LEFT_OUT, OBSERVED, RESAMPLED, Draws
from evaluate.resampling.intervals import FEWEST_PICTURES, small_sample_factor, student_quantile
from evaluate.resampling.swap_test import Swaps


class Difference(NamedTuple):
    """The second less the first, with its 95 % interval and two-sided p of no difference."""

    value: float | None
    low: float | None = None
    high: float | None = None
    p: float | None = None


def difference(
    first: Draws, second: Draws, statistic: str = "score", swaps: Swaps | None = None
) -> Difference:
    """Compare two predictions on the same vertices and pictures, by the same resamples.

    What both have in common (which pictures happened to be easy) cancels. The variance of a
    difference of scores has two parts: that of the errors alone, and one that grows with what is
    predicted. Where nothing is, r^2 is noise, and resampling takes it for the second part: it finds
    three times the true variance. So of the second part only a share is kept: the root of the share
    of the score that chance does not explain. The root was chosen on simulations: with the share
    itself, intervals of models of true r = 0.1 lack 0 too often. It stays careful where next to
    nothing is predicted, and holds 0 there in 97 of 100 cases instead of 95. p is of another test,
    which is exact there too, `swap`: now and then it says less or more than the interval.

    Parameters
    ----------
    first, second : Draws
        Of the same vertices, from the same weights.
    statistic : str
        "score" (as a share 0..1) or "r".
    swaps : Swaps, optional
        Of the same two; without it there is no p.

    Returns
    -------
    Difference
        None where a score has no value, an interval needs more pictures, or no vertex counts.

    References
    ----------
    .. [1] Efron and Stein (1981), "The jackknife estimate of variance", Annals of Statistics 9 (3).
    """
    n = first.n_vertices
    index = OBSERVED.index(statistic)
    if n == 0 or np.isnan(first.observed[index] + second.observed[index]):
        return Difference(None)
    value = float(second.observed[index] - first.observed[index]) / n
    n_pictures = min(first.n_pictures, second.n_pictures)
    if n_pictures < FEWEST_PICTURES:
        return Difference(value)
    p = None if swaps is None else swaps.p(statistic)
    resampled = (second.resampled - first.resampled) / n
    left_out = (second.left_out - first.left_out)[:, LEFT_OUT.index(statistic)] / n
    # Resampling gives too small a variance in small samples, leaving out too large a one [1]_.
    factor = small_sample_factor(n_pictures)
    variance = (
        resampled[:, RESAMPLED.index(statistic)].var() * factor + _left_out_variance(left_out)
    ) / 2
    if statistic == "score":
        null = RESAMPLED.index("score_null")
        alone = min(resampled[:, null].var() * factor, variance)
        noise = (first.resampled + second.resampled)[:, null].mean()
        score = (first.observed + second.observed)[index]
        # Resampling adds to the noise that is in the score: from half of it on, all is noise.
        share = max(1 - 2 * noise / score, 0.0) if score > 0 else 0.0
        variance = alone + np.sqrt(share) * (variance - alone)
    deviation = float(np.sqrt(variance))
    if deviation == 0:
        return Difference(value, value, value, p)
    half = student_quantile(left_out)[0] * deviation
    return Difference(value, value - half, value + half, p)


def _left_out_variance(left_out: NDArray[np.float64]) -> float:
    n = len(left_out)
    return float(((left_out - left_out.mean()) ** 2).sum() * (n - 1) / n)

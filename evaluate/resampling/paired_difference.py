"""The difference between the scores of two predictions of the same responses."""

from typing import NamedTuple

import numpy as np

from evaluate.arrays import Floats
from evaluate.resampling.draws import LEFT_OUT, OBSERVED, RESAMPLED, Draws
from evaluate.resampling.intervals import FEWEST_PICTURES, small_sample_factor, student_quantile
from evaluate.resampling.swap_test import Swaps


class Difference(NamedTuple):
    """The second score less the first, with its 95 % interval and a two-sided p."""

    value: float | None
    low: float | None = None
    high: float | None = None
    p: float | None = None


def difference(
    first: Draws, second: Draws, statistic: str = "score", swaps: Swaps | None = None
) -> Difference:
    """Compare two predictions on the same vertices and pictures, by the same resamples.

    Variance that both have in common (some pictures are easy for both) cancels. The variance of a
    difference of scores has two parts: that of the errors alone, and one that grows with the
    explained score. Where nothing is explained, r^2 is noise, and resampling takes it for the
    second part: it finds three times the true variance. Therefore the second part is multiplied by
    the root of the share of the score that chance does not explain. The root was chosen on
    simulations: with the share itself, intervals of models of true r = 0.1 exclude 0 too often.
    Where next to nothing is explained it is conservative: intervals contain 0 in 97 of 100 cases
    instead of 95. p is that of another test, `swap`, which is exact there too; occasionally the
    test and the interval disagree.

    `first`, `second`: draws of the same vertices, from the same weights. `statistic`: "score" (as a
    share 0..1) or "r". `swaps`: swaps of the same two predictions; without it there is no p.
    Fields of the result are None where a score has no value, there are too few pictures for an
    interval, or no vertex counts.

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
    # In small samples, resampling underestimates the variance, the jackknife overestimates it [1]_.
    factor = small_sample_factor(n_pictures)
    variance = (
        resampled[:, RESAMPLED.index(statistic)].var() * factor + _left_out_variance(left_out)
    ) / 2
    if statistic == "score":
        null = RESAMPLED.index("score_null")
        alone = min(resampled[:, null].var() * factor, variance)
        noise = (first.resampled + second.resampled)[:, null].mean()
        score = (first.observed + second.observed)[index]
        # Resampling doubles the noise in the score: from half of the score on, all is noise.
        share = max(1 - 2 * noise / score, 0.0) if score > 0 else 0.0
        variance = alone + np.sqrt(share) * (variance - alone)
    deviation = float(np.sqrt(variance))
    if deviation == 0:
        return Difference(value, value, value, p)
    half = student_quantile(left_out)[0] * deviation
    return Difference(value, value - half, value + half, p)


def _left_out_variance(left_out: Floats) -> float:
    """Compute the jackknife variance."""
    n = len(left_out)
    return float(((left_out - left_out.mean()) ** 2).sum() * (n - 1) / n)

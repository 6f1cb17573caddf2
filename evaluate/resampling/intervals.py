"""95 % intervals from draws, by inversion of mean and variance as functions of the truth."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import stdtrit

from evaluate.arrays import Floats
from evaluate.resampling.draws import LEFT_OUT, OBSERVED, RESAMPLED, Draws

LEVEL = 0.95
# With fewer values, the estimate of the variance is useless.
FEWEST_PICTURES = 10
# From this number on, `make calibrate` measures the coverage of the intervals.
FEWEST_CALIBRATED = 60
NAMES = ("pearson_r_low", "pearson_r_high", "score_low", "score_high",
         "explained", "explained_low", "explained_high")  # fmt: skip


@dataclass(frozen=True)
class Family:
    """Mean and variance of a statistic, as functions of the truth t."""

    bias: float  # the mean at t = 0
    slope: float  # the mean is bias + slope * t
    variance: float  # the variance at t = 0
    growth: float  # the variance is (variance + growth * t) * (1 - shrink * t)
    shrink: float  # r^2 per unit of t: r varies less the closer it is to 1

    def interval(self, observed: float, quantile: float) -> tuple[float, float]:
        """Find the least and the greatest t within `quantile` standard deviations of the observed.

        Neither is below the t of mean 0.
        """
        centre = (observed - self.bias) / self.slope
        least = min(centre, -self.bias / self.slope)
        greatest = 0.999 / self.shrink if self.shrink > 0 else np.inf
        greatest = max(greatest, centre)

        def distance(t: float) -> float:
            return abs(observed - self.bias - self.slope * t) - quantile * self._deviation(t)

        low = _crossing(distance, centre, least)
        reach = centre + quantile * self._deviation(centre) / self.slope + 1e-12
        # The mean grows in proportion to t, the deviation with its root: `distance` has a root.
        while distance(reach) < 0 and reach < greatest:
            reach = centre + 2 * (reach - centre)
        return low, _crossing(distance, centre, min(reach, greatest))

    def _deviation(self, t: float) -> float:
        t = max(t, 0.0)
        return float(np.sqrt((self.variance + self.growth * t) * max(1 - self.shrink * t, 0.0)))


def _crossing(distance: Callable[[float], float], inside: float, outside: float) -> float:
    """Find the root of a function between two points, or return the end nearest to it."""
    if distance(outside) <= 0 or distance(inside) >= 0:
        return outside if distance(outside) <= 0 else inside
    return float(brentq(distance, inside, outside))


def intervals(draws: Draws | None) -> dict[str, float | None]:
    """Compute the columns `NAMES` of scores.csv, in percent but for r.

    They are None without draws, counted vertices or ceilings, or with too few pictures.
    """
    columns: dict[str, float | None] = dict.fromkeys(NAMES)
    if draws is None or draws.n_vertices == 0 or draws.n_pictures < FEWEST_PICTURES:
        return columns
    columns["pearson_r_low"], columns["pearson_r_high"] = _r_interval(draws)
    if not np.isnan(draws.observed[OBSERVED.index("score")]):
        low, high = _score_interval(draws)
        columns |= {"score_low": 100 * low, "score_high": 100 * high}
        value, low, high = _explained_interval(draws)
        columns |= {"explained": 100 * value, "explained_low": 100 * low,
                  "explained_high": 100 * high}  # fmt: skip
    return columns


def small_sample_factor(n_pictures: int) -> float:
    """Return n / (n - 3), by which the variance of resamples is multiplied.

    The variance of Fisher's transform of r is 1 / (n - 3), that of a resample 1 / n.
    """
    return n_pictures / (n_pictures - 3)


def student_quantile(left_out: Floats) -> tuple[float, float]:
    """Return the two-sided 95 % quantile of Student's t, and its degrees of freedom.

    They are those of a variance that is estimated from n values of kurtosis k: its relative
    variance is (k - 1) / n, which is 2 / degrees of freedom.
    """
    n = len(left_out)
    deviation = left_out - left_out.mean()
    variance = np.mean(deviation**2)
    excess = np.mean(deviation**4) / variance**2 - 3 if variance > 0 else 0.0
    # Unbiased for normal values; the plain one is too low (Joanes and Gill 1998, G2).
    excess = (n - 1) / ((n - 2) * (n - 3)) * ((n + 1) * excess + 6)
    freedom = float(np.clip(2 * n / max(excess + 2, 1e-9), 1, n - 1))
    return float(stdtrit(freedom, (1 + LEVEL) / 2)), freedom


def _observed_mean(draws: Draws, name: str) -> float:
    return float(draws.observed[OBSERVED.index(name)]) / draws.n_vertices


def _resampled_means(draws: Draws, name: str) -> Floats:
    return draws.resampled[:, RESAMPLED.index(name)] / draws.n_vertices


def _quantile(draws: Draws, name: str) -> float:
    return student_quantile(draws.left_out[:, LEFT_OUT.index(name)])[0]


def _r_interval(draws: Draws) -> tuple[float, float]:
    resampled = _resampled_means(draws, "r")
    deviation = np.sqrt(resampled.var() * small_sample_factor(draws.n_pictures))
    half, observed = _quantile(draws, "r") * deviation, _observed_mean(draws, "r")
    return max(observed - half, -1.0), min(observed + half, 1.0)


def _score_interval(draws: Draws) -> tuple[float, float]:
    """Compute the interval of the expected score; t is its excess over unrelated predictions."""
    observed, square = _observed_mean(draws, "score"), _observed_mean(draws, "square")
    factor = small_sample_factor(draws.n_pictures)
    resampled, null = _resampled_means(draws, "score"), _resampled_means(draws, "score_null")
    variance, above = null.var() * factor, resampled.mean() - null.mean()
    if resampled.var() == 0:
        return observed, observed
    growth = shrink = 0.0
    if above > 0:
        if square < 1:
            growth = max(resampled.var() * factor / (1 - square) - variance, 0) / above
        shrink = square / above
    else:
        variance = max(variance, resampled.var() * factor)
    bias = null.mean()
    family = Family(bias, 1, variance, growth, shrink)
    low, high = family.interval(observed, _quantile(draws, "score"))
    return max(low + bias, 0.0), min(high + bias, 1.0)


def _explained_interval(draws: Draws) -> tuple[float, float, float]:
    """Compute the mean of rho^2 / ceiling, which is t, and its interval."""
    observed, square = _observed_mean(draws, "ratio"), _observed_mean(draws, "square")
    if observed == 0:
        return 0.0, 0.0, 0.0
    factor = small_sample_factor(draws.n_pictures)
    resampled, null = _resampled_means(draws, "ratio"), _resampled_means(draws, "ratio_null")
    bias, variance = null.mean(), null.var() * factor
    # 1 except for the bias of r, of about 1 / n; where r is close to 0 the quotient is noise.
    slope = float(np.clip((resampled.mean() - bias) / observed, 0.8, 1.2))
    value = (observed - bias) / slope
    linear = max(resampled.var() * factor / max(1 - square, 1e-9) - variance, 0)
    # Noise adds to r^2 and to its variance, but not in proportion: the more is explained, the more
    # of it is subtracted from both. Where little is explained, the observed r are no guide to the
    # truth; `alike` is the growth for vertices that are all alike.
    trust = np.clip(value / observed, 0, 1)
    growth = max(linear - 2 * variance * trust, linear / 4) / (observed - bias * trust)
    weight = draws.observed[OBSERVED.index("weight")] / draws.n_vertices
    alike = 4 * _resampled_means(draws, "error").var() * factor / weight
    growth = trust * growth + (1 - trust) * max(growth, alike)
    low, high = Family(bias, slope, variance, growth, square / observed).interval(
        observed, _quantile(draws, "ratio")
    )
    return value, max(low, 0.0), high

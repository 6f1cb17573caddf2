"""Mean scores of models that were trained from several seeds, and their comparison.

A model's score over S seeds is the mean of the S scores. As every score is a mean over vertices,
this is the mean over the vertices of all S fits, and so are its draws: intervals over pictures come
from the same formulas.

The difference between two models depends on two random samples: the pictures on which they are
scored, and the seeds from which they were trained (weights, batches, dropout, noise, critics). Both
are paired: a fit is compared with the other model's fit of the same seed, on the same draws of the
same pictures. The lower end of the interval of the mean difference D over seeds is

    D - sqrt((D - l)^2 + t^2 s^2 / S)

and the upper end likewise, where [l, u] is the 95 % interval over pictures with the same fits, s
the standard deviation over seeds of the differences, and t the 97.5 % quantile of Student's
distribution of S - 1 degrees of freedom [1]_. The interaction of pictures and seeds is counted in
both parts, so that the interval is rather too wide than too narrow [2]_. With few seeds it is wide:
t is 4.3 for three.

The interval covers other pictures of the same kind and other seeds. It does not cover other
training pictures, other subjects or other hyper-parameters, which are not drawn anew [3]_.

References
----------
.. [1] Zou and Donner (2008), "Construction of confidence limits about effect measures: a general
   approach", Statistics in Medicine 27 (10).
.. [2] Owen (2007), "The pigeonhole bootstrap", Annals of Applied Statistics 1 (2).
.. [3] Bouthillier et al. (2021), "Accounting for variance in machine learning benchmarks",
   Proceedings of Machine Learning and Systems 3.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t as student

from evaluate.resampling import difference
from evaluate.scoring.vertex_scores import Tally, pool

# For each measure of scores.csv, its name in tallies, its name in draws, and its scale.
MEASURES = {"score": ("noise_normalised", "score", 100), "pearson_r": ("pearson_r", "r", 1)}

PICTURES, PICTURES_AND_SEEDS = "pictures", "pictures and seeds"


def compare_seeds(
    first: Sequence[Tally], second: Sequence[Tally], measure: str, solved: bool = False
) -> dict[str, Any]:
    """Compare two models over their seeds, on the same vertices, pictures and draws.

    If both have several seeds, the extra seeds of the longer one are ignored; the one fit of a
    `solved` first model stands for all. The result has `difference`, the second less the first, its
    `difference_low` and `difference_high`, what the interval `covers`, whether it `survives`
    (excludes 0), and `p` of one fit against one. It is empty if the vertices differ or a score has
    no value.
    """
    metric, draw_name, scale = MEASURES[measure]
    n = min(len(first), len(second)) if min(len(first), len(second)) > 1 else len(second)
    pairs = [(first[i % len(first)], second[i]) for i in range(n)]
    means = [(pair[0].mean(metric), pair[1].mean(metric)) for pair in pairs]
    if any(None in pair for pair in means) or len({t.n_vertices for p in pairs for t in p}) > 1:
        return {}
    seed_differences = [pair[1] - pair[0] for pair in means]  # type: ignore[operator]
    value = float(np.mean(seed_differences))
    first_pool, second_pool = (pool(tallies) for tallies in zip(*pairs, strict=True))
    if first_pool.draws is None or second_pool.draws is None:
        return {"difference": value}
    paired = difference(
        first_pool.draws, second_pool.draws, draw_name, second[0].swaps if n == 1 else None
    )
    if paired.low is None or paired.high is None:
        return {"difference": value}
    over_seeds = n > 1 and (solved or len(first) > 1)
    low, high = scale * paired.low, scale * paired.high
    if over_seeds:
        low, high = widen(value, low, high, seed_differences)
    return {
        "difference": value,
        "difference_low": low,
        "difference_high": high,
        "covers": PICTURES_AND_SEEDS if over_seeds else PICTURES,
        "survives": bool(low > 0 or high < 0),
        "p": paired.p,
    }


def widen(
    value: float, low: float, high: float, seed_differences: ArrayLike
) -> tuple[float, float]:
    """Widen the interval of a mean over pictures so that it covers the seeds of its values too."""
    values = np.asarray(seed_differences, np.float64)
    n = len(values)
    half = float(student.ppf(0.975, n - 1) * values.std(ddof=1) / np.sqrt(n))
    return value - float(np.hypot(value - low, half)), value + float(np.hypot(high - value, half))


def score_range(tallies: Sequence[Tally], measure: str, name: str) -> dict[str, float | None]:
    """Return the least and the greatest mean, as `name_low` and `name_high`."""
    means = [tally.mean(MEASURES[measure][0]) for tally in tallies]
    values = [mean for mean in means if mean is not None]
    whole = len(values) == len(means)
    return {f"{name}_low": min(values) if whole else None,
            f"{name}_high": max(values) if whole else None}  # fmt: skip

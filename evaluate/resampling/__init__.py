"""95 % intervals of scores over pictures, and tests by permutation and swaps of pictures.

**What the intervals cover.** The pictures are a sample; the fitted models and the noise ceilings
are taken as given. The intervals of `score` and `pearson_r` are those of the expectation for the
same models and a new sample of as many pictures of the same kind. In small samples r^2 is biased
upwards (without any true correlation by 1 / (n - 1), or half of that where r < 0 counts as 0), and
cutting at 100 lowers a score: both are part of that expectation, since they are part of the
official score. `explained` has neither: it estimates the mean of rho^2 / noise ceiling, with rho
the correlation over infinitely many pictures [1]_. A vertex with rho < 0 counts in it as explained,
and with ceilings near 0 it is unstable, since nothing is cut; its interval is then wide.

**How they are computed.** Each resample gives every picture a weight, drawn from a Poisson
distribution of mean 1 with the picture's content and the seed: all rows that show a picture have
the same weight, in all models, hemispheres and subjects. Sums of weighted columns are matrix
products, and give the resampled correlations r* of all vertices at once. Percentiles of the
resampled score would be far too high, since resampling adds the noise in r^2 a second time [2]_.
Instead, mean and variance of the score are taken under two hypotheses: the truth is the observed r,
or it is 0 and only the errors r* - r are left. The score is nearly quadratic in r, so that between
the two both are linear in the truth. The interval contains each truth under which the observed
score is not among the 5 % farthest from its mean (as Wilson's interval of a share does). The
variance is multiplied by n / (n - 3), as for Fisher's transform of r; the quantile is Student's,
with degrees of freedom from the kurtosis of the leave-one-out values.

`make calibrate` measures their coverage on simulated data.

References
----------
.. [1] Pospisil and Bair (2021), "The unbiased estimation of the fraction of variance explained by a
   model", PLoS Computational Biology 17 (8).
.. [2] Efron and Tibshirani (1993), "An Introduction to the Bootstrap", chapters 10 and 14.
"""

from evaluate.resampling.draws import Draws
from evaluate.resampling.intervals import FEWEST_CALIBRATED, FEWEST_PICTURES, intervals
from evaluate.resampling.memory_limits import check_counts
from evaluate.resampling.paired_difference import Difference, difference
from evaluate.resampling.permutation import (
    PermutationCounts,
    Significance,
    draw_orders,
    permute,
    significance,
)
from evaluate.resampling.picture_weights import Weights, picture_weights
from evaluate.resampling.resampler import Resampler, resample
from evaluate.resampling.swap_test import Swaps, draw_swap_signs, swap

__all__ = [
    "FEWEST_CALIBRATED",
    "FEWEST_PICTURES",
    "Difference",
    "Draws",
    "PermutationCounts",
    "Resampler",
    "Significance",
    "Swaps",
    "Weights",
    "check_counts",
    "difference",
    "draw_orders",
    "draw_swap_signs",
    "intervals",
    "permute",
    "picture_weights",
    "resample",
    "significance",
    "swap",
]

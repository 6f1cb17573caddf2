"""How far the scores would move with other pictures, and which of them chance explains.

**What the intervals are of.** Pictures are a sample; the fitted models and the noise ceilings are
taken as given. `score` and `pearson_r` have the interval of what is expected of the same models on
another so many pictures of the same kind. r^2 is too high in small samples (where nothing is
predicted, by 1 / (n - 1), half of it where r < 0 counts as 0), and cutting at 100 makes a score too
low: both are part of that expectation, since they are part of the official score. `explained` is
without either: the mean of rho^2 / noise ceiling, rho the correlation over infinitely many pictures
[1]_. A vertex that is truly predicted upside-down (rho < 0) counts in it as explained, and ceilings
near 0 make it wild, since nothing is cut: its interval then says so.

**How they are made.** Each resample gives every picture a weight, drawn from a Poisson distribution
of mean 1 by the picture's content and the seed: all rows that show a picture move together, and so
do all models, hemispheres and subjects that saw it. Sums of weighted columns are matrix products,
and give r* of all vertices and resamples at once. Percentiles of the resampled score would be far
too high, for resampling adds to r^2 a second time the noise that is in it already [2]_. Instead,
mean and variance of the score are taken from two worlds: in one the truth is the r that was found,
in the other it is 0 and only the errors r* - r are left. The score is nearly quadratic in r, so
that between them both are linear in the truth, and the interval holds each truth under which the
observed score is not among the 5 % farthest from its mean (as Wilson's interval of a share does).
The variance is raised by n / (n - 3), for r as Fisher's; the quantile is Student's with as many
degrees of freedom as the kurtosis of the leave-one-out values leaves to the variance.

`make calibrate` shows on simulated data how often they hold.

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

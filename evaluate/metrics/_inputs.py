"""Responses and predictions, as every metric takes them."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from challenge import has_ceiling
from evaluate.arrays import Array, Floats, Mask
from evaluate.metrics._correlation import correlation


@dataclass(frozen=True)
class Pair:
    """Responses, and predictions of the same pictures and vertices."""

    measured: Array  # (n_images, n_vertices): responses
    predicted: Array  # (n_images, n_vertices): predictions
    # (n_vertices,): noise ceilings as fractions 0..1 of the variance, not percent.
    ceiling: Array | None = None

    @cached_property
    def r(self) -> Floats:
        """Pearson's r of each vertex, computed once for all metrics; 0 for constant columns."""
        return correlation(self.measured, self.predicted)

    @cached_property
    def excluded(self) -> Mask:
        """Mask of vertices with a noise ceiling of 0 or next to it, which count in no mean."""
        if self.ceiling is None:
            return np.zeros(self.measured.shape[1], bool)
        return ~has_ceiling(self.ceiling)

    @cached_property
    def divisor(self) -> Floats:
        """The ceilings, with NaN where excluded; NaN everywhere without ceilings."""
        if self.ceiling is None:
            return np.full(self.measured.shape[1], np.nan)
        return np.where(self.excluded, np.nan, np.asarray(self.ceiling, np.float64))

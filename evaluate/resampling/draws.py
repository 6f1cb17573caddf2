"""Sums over vertices in every resample."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluate.arrays import Floats

OBSERVED = ("r", "score", "ratio", "weight", "square")
RESAMPLED = ("r", "score", "ratio", "score_null", "ratio_null", "error")
LEFT_OUT = ("r", "score", "ratio")


@dataclass(frozen=True)
class Draws:
    """Sums over some vertices, as observed, in each resample and without each picture.

    Sums are of r; of the official score as a share 0..1 (NaN without ceilings); of the `ratio`
    r^2 / ceiling; of the `weight` 1 / ceiling and of the `square` r^2. Resamples also have score
    and ratio of the errors r* - r alone (`_null`, as if all true r were 0), and the `error`
    (r* - r) / ceiling. Draws of disjoint vertices can be added.
    """

    n_vertices: int  # vertices that count
    n_pictures: int  # number of different pictures; the smaller number in a sum
    observed: Floats  # (5,): the sums named in `OBSERVED`
    resampled: Floats  # (n_resamples, 6): the sums named in `RESAMPLED`
    # (n_pictures,): the sorted names of the pictures that were left out, one at a time.
    pictures: NDArray[np.bytes_]
    # (n_pictures, 3): change of the sums named in `LEFT_OUT` without each picture.
    left_out: Floats

    def __add__(self, draws: Draws) -> Draws:
        if np.array_equal(self.pictures, draws.pictures):
            names, left_out = self.pictures, self.left_out + draws.left_out
        else:
            all_pictures = np.concatenate([self.pictures, draws.pictures])
            names, index = np.unique(all_pictures, return_inverse=True)
            left_out = np.zeros((len(names), len(LEFT_OUT)))
            np.add.at(left_out, index, np.vstack([self.left_out, draws.left_out]))
        return Draws(
            self.n_vertices + draws.n_vertices,
            min(self.n_pictures, draws.n_pictures),
            self.observed + draws.observed,
            self.resampled + draws.resampled,
            names,
            left_out,
        )

"""Unique and shared parts of R^2 over some vertices, and their 95 % intervals.

`make ablate` keeps by how much each picture moves the sum of R^2 of every subset of the feature
spaces. A contribution is a difference of such sums, and so is what a picture moves it by: the
jackknife's variance of it follows, paired by pictures throughout. Pictures of several subjects are
matched by their content. The quantile is Student's, as for the intervals of scores. Resampling
pictures instead would need the predictions of every subset.

As the interval of a score, it is of what is expected of the same models on another so many
pictures. Of n pictures R^2 is expected lower than of infinitely many by up to 1 / n, since their
own mean, about which the total is taken, fits them better than the true one. Unique parts are
differences, in which that cancels; the shared part has it once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluate.resampling import FEWEST_PICTURES
from evaluate.resampling.intervals import student_quantile

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Part:
    """Sums over some vertices, which add up.

    Attributes
    ----------
    n_vertices : int
        How many vertices.
    pearson_r, r2 : array (n_subsets,), float64
        Sums of r and R^2 of each subset of the spaces.
    product : array (n_spaces,), float64
        What each space adds to r of the whole set.
    pictures : array (n_pictures,), bytes
        The pictures, sorted.
    left_out : array (n_subsets, n_pictures), float64
        By how much `r2` changes without each picture.
    """

    n_vertices: int
    pearson_r: Floats
    r2: Floats
    product: Floats
    pictures: NDArray[np.bytes_]
    left_out: Floats

    def __add__(self, part: Part) -> Part:
        names, index = np.unique(
            np.concatenate([self.pictures, part.pictures]), return_inverse=True
        )
        left_out = np.zeros((len(names), len(self.r2)))
        np.add.at(left_out, index, np.concatenate([self.left_out, part.left_out], axis=1).T)
        return Part(
            self.n_vertices + part.n_vertices,
            self.pearson_r + part.pearson_r,
            self.r2 + part.r2,
            self.product + part.product,
            names,
            left_out.T,
        )

    def interval(self, name: str, weights: Floats) -> dict[str, float | None]:
        """Compute a weighted sum of the mean R^2 of subsets, with its 95 % interval.

        Parameters
        ----------
        weights : array (n_subsets,)
            Of each subset.

        Returns
        -------
        dict of str to float or None
            `name`, `name_low` and `name_high`; no interval with too few pictures.
        """
        value = float(weights @ self.r2) / self.n_vertices
        n = len(self.pictures)
        if n < FEWEST_PICTURES:
            return {name: value, f"{name}_low": None, f"{name}_high": None}
        influence = (weights @ self.left_out) / self.n_vertices
        deviation = np.sqrt(((influence - influence.mean()) ** 2).sum() * (n - 1) / n)
        half = float(student_quantile(influence)[0] * deviation)
        return {name: value, f"{name}_low": value - half, f"{name}_high": value + half}


def contributions(spaces: Sequence[str], subsets: Sequence[Sequence[int]]) -> dict[str, Floats]:
    """Express unique and shared parts as weighted sums of R^2 of the subsets.

    Parameters
    ----------
    subsets : sequence of sequence of int
        The subsets that were fitted; the last is of all spaces.

    Returns
    -------
    dict of str to array (n_subsets,)
        `unique:SPACE`, of all spaces less that of all others, where these were fitted; `shared`,
        what is left, where all unique parts are known and there is more than one.
    """
    subset_indices = {tuple(subset): number for number, subset in enumerate(subsets)}
    units, whole = np.eye(len(subsets)), len(subsets) - 1
    weights_by_name = {}
    for number, name in enumerate(spaces):
        without = tuple(n for n in range(len(spaces)) if n != number)
        if without in subset_indices:
            weights_by_name[f"unique:{name}"] = units[whole] - units[subset_indices[without]]
    if len(weights_by_name) == len(spaces) > 1:
        weights_by_name["shared"] = units[whole] - np.sum(list(weights_by_name.values()), axis=0)
    return weights_by_name

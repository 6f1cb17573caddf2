"""Unique and shared parts of R^2 over some vertices, and their 95 % intervals.

For every subset of the feature spaces, `make ablate` writes the sum of R^2 and by how much it
changes without each picture. A contribution is a difference of such sums, and its change without a
picture is the difference of the changes: its jackknife variance follows, paired by picture.
Pictures of several subjects are matched by their content. The quantile is Student's, as for the
intervals of scores. Resampling pictures instead would need the predictions of every subset.

Like the interval of a score, it is an interval of the expectation for the same models and a new
sample of as many pictures. With n pictures the expected R^2 is up to 1 / n lower than with
infinitely many: the total sum of squares is taken about the sample mean, which fits the sample
better than the true mean. In unique parts, which are differences, this cancels; the shared part
has it once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluate.arrays import Floats
from evaluate.resampling import FEWEST_PICTURES
from evaluate.resampling.intervals import student_quantile


@dataclass(frozen=True)
class Part:
    """Sums over some vertices; parts of disjoint vertices can be added."""

    n_vertices: int  # the number of vertices
    pearson_r: Floats  # (n_subsets,): sums of r and R^2 for each subset of the spaces
    r2: Floats  # (n_subsets,)
    # (n_spaces,): sums of the part of each space in r of the full set; the parts add up to r.
    product: Floats
    pictures: NDArray[np.bytes_]  # (n_pictures,): the pictures, sorted
    left_out: Floats  # (n_subsets, n_pictures): change of `r2` without each picture

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
        """Compute a weighted sum of the subsets' mean R^2, `name`, with its 95 % interval."""
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

    `subsets`: indices of the spaces in each fitted subset; the last subset has all spaces. Returns
    (n_subsets,): `unique:SPACE`, R^2 of all spaces less that of all but this one, where the latter
    was fitted; `shared`, R^2 less all unique parts, where these are known and there are several.
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

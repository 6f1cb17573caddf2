"""Sums over sets of pictures, from which ridge fits and their held-out scores are computed.

Of a set of pictures (a fold, or all) they are the number of pictures n, the column sums of the
features X and responses Y, and the products X'X, X'Y and the diagonal of Y'Y. They add: those of
a training fold are the total minus those of the fold held out. They slice: columns and vertices are
rows and columns of them, and a scaling of columns multiplies them. One pass over the data is enough
for all penalties, folds, bands and subsets of feature spaces.

Rounding. Products are formed in the dtype of the data, in blocks of rows, about a fixed origin near
the mean, so that float32 keeps its digits where the mean is far from 0; X'X, on which
the decompositions rest, is summed in float64.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from himalaya.backend import get_backend
from numpy.typing import NDArray

# Arrays of himalaya's backend: numpy's, torch's or cupy's.
Array = Any
ROWS = 2048


@dataclass(frozen=True)
class FeatureMoments:
    """Sums over pictures of features.

    Attributes
    ----------
    n : int
        The number of pictures.
    x : array of float64 (n_features,)
        Column sums.
    xx : array of float64 (n_features, n_features)
        X'X.
    """

    n: int
    x: Array
    xx: Array

    def __add__(self, moments: "FeatureMoments") -> "FeatureMoments":
        return FeatureMoments(self.n + moments.n, self.x + moments.x, self.xx + moments.xx)

    def __sub__(self, moments: "FeatureMoments") -> "FeatureMoments":
        return FeatureMoments(self.n - moments.n, self.x - moments.x, self.xx - moments.xx)

    def scaled(self, factors: Array | None) -> "FeatureMoments":
        """Return the moments of X with its columns multiplied by factors; None for 1."""
        if factors is None:
            return self
        return FeatureMoments(
            self.n, self.x * factors, self.xx * factors[:, None] * factors[None, :]
        )

    def about(self, mean: Array) -> Array:
        """Return the products about a mean, (X - mean)'(X - mean)."""
        cross = self.x[:, None] * mean[None, :]
        return self.xx - cross - cross.T + self.n * mean[:, None] * mean[None, :]


@dataclass(frozen=True)
class ResponseMoments:
    """Sums over pictures of responses, alone and with features.

    Attributes
    ----------
    y : array of float64 (n_vertices,)
        Column sums.
    yy : array of float64 (n_vertices,)
        Sums of squares.
    xy : array (n_features, n_vertices)
        X'Y, in the dtype of the data.
    """

    y: Array
    yy: Array
    xy: Array

    def __add__(self, moments: "ResponseMoments") -> "ResponseMoments":
        return ResponseMoments(self.y + moments.y, self.yy + moments.yy, self.xy + moments.xy)

    def __sub__(self, moments: "ResponseMoments") -> "ResponseMoments":
        return ResponseMoments(self.y - moments.y, self.yy - moments.yy, self.xy - moments.xy)

    def scaled(self, factors: Array | None) -> "ResponseMoments":
        """Return the moments with the columns of X multiplied by factors; None for 1."""
        if factors is None:
            return self
        factors = get_backend().asarray_like(factors, self.xy)
        return ResponseMoments(self.y, self.yy, self.xy * factors[:, None])

    def vertices(self, columns: slice) -> "ResponseMoments":
        """Return the moments of some vertices."""
        return ResponseMoments(self.y[columns], self.yy[columns], self.xy[:, columns])

    def about(self, features: FeatureMoments, x_mean: Array, y_mean: Array) -> Array:
        """Return the products about means, (X - x_mean)'(Y - y_mean)."""
        backend = get_backend()
        left = backend.asarray_like(features.n * x_mean - features.x, self.xy)
        right = backend.asarray_like(self.y, self.xy)
        y_mean = backend.asarray_like(y_mean, self.xy)
        x_mean = backend.asarray_like(x_mean, self.xy)
        return self.xy + left[:, None] * y_mean[None, :] - x_mean[:, None] * right[None, :]

    def squares(self, n: int, y_mean: Array) -> Array:
        """Return the column sums of (Y - y_mean)^2."""
        return self.yy - 2 * y_mean * self.y + n * y_mean**2


def total(parts: Sequence[Any]) -> Any:
    """Add the moments of disjoint sets of pictures."""
    whole = parts[0]
    for part in parts[1:]:
        whole = whole + part
    return whole


def origin(array: Array, deviations: float = 1) -> Array | None:
    """Return a point near the mean of the rows, about which products keep their digits.

    Parameters
    ----------
    array : array (n_images, n_columns)
        Features or responses.

    Returns
    -------
    array (n_columns,) or None
        Mean of some rows; None where the means are so near 0 that no digits would be lost.
    """
    sample: NDArray[np.int64] = np.linspace(0, len(array) - 1, min(len(array), 512)).astype(int)
    rows = take(array, sample)
    mean = rows.mean(0)
    return mean if bool((mean**2 > deviations**2 * rows.var(0)).any()) else None


def take(array: Array, rows: NDArray[np.int64]) -> Array:
    """Return rows, as a view where they are consecutive."""
    first, last = int(rows[0]), int(rows[-1])
    if last - first + 1 == len(rows) and (len(rows) < 3 or bool((np.diff(rows) == 1).all())):
        return array[first : last + 1]
    return array[get_backend().asarray(rows)]


def feature_moments(X: Array, rows: NDArray[np.int64], centre: Array | None) -> FeatureMoments:
    """Compute sums over pictures of features, less a centre."""
    x: Array = 0.0
    xx: Array = 0.0
    for block in _blocks(rows):
        part = about(X, block, centre)
        x = x + _double(part).sum(0)
        xx = xx + _double(part.T @ part)
    return FeatureMoments(len(rows), x, xx)


def products(A: Array, B: Array, rows: NDArray[np.int64]) -> Array:
    """Compute the products A'B of two feature spaces, summed over pictures, in float64."""
    return sum(_double(take(A, block).T @ take(B, block)) for block in _blocks(rows))


def response_moments(
    X: Array, Y: Array, rows: NDArray[np.int64], centres: tuple[Array | None, Array | None]
) -> ResponseMoments:
    """Compute sums over pictures of responses and of their products with features, less centres."""
    y: Array = 0.0
    yy: Array = 0.0
    xy: Array = 0.0
    for block in _blocks(rows):
        features, responses = about(X, block, centres[0]), about(Y, block, centres[1])
        y = y + _double(responses.sum(0))
        yy = yy + _double(_squares(responses))
        xy = xy + features.T @ responses
    return ResponseMoments(y, yy, xy)


def about(array: Array, rows: NDArray[np.int64], centre: Array | None) -> Array:
    """Return rows, less a point; a view where nothing is subtracted and rows are consecutive."""
    return take(array, rows) if centre is None else take(array, rows) - centre


def _blocks(rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    return [rows[start : start + ROWS] for start in range(0, len(rows), ROWS)]


def _double(array: Array) -> Array:
    return get_backend().asarray(array, dtype="float64")


def _squares(array: Array) -> Array:
    if isinstance(array, np.ndarray):
        return np.einsum("ij,ij->j", array, array)
    return (array * array).sum(0)

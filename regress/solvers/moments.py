"""Sums over sets of pictures, from which ridge fits and their held-out scores are computed.

Of a set of pictures (a fold, or all) they are the number of pictures n, the column sums of the
features X and responses Y, and the products X'X, X'Y and the diagonal of Y'Y. They add: those of
a training fold are the total minus those of the fold held out. They slice: columns and vertices are
rows and columns of them, and a scaling of columns multiplies them. One pass over the data is enough
for all penalties, folds, bands and subsets of feature spaces.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from himalaya.backend import get_backend

# Arrays of himalaya's backend: numpy's, torch's or cupy's.
Array = Any


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

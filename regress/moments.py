"""Sums over sets of pictures from which every ridge fit and its held-out scores follow.

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
    """Sums over pictures that need no responses.

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

    def __add__(self, other: "FeatureMoments") -> "FeatureMoments":
        return FeatureMoments(self.n + other.n, self.x + other.x, self.xx + other.xx)

    def __sub__(self, other: "FeatureMoments") -> "FeatureMoments":
        return FeatureMoments(self.n - other.n, self.x - other.x, self.xx - other.xx)

    def scaled(self, factors: Array | None) -> "FeatureMoments":
        """Give the moments of columns multiplied by factors.

        Parameters
        ----------
        factors : array of float64 (n_features,) or None
            One a column; None for 1.

        Returns
        -------
        FeatureMoments
            Of `X * factors`.
        """
        if factors is None:
            return self
        return FeatureMoments(
            self.n, self.x * factors, self.xx * factors[:, None] * factors[None, :]
        )

    def columns(self, which: Array) -> "FeatureMoments":
        """Give the moments of some columns.

        Parameters
        ----------
        which : array of int
            The columns.

        Returns
        -------
        FeatureMoments
            Of `X[:, which]`.
        """
        return FeatureMoments(self.n, self.x[which], self.xx[which][:, which])

    def about(self, mean: Array) -> Array:
        """Give the products about a mean.

        Parameters
        ----------
        mean : array (n_features,)
            What is subtracted from each row.

        Returns
        -------
        array of float64 (n_features, n_features)
            (X - mean)'(X - mean).
        """
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

    def __add__(self, other: "ResponseMoments") -> "ResponseMoments":
        return ResponseMoments(self.y + other.y, self.yy + other.yy, self.xy + other.xy)

    def __sub__(self, other: "ResponseMoments") -> "ResponseMoments":
        return ResponseMoments(self.y - other.y, self.yy - other.yy, self.xy - other.xy)

    def scaled(self, factors: Array | None) -> "ResponseMoments":
        """Give the moments with columns of X multiplied by factors.

        Parameters
        ----------
        factors : array of float64 (n_features,) or None
            One a column; None for 1.

        Returns
        -------
        ResponseMoments
            With `X * factors`.
        """
        if factors is None:
            return self
        factors = get_backend().asarray_like(factors, self.xy)
        return ResponseMoments(self.y, self.yy, self.xy * factors[:, None])

    def columns(self, which: Array) -> "ResponseMoments":
        """Give the moments with some columns of X.

        Parameters
        ----------
        which : array of int
            The columns.

        Returns
        -------
        ResponseMoments
            With `X[:, which]`.
        """
        return ResponseMoments(self.y, self.yy, self.xy[which])

    def vertices(self, which: slice) -> "ResponseMoments":
        """Give the moments of some vertices.

        Parameters
        ----------
        which : slice
            The vertices.

        Returns
        -------
        ResponseMoments
            Of `Y[:, which]`.
        """
        return ResponseMoments(self.y[which], self.yy[which], self.xy[:, which])

    def about(self, features: FeatureMoments, x_mean: Array, y_mean: Array) -> Array:
        """Give X'Y about means.

        Parameters
        ----------
        features : FeatureMoments
            Of the same pictures.
        x_mean : array (n_features,)
            Subtracted from the features.
        y_mean : array (n_vertices,)
            Subtracted from the responses.

        Returns
        -------
        array (n_features, n_vertices)
            (X - x_mean)'(Y - y_mean).
        """
        backend = get_backend()
        left = backend.asarray_like(features.n * x_mean - features.x, self.xy)
        right = backend.asarray_like(self.y, self.xy)
        y_mean = backend.asarray_like(y_mean, self.xy)
        x_mean = backend.asarray_like(x_mean, self.xy)
        return self.xy + left[:, None] * y_mean[None, :] - x_mean[:, None] * right[None, :]

    def squares(self, n: int, y_mean: Array) -> Array:
        """Give the sums of squares about a mean.

        Parameters
        ----------
        n : int
            The number of pictures.
        y_mean : array (n_vertices,)
            Subtracted from the responses.

        Returns
        -------
        array of float64 (n_vertices,)
            Of (Y - y_mean) squared.
        """
        return self.yy - 2 * y_mean * self.y + n * y_mean**2


def origin(array: Array) -> Array | None:
    """Choose a point near the mean of the rows, to take products about.

    Parameters
    ----------
    array : array (n_images, n_columns)
        Features or responses.

    Returns
    -------
    array (n_columns,) or None
        The mean of some rows; None where the means are so near 0 that nothing is lost without.
    """
    some: NDArray[np.int64] = np.linspace(0, len(array) - 1, min(len(array), 512)).astype(int)
    rows = take(array, some)
    mean = rows.mean(0)
    return mean if bool((mean**2 > rows.var(0)).any()) else None


def take(array: Array, rows: NDArray[np.int64]) -> Array:
    """Take rows; a run of rows is not copied.

    Parameters
    ----------
    array : array (n_images, n_columns)
        Of himalaya's backend.
    rows : array of int
        Which.

    Returns
    -------
    array (len(rows), n_columns)
        A view where the rows follow one another.
    """
    first, last = int(rows[0]), int(rows[-1])
    if last - first + 1 == len(rows) and (len(rows) < 3 or bool((np.diff(rows) == 1).all())):
        return array[first : last + 1]
    return array[get_backend().asarray(rows)]


def feature_moments(X: Array, rows: NDArray[np.int64], centre: Array | None) -> FeatureMoments:
    """Sum over some pictures, features alone.

    Parameters
    ----------
    X : array (n_images, n_features)
        Features.
    rows : array of int
        Which pictures.
    centre : array (n_features,) or None
        Subtracted from each row first; None for nothing.

    Returns
    -------
    FeatureMoments
        About the centre.
    """
    x: Array = 0.0
    xx: Array = 0.0
    for block in _blocks(rows):
        part = about(X, block, centre)
        x = x + _double(part).sum(0)
        xx = xx + _double(part.T @ part)
    return FeatureMoments(len(rows), x, xx)


def response_moments(
    X: Array, Y: Array, rows: NDArray[np.int64], centres: tuple[Array | None, Array | None]
) -> ResponseMoments:
    """Sum over some pictures, responses alone and with features.

    Parameters
    ----------
    X : array (n_images, n_features)
        Features.
    Y : array (n_images, n_vertices)
        Responses.
    rows : array of int
        Which pictures.
    centres : (array or None, array or None)
        Subtracted from each row of X and of Y first; None for nothing.

    Returns
    -------
    ResponseMoments
        About the centres.
    """
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
    """Take rows about a point.

    Parameters
    ----------
    array : array (n_images, n_columns)
        Features or responses.
    rows : array of int
        Which pictures.
    centre : array (n_columns,) or None
        Subtracted from each row; None for nothing.

    Returns
    -------
    array (len(rows), n_columns)
        A view where nothing is subtracted and the rows follow one another.
    """
    return take(array, rows) if centre is None else take(array, rows) - centre


def total(parts: Sequence[Any]) -> Any:
    """Add the moments of disjoint sets of pictures.

    Parameters
    ----------
    parts : sequence of FeatureMoments or of ResponseMoments
        At least one.

    Returns
    -------
    FeatureMoments or ResponseMoments
        Of all of them together.
    """
    whole = parts[0]
    for part in parts[1:]:
        whole = whole + part
    return whole


def _blocks(rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    return [rows[start : start + ROWS] for start in range(0, len(rows), ROWS)]


def _double(array: Array) -> Array:
    return get_backend().asarray(array, dtype="float64")


def _squares(array: Array) -> Array:
    if isinstance(array, np.ndarray):
        return np.einsum("ij,ij->j", array, array)
    return (array * array).sum(0)

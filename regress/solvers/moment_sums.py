"""Sums over pictures, computed from features and responses.

Rounding. Products are formed in the dtype of the data, in blocks of rows, about a fixed origin near
the mean, so that float32 keeps its digits where the mean is far from 0; X'X, on which
the decompositions rest, is summed in float64.
"""

import numpy as np
from himalaya.backend import get_backend
from numpy.typing import NDArray

from regress.solvers.moments import Array, FeatureMoments, ResponseMoments

ROWS = 2048


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

"""Columns of one value a picture, in float32: centred, scaled, and their deviation in resamples."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from challenge import constant_columns

# Below this variance, of columns of variance 1, a resample holds one value only.
CONSTANT = 1e-6


def standardise(values: NDArray[Any]) -> NDArray[np.float32]:
    """Centre and scale columns to variance 1, so that float32 is enough.

    Parameters
    ----------
    values : array (n_images, n_vertices)
        Any float dtype.

    Returns
    -------
    array (n_images, n_vertices), float32
        The columns; 0 where one is constant.
    """
    scaled = values.astype(np.float64)
    alike = constant_columns(values)
    scaled -= scaled.mean(axis=0)
    norm = np.sqrt(np.einsum("iv,iv->v", scaled, scaled) / len(scaled))
    alike |= norm == 0
    scaled /= np.where(alike, np.inf, norm)
    return scaled.astype(np.float32)


def inverse_deviation(
    square: NDArray[np.float32], mean: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Turn means of squares into 1 / standard deviation, in place.

    Parameters
    ----------
    square : array (n_columns, n_lines), float32
        Means of the squares of columns of variance 1 in resamples.
    mean : array (n_columns, n_lines), float32
        Their means there.

    Returns
    -------
    array (n_columns, n_lines), float32
        `square` itself; 0 where a resample holds one value only.
    """
    square -= mean * mean
    constant = square < CONSTANT
    any_constant = constant.any()
    if any_constant:
        square[constant] = 1
    np.sqrt(square, out=square)
    np.divide(np.float32(1), square, out=square)
    if any_constant:
        square[constant] = 0
    return square

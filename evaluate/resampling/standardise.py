"""Standardise columns in float32, and compute their standard deviation in resamples."""

import numpy as np

from challenge import constant_columns
from evaluate.arrays import Array, Singles

# A resample of a column of variance 1 with less variance than this has only one value.
CONSTANT = 1e-6


def standardise(values: Array) -> Singles:
    """Centre columns (n_images, n_vertices) and scale them to variance 1; constant ones are 0."""
    scaled = values.astype(np.float64)
    alike = constant_columns(values)
    scaled -= scaled.mean(axis=0)
    norm = np.sqrt(np.einsum("iv,iv->v", scaled, scaled) / len(scaled))
    alike |= norm == 0
    scaled /= np.where(alike, np.inf, norm)
    return scaled.astype(np.float32)


def inverse_deviation(square: Singles, mean: Singles) -> Singles:
    """Compute 1 / standard deviation from means of squares and means in resamples, in place.

    Both are (n_columns, n_lines). Returns `square`, with 0 where a resample has only one value.
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

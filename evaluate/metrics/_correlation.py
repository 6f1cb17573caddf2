"""Pearson's r of each vertex, in float64 and in bounded memory."""

from collections.abc import Iterator

import numpy as np

from challenge import constant_columns
from evaluate.arrays import Array, Floats
from evaluate.errors import EvaluateError

# 2048 columns of 10,000 pictures in float64 are 160 MB: whole hemispheres are never copied.
BLOCK = 2048


def correlation(measured: Array, predicted: Array) -> Floats:
    """Compute Pearson's r between measured and predicted responses, vertex by vertex.

    Parameters
    ----------
    measured : array (n_images, n_vertices)
        Responses, any float dtype; memory maps are read block by block.
    predicted : array (n_images, n_vertices)
        Predictions of these responses.

    Returns
    -------
    array (n_vertices,), float64
        Pearson's r in -1..1. A vertex whose prediction or measurement is constant, but for
        rounding, has no correlation and gets 0.

    Raises
    ------
    EvaluateError
        If the shapes differ, or there are fewer than two images.

    Examples
    --------
    >>> measured = np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])
    >>> correlation(measured, measured * [-1, 0])
    array([-1.,  0.])
    """
    if measured.ndim != 2 or measured.shape != predicted.shape:
        raise EvaluateError(
            f"measured responses are {measured.shape} and predictions {predicted.shape} "
            "(images, vertices): they must agree"
        )
    if len(measured) < 2:
        raise EvaluateError(f"{len(measured)} picture has no correlation: score at least two")
    r = np.empty(measured.shape[1])
    for block in _blocks(measured.shape[1]):
        r[block] = _block_correlation(measured[:, block], predicted[:, block])
    return r


def _blocks(n_vertices: int) -> Iterator[slice]:
    for start in range(0, n_vertices, BLOCK):
        yield slice(start, start + BLOCK)


def _block_correlation(y: Array, p: Array) -> Floats:
    # Constant columns are found by their values: their centred squares may round to above 0.
    undefined = constant_columns(y) | constant_columns(p)
    y = y.astype(np.float64)
    p = p.astype(np.float64)
    y -= y.mean(axis=0)
    p -= p.mean(axis=0)
    # Roots are taken before the product, as two tiny sums of squares could underflow.
    norms = np.sqrt(np.einsum("iv,iv->v", y, y)) * np.sqrt(np.einsum("iv,iv->v", p, p))
    undefined |= norms == 0
    r = np.einsum("iv,iv->v", y, p) / np.where(undefined, 1.0, norms)
    r[undefined] = 0.0
    return np.clip(r, -1.0, 1.0)

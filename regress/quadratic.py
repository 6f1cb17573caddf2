"""The double sum over eigenvectors that a held-out score needs, for many penalties."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from himalaya.backend import get_backend
from numpy.typing import NDArray

from regress.moments import Array

BLOCK = 64
# Of the double sum's matrix for all penalties, formed at once.
BYTES = 128 << 20


def penalty_basis(
    eigenvalues: NDArray[np.float64], alphas: NDArray[np.float64], like: Array
) -> tuple[Array, Array]:
    """Find the penalties from whose double sums those of all penalties follow.

    For a pair of eigenvalues the double sum's weight, 1 / ((l_i + a) (l_j + a)), is smooth in the
    penalty: over a fine grid most of the weights are, to rounding, mixtures of a few.

    Parameters
    ----------
    eigenvalues : array (n_features,)
        Of the training side.
    alphas : array (n_alphas,)
        The penalties.
    like : array
        Of the dtype whose rounding is the tolerance.

    Returns
    -------
    some : array of int (n_basis,)
        The numbers of penalties that are enough.
    mix : array (n_alphas, n_basis)
        What mixture of them each penalty is.
    """
    backend = get_backend()
    # A sample of the spectrum, even in number and in decades; weights relative to no penalty.
    ordered = np.sort(eigenvalues[eigenvalues > 0])
    ordered = ordered if len(ordered) else np.ones(1)
    even = np.linspace(0, len(ordered) - 1, 16).astype(int)
    decades = np.searchsorted(ordered, np.geomspace(ordered[0], ordered[-1], 32))
    points = ordered[np.unique(np.concatenate([even, decades.clip(max=len(ordered) - 1)]))]
    kept = points[:, None] / (points[:, None] + alphas)
    i, j = np.triu_indices(len(points))
    weights = kept[i] * kept[j]
    tolerance = 4 * np.finfo(backend.to_numpy(like[:0]).dtype).eps
    # Take the penalty that those taken so far explain least, until all are explained.
    rest = weights.copy()
    some: list[int] = []
    while len(some) < len(alphas) and np.abs(rest).max() > tolerance:
        some.append(int((rest**2).sum(0).argmax()))
        direction = rest[:, some[-1]] / np.linalg.norm(rest[:, some[-1]])
        rest -= direction[:, None] * (direction @ rest)
    mix = np.linalg.lstsq(weights[:, some], weights, rcond=None)[0]
    return backend.asarray(np.array(some)), backend.asarray_like(mix.T, like)


def quadratic(E: Array, C: Array, shrink: Array) -> Array:
    """Form the sums over i and j of c_i k_i E_ij k_j c_j.

    Parameters
    ----------
    E : array (n_features, n_features)
        Symmetric.
    C : array (n_features, n_vertices)
        A column a vertex.
    shrink : array (n_alphas, n_features)
        A row k a penalty.

    Returns
    -------
    array (n_alphas, n_vertices)
        The sums.
    """
    n_alphas, n_features = shrink.shape
    result: Any = 0.0
    step = max(1, BYTES // max(1, n_alphas * n_features * E.dtype.itemsize) // BLOCK) * BLOCK
    for rows in slices(n_features, min(BLOCK, step)):
        left = E[rows, : rows.stop] * _twice_below(rows, C)
        stacked = shrink[:, rows, None] * left[None] * shrink[:, None, : rows.stop]
        products = stacked.reshape(-1, rows.stop) @ C[: rows.stop]
        products = products.reshape(n_alphas, rows.stop - rows.start, -1)
        result = result + _weigh(products, C[rows])
    return result


def _twice_below(rows: slice, like: Array) -> Array:
    weights = np.full(rows.stop, 2.0)
    weights[rows.start :] = 1.0
    return get_backend().asarray_like(weights, like)[None]


def _weigh(products: Array, C: Array) -> Array:
    if isinstance(products, np.ndarray):
        return np.einsum("abt,bt->at", products, C)
    return (products * C[None]).sum(1)


def slices(n: int, step: int) -> Iterator[slice]:
    """Divide a range into parts.

    Parameters
    ----------
    n : int
        Its length.
    step : int
        The length of a part.

    Yields
    ------
    slice
        One part after the other; the last may be shorter.
    """
    for start in range(0, n, step):
        yield slice(start, min(start + step, n))

"""Decompositions of X'X and XX' or, where these would lose digits, of X itself."""

import logging
from functools import cache
from typing import Any

import numpy as np
from himalaya.backend import get_backend

from regress.solvers.moments import Array, feature_moments, origin

log = logging.getLogger("regress")

# Beyond this ratio of eigenvalues, X'X in float64 has fewer than nine digits.
WIDE = 1e7
# Beyond this one, fewer than the four that float32 features promise.
WIDE_OF_SINGLE = 1e12
# How far above the rounding of float32 sums the smallest penalised eigenvalue must lie: in units of
# float32 times the mean eigenvalue, so much for each root of n, for a matrix of n x n, and so much
# at least. Random roundings have a norm of half such a root; of XX' it is twice that, which is
# decomposed in float32 too. The least keeps two digits where columns are few, and leaves alphas
# from 1 on alone at the size of the challenge.
CLEAR = {"primal": 3, "dual": 10}
CLEAR_AT_LEAST = 300


def eigh(matrix: Array) -> tuple[Array, Array]:
    """Decompose a symmetric matrix.

    Parameters
    ----------
    matrix : array (n, n)
        Positive semi-definite but for rounding; of float64 where numbers should be exact.

    Returns
    -------
    eigenvalues : array (n,)
        Eigenvalues; those that rounding made negative are 0.
    V : array (n, n)
        Eigenvectors in columns.
    """
    # numpy's divide and conquer is several times as fast as scipy's default, himalaya's choice.
    solver = np.linalg.eigh if isinstance(matrix, np.ndarray) else get_backend().eigh
    eigenvalues, V = solver(matrix)
    return eigenvalues * (eigenvalues > 0), V


def loses_digits(eigenvalues: Array, least: float, reference: Array, wide: float) -> bool:
    """Return whether the spectrum of X'X, or XX', is too wide to decompose it in place of X.

    Rounding errors of the product are relative to its largest eigenvalue, those of X to the root of
    it.

    Parameters
    ----------
    eigenvalues : array of float64 (n,)
        Eigenvalues of the product.
    reference : array
        Array of the dtype of the sums; float32 sums have passed `with_enough_digits`.
    """
    too_wide = float(eigenvalues.max()) > wide * (float(eigenvalues.min()) + least)
    return too_wide and "64" in str(reference.dtype)


def widest(features: Array) -> float:
    """Return the ratio of eigenvalues up to which X'X in float64 serves features."""
    return WIDE if "64" in str(features.dtype) else WIDE_OF_SINGLE


def with_enough_digits(
    X: Array, form: str, fit_intercept: bool, gammas: Array, least: float
) -> Array:
    """Return X, converted to float64 if float32 sums would lose directions of it.

    Rounding moves the eigenvalues of X'X, or XX', by about eps trace / sqrt(n) for a matrix of
    n x n. What lies below that is lost, unless the smallest penalty is larger.

    Parameters
    ----------
    X : array (n_images, n_features)
        Features.
    gammas : array of float64 (n_weightings, n_bands)
        Weightings of the bands that will be tried.

    Returns
    -------
    array (n_images, n_features)
        X itself, or a copy in float64.
    """
    if "32" not in str(X.dtype):
        return X
    backend = get_backend()
    squares = X.var(0) if fit_intercept else (X**2).mean(0)
    trace = float(gammas.max()) * len(X) * float(backend.asarray(squares, dtype="float64").sum())
    n = X.shape[1] if form == "primal" else len(X)
    eps = float(np.finfo(np.float32).eps)
    limit = eps * trace / n * max(CLEAR[form] * n**0.5, CLEAR_AT_LEAST)
    if least >= limit:
        return X
    # A centred kernel has an eigenvalue of 0; a product of columns, only where they depend on one
    # another.
    if form == "primal":
        sums = feature_moments(X, np.arange(len(X)), origin(X) if fit_intercept else None)
        mean = sums.x / sums.n * fit_intercept
        smallest = float(eigh(sums.about(mean))[0].min())
        if least + smallest * float(gammas[gammas > 0].min()) >= limit:
            return X
    _log_float64(f"{limit:.2g}")
    return backend.asarray(X, dtype="float64")


@cache
def _log_float64(limit: str) -> None:
    log.info(
        "features are nearly collinear for alphas below %s: float64 is used, since float32 has too "
        "few digits; this takes two to three times as long",
        limit,
    )


def decompose_rows(X: Array) -> tuple[Array, Array, Array]:
    """Decompose X itself, which keeps all digits and costs several times as much as X'X.

    Parameters
    ----------
    X : array of float64 (n_images, n_features)
        About its mean, where there is an intercept.

    Returns
    -------
    Q : array (n_images, n_components)
        Eigenvectors of XX'.
    eigenvalues : array (n_components,)
        Eigenvalues of X'X.
    V : array (n_features, n_components)
        Eigenvectors of X'X.
    """
    Q, singular, Vt = get_backend().svd(X, full_matrices=False)
    return Q, singular**2, Vt.T


# Bytes of decompositions that are cached for the next batch of vertices, or hemisphere.
CACHE_BYTES = 1 << 29


class ResultCache:
    """Cache of the results of the first weightings that fit into memory, and of the last one.

    Plain ridge has one weighting, so that each decomposition is done once, however many batches of
    vertices follow. A search goes through the same weightings for every batch, in the same order:
    the results that were cached first are those needed next.

    Parameters
    ----------
    size : int
        Bytes of one result.
    """

    def __init__(self, size: int) -> None:
        self._max_results = max_results(size)
        self._values: dict[tuple[bytes, float], Any] = {}

    def find(self, gamma: Array, least: float) -> Any:
        """Return the result for a weighting and a least penalty; else make room, return None."""
        key = (get_backend().to_numpy(gamma).tobytes(), least)
        if key not in self._values and len(self._values) == self._max_results:
            self._values.popitem()
        return self._values.get(key)

    def add(self, gamma: Array, least: float, result: Any) -> Any:
        """Store a result for which `find` made room, and return it."""
        self._values[get_backend().to_numpy(gamma).tobytes(), least] = result
        return result


def max_results(size: int) -> int:
    """Return the number of results that fit into the cache."""
    return max(1, CACHE_BYTES // max(1, size))

"""Decompositions: of products of X, or where that would cost digits, of X itself."""

import numpy as np
from himalaya.backend import get_backend

from regress.moments import Array

# Beyond this ratio of eigenvalues, X'X in float64 has fewer than nine digits.
WIDE = 1e7


def eigh(matrix: Array) -> tuple[Array, Array]:
    """Decompose a symmetric matrix.

    Parameters
    ----------
    matrix : array (n, n)
        Positive semi-definite but for rounding; of float64 where numbers should be exact.

    Returns
    -------
    eigenvalues : array (n,)
        What rounding made negative is 0.
    V : array (n, n)
        Eigenvectors in columns.
    """
    # numpy's divide and conquer is several times as fast as scipy's default, himalaya's choice.
    decompose_it = np.linalg.eigh if isinstance(matrix, np.ndarray) else get_backend().eigh
    eigenvalues, V = decompose_it(matrix)
    return eigenvalues * (eigenvalues > 0), V


def loses_digits(eigenvalues: Array, least: float, like: Array) -> bool:
    """Tell whether X'X, or XX', has too wide a spectrum to be decomposed in its stead.

    Its rounding is that of its largest eigenvalue, X's that of the root of it.

    Parameters
    ----------
    eigenvalues : array of float64 (n,)
        Of the product.
    least : float
        The smallest penalty.
    like : array
        Of the dtype of the data; in float32 nothing is lost that they have.

    Returns
    -------
    bool
        Whether to decompose X itself.
    """
    wide = float(eigenvalues.max()) > WIDE * (float(eigenvalues.min()) + least)
    return wide and "64" in str(like.dtype)


def decompose_rows(X: Array) -> tuple[Array, Array, Array]:
    """Decompose X itself, which costs several times as much as X'X, and keeps all digits.

    Parameters
    ----------
    X : array of float64 (n_images, n_features)
        About its mean, where there is an intercept.

    Returns
    -------
    Q : array (n_images, n_components)
        Eigenvectors of XX'.
    eigenvalues : array (n_components,)
        Of X'X.
    V : array (n_features, n_components)
        Eigenvectors of X'X.
    """
    Q, singular, Vt = get_backend().svd(X, full_matrices=False)
    return Q, singular**2, Vt.T

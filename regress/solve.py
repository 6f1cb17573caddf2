"""Ridge coefficients for given penalties: primal, or dual where columns are many."""

import os

import numpy as np
from himalaya.backend import get_backend, set_backend
from numpy.typing import NDArray

from regress.errors import RegressError

Floats = NDArray[np.floating]

# Vertices that himalaya takes at once; bounds the memory of one fit, not its result.
BATCH = 1000


def use_device(device: str) -> str:
    """Choose himalaya's backend; it is one for the whole process.

    Parameters
    ----------
    device : str
        "auto" (a GPU if torch sees one), "cpu" (numpy), "cuda" (torch on the GPU) or "torch"
        (torch on the CPU: the GPU's code path without a GPU).

    Returns
    -------
    str
        The name of himalaya's backend.

    Raises
    ------
    RegressError
        If the device is not there, or himalaya was told to skip fitting.
    """
    refuse_skipped_fits()
    if device == "auto":
        import torch

        device = "cuda" if torch.cuda.is_available() else "cpu"
    names = {"cpu": "numpy", "torch": "torch", "cuda": "torch_cuda"}
    if device not in names:
        raise RegressError(f"--device {device}: expected auto, cuda, {', '.join(names)}")
    try:
        set_backend(names[device])
    except RuntimeError as error:
        raise RegressError(f"--device {device}: {error}; choose auto or cpu") from error
    return names[device]


def refuse_skipped_fits() -> None:
    """Refuse to fit where himalaya would return invented weights.

    Raises
    ------
    RegressError
        If the environment variable HIMALAYA_SKIP_FIT is set.
    """
    if os.environ.get("HIMALAYA_SKIP_FIT"):
        raise RegressError(
            "the environment variable HIMALAYA_SKIP_FIT is set: himalaya would skip the fit and "
            "return invented weights; unset it (unset HIMALAYA_SKIP_FIT) and run again"
        )


def to_numpy(array: object) -> NDArray:
    """Bring an array of himalaya's backend to numpy, in main memory.

    Parameters
    ----------
    array : array
        Of whichever backend.

    Returns
    -------
    array
        The same numbers.
    """
    plain: NDArray = np.asarray(get_backend().to_numpy(array))
    return plain


def solve_ridge(X: Floats, Y: Floats, alphas: Floats) -> Floats:
    """Solve ridge regression with a penalty for each vertex.

    Parameters
    ----------
    X : array (n_images, n_features)
        Centred features.
    Y : array (n_images, n_vertices)
        Centred responses.
    alphas : array (n_vertices,)
        The penalty of each vertex.

    Returns
    -------
    array (n_features, n_vertices)
        Coefficients, of the dtype of X.

    References
    ----------
    Hastie, Tibshirani, Friedman (2009). The Elements of Statistical Learning, equations 3.47 and
    5.77.
    """
    backend = get_backend()
    X_, Y_ = backend.asarray(X), backend.asarray(Y)
    penalties = backend.asarray_like(np.asarray(alphas, X.dtype), X_)[None]
    # One decomposition for all vertices; himalaya's own Ridge would form, for penalties that
    # differ, a matrix of n_features x n_images for each vertex.
    if X.shape[1] <= X.shape[0]:
        U, s, Vt = backend.svd(X_, full_matrices=False)
        shrunk = (U.T @ Y_) * (s[:, None] / (s[:, None] ** 2 + penalties))
        return to_numpy(Vt.T @ shrunk)
    eigenvalues, Q = backend.eigh(X_ @ X_.T)
    eigenvalues = eigenvalues * (eigenvalues > 0)  # rounding makes some of the smallest negative
    shrunk = (Q.T @ Y_) / (eigenvalues[:, None] + penalties)
    return to_numpy(X_.T @ (Q @ shrunk))


def solve_banded(X: Floats, Y: Floats, bands: NDArray[np.int64], deltas: Floats) -> Floats:
    """Solve banded ridge regression with given weights of the bands.

    Vertices that share the bands' proportions are solved together, by one decomposition.

    Parameters
    ----------
    X : array (n_images, n_features)
        Centred features.
    Y : array (n_images, n_vertices)
        Centred responses.
    bands : array of int (n_features,)
        The band of each column.
    deltas : array (n_bands, n_vertices)
        Log of gamma / alpha for each band and vertex, as himalaya has it; the gammas of a vertex
        sum to 1.

    Returns
    -------
    array (n_features, n_vertices)
        Coefficients for X as it is given.
    """
    gammas = np.exp(np.asarray(deltas, np.float64))
    alphas = 1 / gammas.sum(0)
    proportions, which = np.unique(np.round(gammas * alphas, 6), axis=1, return_inverse=True)
    coefficients = np.empty((X.shape[1], Y.shape[1]), X.dtype)
    for number, gamma in enumerate(proportions.T):
        same = which.ravel() == number
        scale = np.sqrt(gamma)[bands].astype(X.dtype)
        solved = solve_ridge(X * scale, Y[:, same], alphas[same])
        coefficients[:, same] = solved * scale[:, None]
    return coefficients

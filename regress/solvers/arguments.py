"""Checks and conversions of the solvers' arguments, which are himalaya's."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from himalaya.backend import get_backend
from himalaya.kernel_ridge import generate_dirichlet_samples
from himalaya.scoring import correlation_score
from numpy.typing import NDArray
from sklearn.model_selection import check_cv

from regress.errors import RegressError
from regress.solvers.moments import Array

Rows = NDArray[np.int64]


@dataclass
class Splits:
    """Rows of each fold's training and held-out side; there may be no folds.

    Attributes
    ----------
    train, held : list of array of int
        Rows of each fold's training and held-out side.
    n : int
        Number of pictures.
    complements : list of bool
        For each fold, whether its two sides make up all pictures.
    partition : bool
        Whether the held-out sides of all folds make up all pictures, each once.
    """

    train: list[Rows]
    held: list[Rows]
    n: int
    complements: list[bool] = field(init=False)
    partition: bool = field(init=False)

    def __post_init__(self) -> None:
        for number, (train, held) in enumerate(zip(self.train, self.held, strict=True)):
            if len(train) == 0 or len(held) == 0:
                raise ValueError(
                    f"Empty train or validation set in fold {number} (train {len(train)}, held "
                    f"out {len(held)}). Check that `cv` is correctly defined."
                )
        self.complements = [
            len(train) + len(held) == self.n and len(np.union1d(train, held)) == self.n
            for train, held in zip(self.train, self.held, strict=True)
        ]
        every = np.concatenate([np.empty(0, np.int64), *self.held])
        self.partition = len(every) == self.n and len(np.unique(every)) == self.n

    @property
    def has_single(self) -> bool:
        """Whether a fold holds out one picture alone, for which R^2 and r are undefined."""
        return any(len(held) < 2 for held in self.held)


SCOPES = ("vertex", "roi")
# Of weightings, epochs and other counts: a search or training of more would take years.
MAX_COUNT = 1_000_000


def check_rows(Xs: Sequence[Array], Y: Array) -> None:
    """Check that each band has columns, and as many rows as the responses."""
    for number, X in enumerate(Xs):
        if X.shape[1] == 0:
            raise RegressError(f"band {number} has no columns: leave it out")
        if X.shape[0] != Y.shape[0]:
            raise ValueError("X and Y must have the same number of samples.")


def penalties_of(alphas: Any) -> Array:
    """Return penalties as an array of float64 (n_alphas,); all must be positive."""
    backend = get_backend()
    values = np.atleast_1d(np.asarray(backend.to_numpy(backend.asarray(alphas)), np.float64))
    if values.size == 0 or not (np.isfinite(values) & (values > 0)).all():
        raise RegressError(f"alphas: found {values.tolist()}, expected positive numbers")
    return backend.asarray(values, dtype="float64")


def weightings_of(n_iter: Any, n_bands: int, concentration: Any, random_state: Any) -> Any:
    """Draw weightings of the bands, or check an array of them.

    Parameters
    ----------
    n_iter : int, or array (n_weightings, n_bands)
        Number of weightings to draw, or the weightings.

    Returns
    -------
    array (n_weightings, n_bands)
        Weights of the bands; the first drawn weighting has equal weights.
    """
    backend = get_backend()
    if isinstance(n_iter, int | np.integer):
        weightings = generate_dirichlet_samples(
            n_samples=int(n_iter),
            n_kernels=n_bands,
            concentration=list(np.atleast_1d(concentration)),
            random_state=random_state,
        )
        weightings[0] = 1 / n_bands
        return weightings
    if getattr(n_iter, "ndim", 0) != 2 or n_iter.shape[1] != n_bands:
        raise RegressError(
            f"n_iter: found shape {getattr(n_iter, 'shape', type(n_iter).__name__)}, expected a "
            f"number, or an array (n_weightings, {n_bands}) of weights"
        )
    weights = np.asarray(backend.to_numpy(n_iter))
    if not (np.isfinite(weights).all() and (weights >= 0).all() and (weights.sum(1) > 0).all()):
        raise ValueError("n_iter: weights must be finite, not negative, and not all 0")
    return weights


def splits_of(cv: Any, Y: Array, score: Any = None) -> Splits:
    """Return the rows of each fold's two sides."""
    n_images = Y.shape[0]
    check_splitter(cv, n_images)
    sides = [(_rows(a), _rows(b)) for a, b in check_cv(cv).split(np.empty((n_images, 1)))]
    if any(side.size and int(side.max()) >= n_images for pair in sides for side in pair):
        raise ValueError("Indices in cv exceed number of samples.")
    splits = Splits([a for a, _ in sides], [b for _, b in sides], n_images)
    if score is correlation_score and splits.has_single:
        raise RegressError(
            "cv: a fold holds out one picture alone, of which there is no correlation: take fewer "
            "folds, or r2_score, which is pooled over them"
        )
    return splits


def check_splitter(cv: Any, n_images: int) -> None:
    """Raise an error for a splitter that needs more than the number of pictures."""
    if not hasattr(cv, "split"):
        return
    try:
        next(iter(cv.split(np.empty((n_images, 1)))))
    except (TypeError, ValueError) as error:
        fault = error
    else:
        return
    if isinstance(fault, ValueError) and "groups" not in str(fault):
        raise fault
    raise RegressError(
        f"cv: {cv} needs labels or groups, which are not known here ({fault}): give its folds, "
        "list(cv.split(X, labels, groups))"
    ) from fault


def _rows(side: Any) -> NDArray[np.int64]:
    """Return row numbers, from them or from a mask."""
    side = np.asarray(side)
    return np.flatnonzero(side) if side.dtype == bool else side.astype(np.int64)


def rois_of(scope: Any, n_vertices: int) -> Any:
    """Return the ROI number of each vertex.

    Parameters
    ----------
    scope : "vertex", "roi", or array of int (n_vertices,)
        Which vertices share a choice: none, all, or those with the same number.

    Returns
    -------
    array of int (n_vertices,) or None
        Numbers from 0, none left out; None where each vertex chooses alone.
    """
    if isinstance(scope, str) and scope in SCOPES:
        return None if scope == "vertex" else np.zeros(n_vertices, np.int64)
    numbers = np.asarray(scope)
    if numbers.shape != (n_vertices,):
        description = repr(scope) if isinstance(scope, str) else f"shape {numbers.shape}"
        raise RegressError(
            f"scope: found {description}, expected {', '.join(SCOPES)} or an ROI number for "
            f"each of the {n_vertices} vertices"
        )
    return np.unique(numbers, return_inverse=True)[1]


def batch_size(
    requested: int | None,
    bytes_per_vertex: int,
    memory: int,
    n_vertices: int,
    rois: Any,
    local: bool,
) -> int:
    """Return the number of vertices to solve at once.

    Returns
    -------
    int
        At least 1. Vertices that choose together are never divided.
    """
    if bytes_per_vertex > memory:
        raise RegressError(
            f"memory: {memory:,} bytes are too few for one vertex; {bytes_per_vertex:,} are needed"
        )
    # Vertices that choose together must be solved together.
    if rois is not None or not local:
        return n_vertices
    return max(1, min(requested or n_vertices, memory // bytes_per_vertex, n_vertices))

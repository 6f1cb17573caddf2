"""himalaya's solver functions, on shared statistics.

`solve_ridge_cv_moments` and `solve_group_ridge_moments` take the arguments of himalaya's
`solve_ridge_cv_svd` and `solve_group_ridge_random_search`, give the same answers, and stand in the
solver tables of `RidgeCV` and `BandedRidgeCV`.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from himalaya.backend import get_backend
from himalaya.kernel_ridge import generate_dirichlet_samples
from himalaya.scoring import l2_neg_loss
from himalaya.validation import check_cv

from regress.errors import RegressError
from regress.forms import choose_form, coefficients_of
from regress.heldout import Score
from regress.moments import Array
from regress.search import Found, Rule, search
from regress.splits import Splits

log = logging.getLogger("regress")

MEMORY = 2 << 30


def solve_ridge_cv_moments(
    X: Array,
    Y: Array,
    alphas: Any = 1.0,
    fit_intercept: bool = False,
    score_func: Score = l2_neg_loss,
    cv: Any = 5,
    local_alpha: bool = True,
    n_targets_batch: int | None = None,
    n_targets_batch_refit: int | None = None,
    n_alphas_batch: int | None = None,
    conservative: bool = False,
    Y_in_cpu: bool = False,
    warn: bool = True,
    **more: Any,
) -> tuple[Array, ...]:
    """Solve ridge regression with a grid search over alphas.

    Parameters
    ----------
    X : array (n_images, n_features)
        Features.
    Y : array (n_images, n_vertices)
        Responses.
    alphas, fit_intercept, score_func, cv, local_alpha, n_targets_batch
        As in `himalaya.ridge.solve_ridge_cv_svd`. Alphas must be positive.
    n_targets_batch_refit, n_alphas_batch
        Taken for himalaya's sake, and of no effect: memory is bounded by `memory`.
    conservative, Y_in_cpu
        As in himalaya.
    warn
        Taken for himalaya's sake, and of no effect: wide X is solved in the dual form.
    **more
        `groups`, `form` and `memory` of `solve_group_ridge_moments`.

    Returns
    -------
    best_alphas : array (n_vertices,)
        The penalties chosen.
    coefs : array (n_features, n_vertices)
        On all pictures; in main memory.
    cv_scores : array (1, n_vertices)
        The mean over folds at the penalty chosen; in main memory.
    intercept : array (n_vertices,)
        Only with `fit_intercept`.
    """
    gammas = np.ones((1, 1))
    deltas, *rest = solve_group_ridge_moments(
        [X],
        Y,
        n_iter=gammas,
        alphas=alphas,
        fit_intercept=fit_intercept,
        score_func=score_func,
        cv=cv,
        return_weights=True,
        local_alpha=local_alpha,
        n_targets_batch=n_targets_batch,
        conservative=conservative,
        progress_bar=False,
        Y_in_cpu=Y_in_cpu,
        **more,
    )
    return (get_backend().exp(-deltas[0]), *rest)


def solve_group_ridge_moments(
    Xs: Sequence[Array],
    Y: Array,
    n_iter: Any = 100,
    concentration: Any = (0.1, 1.0),
    alphas: Any = 1.0,
    fit_intercept: bool = False,
    score_func: Score = l2_neg_loss,
    cv: Any = 5,
    return_weights: bool = False,
    local_alpha: bool = True,
    jitter_alphas: bool = False,
    random_state: int | None = None,
    n_targets_batch: int | None = None,
    n_targets_batch_refit: int | None = None,
    n_alphas_batch: int | None = None,
    progress_bar: bool = True,
    conservative: bool = False,
    Y_in_cpu: bool = False,
    diagonalize_method: str = "eigh",
    warn: bool = True,
    groups: Any = None,
    form: str = "auto",
    memory: int = MEMORY,
    patience: int | None = None,
) -> tuple[Array, ...]:
    """Solve banded ridge regression by random search on the simplex.

    Parameters
    ----------
    Xs : list of array (n_images, n_features)
        Features, one array a band.
    Y : array (n_images, n_vertices)
        Responses.
    n_iter, concentration, alphas, fit_intercept, score_func, cv, return_weights, local_alpha
        As in `himalaya.ridge.solve_group_ridge_random_search`. Alphas must be positive.
    jitter_alphas
        Not offered: must be False.
    random_state, n_targets_batch
        As in himalaya.
    n_targets_batch_refit, n_alphas_batch
        Taken for himalaya's sake, and of no effect: memory is bounded by `memory`.
    progress_bar, conservative, Y_in_cpu
        As in himalaya.
    diagonalize_method, warn
        Taken for himalaya's sake, and of no effect: wide X is solved in the dual form.
    groups : array of int (n_vertices,), optional
        Vertices of one number (an ROI) choose together, by their mean score.
    form : str
        "primal", "dual", or "auto": dual where columns outnumber pictures.
    memory : int
        Bytes that the responses of a batch of vertices may take.
    patience : int, optional
        Stop after so many weightings that bettered no vertex.

    Returns
    -------
    deltas : array (n_bands, n_vertices)
        Log of gamma / alpha.
    coefs : array (n_features, n_vertices) or None
        On all pictures, where `return_weights`; in main memory.
    cv_scores : array (n_weightings, n_vertices)
        Means over folds of each weighting at its best penalty; in main memory.
    intercept : array (n_vertices,)
        Only with `fit_intercept`.

    Raises
    ------
    RegressError
        If an argument is out of range, or `memory` too small for one vertex.
    """
    if jitter_alphas:
        raise RegressError("jitter_alphas=True is not offered: give more alphas instead")
    backend = get_backend()
    Xs = [backend.asarray(X) for X in Xs]
    Y = backend.asarray(Y, dtype=Xs[0].dtype, device="cpu" if Y_in_cpu else None)
    _check(Xs, Y)
    X = Xs[0] if len(Xs) == 1 else backend.concatenate(Xs, 1)
    bands = backend.asarray(np.repeat(np.arange(len(Xs)), [part.shape[1] for part in Xs]))
    penalties = _penalties(alphas)
    gammas = backend.asarray(
        _weightings(n_iter, len(Xs), concentration, random_state), dtype="float64"
    )
    made = choose_form(form, X, bands, _splits(cv, Y), fit_intercept, score_func)
    batch = _batch(n_targets_batch, made.bytes_per_vertex, memory, Y.shape[1], groups, local_alpha)
    show = progress_bar and len(gammas) > 1

    def solve(which: slice) -> tuple[Found, Array | None, Array | None]:
        part = backend.to_gpu(Y[:, which], device=getattr(X, "device", None))
        loaded = made.load(part)
        chosen_together = None if groups is None else np.asarray(groups)[which]
        rule = Rule(local_alpha, conservative, chosen_together)
        found = search(made, loaded, part.shape[1], gammas, penalties, rule, patience, show)
        if not return_weights:
            return found, None, None
        coefficients = coefficients_of(made, loaded, gammas, found.weighting, found.alphas)
        return found, coefficients, made.intercept(loaded, coefficients)

    results = _in_batches(solve, Y.shape[1], batch)
    deltas = [backend.log(gammas[f.weighting].T / f.alphas[None]) for f, _, _ in results]
    scores = [f.scores[: min(len(g.scores) for g, _, _ in results)] for f, _, _ in results]
    given: list[Array] = [
        backend.asarray_like(backend.concatenate(deltas, 1), X),
        backend.to_cpu(backend.concatenate([c for _, c, _ in results], 1))
        if return_weights
        else None,
        backend.to_cpu(backend.asarray_like(backend.concatenate(scores, 1), X)),
    ]
    if fit_intercept:
        whole = backend.concatenate([i for _, _, i in results], 0) if return_weights else None
        given.append(backend.to_cpu(whole) if return_weights else None)
    return tuple(given)


def _check(Xs: Sequence[Array], Y: Array) -> None:
    for number, X in enumerate(Xs):
        if X.shape[1] == 0:
            raise RegressError(f"band {number} has no columns: leave it out")
        if X.shape[0] != Y.shape[0]:
            raise ValueError("X and Y must have the same number of samples.")


def _penalties(alphas: Any) -> Array:
    backend = get_backend()
    values = np.atleast_1d(np.asarray(backend.to_numpy(backend.asarray(alphas)), np.float64))
    if values.size == 0 or not (np.isfinite(values) & (values > 0)).all():
        raise RegressError(f"alphas: found {values.tolist()}, expected positive numbers")
    return backend.asarray(values, dtype="float64")


def _weightings(n_iter: Any, n_bands: int, concentration: Any, random_state: Any) -> Any:
    backend = get_backend()
    if isinstance(n_iter, int | np.integer):
        drawn = generate_dirichlet_samples(
            n_samples=int(n_iter),
            n_kernels=n_bands,
            concentration=list(np.atleast_1d(concentration)),
            random_state=random_state,
        )
        drawn[0] = 1 / n_bands
        return drawn
    if getattr(n_iter, "ndim", 0) != 2 or n_iter.shape[1] != n_bands:
        raise RegressError(
            f"n_iter: found shape {getattr(n_iter, 'shape', type(n_iter).__name__)}, expected a "
            f"number, or an array (n_weightings, {n_bands}) of weights"
        )
    return backend.to_numpy(n_iter)


def _splits(cv: Any, Y: Array) -> Splits:
    n_images = Y.shape[0]
    splitter = check_cv(cv, Y)
    if splitter.get_n_splits() > n_images:
        raise ValueError(
            f"Cannot have number of splits n_splits={splitter.get_n_splits()} greater than the "
            f"number of samples: n_samples={n_images}."
        )
    sides = [(np.asarray(a), np.asarray(b)) for a, b in splitter.split(np.empty((n_images, 1)))]
    return Splits([a for a, _ in sides], [b for _, b in sides], n_images)


def _batch(
    asked: int | None, each: int, memory: int, n_vertices: int, groups: Any, local: bool
) -> int:
    if each > memory:
        raise RegressError(
            f"memory: {memory:,} bytes are too few for one vertex; {each:,} are needed"
        )
    # Vertices that choose together must be seen together.
    if groups is not None or not local:
        return n_vertices
    return max(1, min(asked or n_vertices, memory // each, n_vertices))


def _in_batches(solve: Callable[[slice], Any], n_vertices: int, batch: int) -> list[Any]:
    """Solve batch after batch; where memory runs out, go on with half as many vertices."""
    results, start = [], 0
    while start < n_vertices:
        try:
            results.append(solve(slice(start, min(start + batch, n_vertices))))
        except (MemoryError, RuntimeError) as error:
            ran_out = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
            if not ran_out or batch == 1:
                raise
            log.warning("out of memory with %d vertices; trying %d", batch, batch // 2)
            batch //= 2
            continue
        start += batch
    return results

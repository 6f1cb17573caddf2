"""himalaya's solver functions, on shared statistics.

`solve_ridge_cv_moments` and `solve_group_ridge_moments` take the arguments of himalaya's
`solve_ridge_cv_svd` and `solve_group_ridge_random_search`, give the same answers, and stand in the
solver tables of `RidgeCV` and `BandedRidgeCV`.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from himalaya.backend import get_backend
from himalaya.scoring import l2_neg_loss

from base import Batches
from regress.errors import RegressError
from regress.solvers.arguments import (
    MAX_COUNT,
    batch_size,
    check_rows,
    penalties_of,
    rois_of,
    splits_of,
    weightings_of,
)
from regress.solvers.eigen import widest, with_enough_digits
from regress.solvers.forms import MEMORY, choose_form, coefficients_of, name_form
from regress.solvers.heldout_scores import Score
from regress.solvers.moments import Array, origin
from regress.solvers.random_search import Rule, SearchResult, search

if TYPE_CHECKING:
    from regress.solvers.checkpoint import Checkpoint

log = logging.getLogger("regress")

# Standard deviations from 0 beyond which float32 has not the digits for sums of squares.
FAR = 3


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
    **options: Any,
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
    **options
        `scope`, `form` and `memory` of `solve_group_ridge_moments`.

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
        **options,
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
    scope: Any = "vertex",
    form: str = "auto",
    memory: int = MEMORY,
    patience: int | None = None,
    checkpoint: str | Path | None = None,
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
    scope : "vertex", "roi", or array of int (n_vertices,)
        Which vertices share a choice: "vertex", none; "roi", all, by their mean score; or the
        vertices with the same number.
    form : str
        "primal", "dual", or "auto": dual where columns outnumber pictures.
    memory : int
        Bytes that the responses of a batch of vertices may take.
    patience : int, optional
        Stop after so many weightings without an improvement of any vertex.
    checkpoint : path, optional
        File in which the search saves its state every few seconds, and from which an interrupted
        search of the same arrays and arguments resumes. It is removed at the end.

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
    if isinstance(n_iter, int | np.integer) and not 1 <= n_iter <= MAX_COUNT:
        raise RegressError(f"n_iter: found {n_iter}, expected from 1 to {MAX_COUNT} weightings")
    if patience is not None and patience < 1:
        raise RegressError(f"patience: found {patience}, expected None, or 1 or more")
    if jitter_alphas:
        raise RegressError("jitter_alphas=True is not offered: give more alphas instead")
    backend = get_backend()
    Xs = [backend.asarray(X) for X in Xs]
    reference = Xs[0]
    Y = backend.asarray(Y, dtype=reference.dtype, device="cpu" if Y_in_cpu else None)
    check_rows(Xs, Y)
    X = Xs[0] if len(Xs) == 1 else backend.concatenate(Xs, 1)
    # Without an intercept nothing is centred: data far from 0 need float64 sums of squares.
    if not fit_intercept and any(origin(array, FAR) is not None for array in (X, Y)):
        X = backend.asarray(X, dtype="float64")
    bands = backend.asarray(np.repeat(np.arange(len(Xs)), [part.shape[1] for part in Xs]))
    penalties = penalties_of(alphas)
    gammas = backend.asarray(
        weightings_of(n_iter, len(Xs), concentration, random_state), dtype="float64"
    )
    form_name = name_form(form, *X.shape)
    X = with_enough_digits(X, form_name, fit_intercept, gammas, float(penalties.min()))
    splits = splits_of(cv, Y, score_func)
    rois = rois_of(scope, Y.shape[1])
    solver = choose_form(form, X, bands, splits, fit_intercept, score_func, widest(reference))
    batch = batch_size(
        n_targets_batch, solver.bytes_per_vertex, memory, Y.shape[1], rois, local_alpha
    )
    show = progress_bar and len(gammas) > 1
    checkpoints: list[Checkpoint] = []

    def solve(vertices: slice) -> tuple[SearchResult, Array | None, Array | None]:
        part = backend.to_gpu(Y[:, vertices], device=getattr(X, "device", None))
        part = backend.asarray(part, dtype=X.dtype)
        loaded = solver.load(part)
        rule = Rule(local_alpha, conservative, None if rois is None else rois[vertices])
        if checkpoint is not None:
            from regress.solvers.checkpoint import Checkpoint

            sides = (splits.train, splits.held, fit_intercept, solver.__class__.__name__)
            choice = (gammas, penalties, local_alpha, conservative, rois, score_func)
            checkpoints.append(
                Checkpoint.for_batch(Path(checkpoint), vertices, (X, part, sides, choice))
            )
        result = search(
            solver,
            loaded,
            part.shape[1],
            gammas,
            penalties,
            rule,
            patience,
            show,
            checkpoints[-1] if checkpoints else None,
        )
        if not return_weights:
            return result, None, None
        coefficients = coefficients_of(solver, loaded, gammas, result.weighting, result.alphas)
        solved = (coefficients, solver.intercept(loaded, coefficients))
        return result, *(backend.asarray_like(array, reference) for array in solved)

    results = []
    batches = Batches(Y.shape[1], batch, _log_halving, rois is None and local_alpha)
    for vertices in batches:
        with batches.attempt():
            results.append(solve(vertices))
    deltas, coefficients, scores, intercept = _joined(results, gammas, reference)
    for file in checkpoints:
        file.remove()
    return (deltas, coefficients, scores, *([intercept] if fit_intercept else []))


def _joined(
    results: Sequence[tuple[SearchResult, Array | None, Array | None]],
    gammas: Array,
    reference: Array,
) -> tuple[Array, Array | None, Array, Array | None]:
    """Concatenate batches of vertices: deltas, coefficients, scores, intercepts."""
    backend = get_backend()
    choices = [choice for choice, _, _ in results]
    # A band of weight 0 has minus infinity, as in himalaya.
    with np.errstate(divide="ignore"):
        deltas = [
            backend.log(gammas[choice.weighting].T / choice.alphas[None]) for choice in choices
        ]
    # Batches may have stopped early, each after another weighting.
    n_tried = min(len(choice.scores) for choice in choices)
    scores = backend.concatenate([choice.scores[:n_tried] for choice in choices], 1)
    coefficients = intercepts = None
    if results[0][1] is not None:
        coefficients = backend.to_cpu(backend.concatenate([part for _, part, _ in results], 1))
        intercepts = backend.to_cpu(backend.concatenate([part for _, _, part in results], 0))
    return (
        backend.asarray_like(backend.concatenate(deltas, 1), reference),
        coefficients,
        backend.to_cpu(backend.asarray_like(scores, reference)),
        intercepts,
    )


def _log_halving(size: int, smaller: int) -> None:
    log.warning("out of memory with %d vertices; trying %d", size, smaller)

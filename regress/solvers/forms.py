"""Choice between the primal and the dual form of ridge regression; coefficients by either."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import joblib
import numpy as np
from himalaya.backend import get_backend
from himalaya.scoring import l2_neg_loss

from regress.errors import RegressError
from regress.solvers.arguments import Splits
from regress.solvers.eigen import WIDE, widest, with_enough_digits
from regress.solvers.heldout_scores import Score
from regress.solvers.moments import Array
from regress.solvers.random_search import RidgeForm

log = logging.getLogger("regress")

FORMS = ("primal", "dual")
# Forms that `shared_forms` keeps: of a model's search, of its solution, and of the refit.
MAX_SHARED_FORMS = 3
_shared: list[dict[str, RidgeForm]] = []


def name_form(form: str, n_images: int, n_features: int) -> str:
    """Return the name of the form; "auto" is decided by the numbers of columns and pictures."""
    if form == "auto":
        form = "dual" if n_features > n_images else "primal"
    if form not in FORMS:
        raise RegressError(f"form: found {form!r}, expected auto, {' or '.join(FORMS)}")
    return form


@contextmanager
def shared_forms() -> Iterator[None]:
    """Share forms between batches of vertices with equal features inside a `with` block.

    Sums over pictures and decompositions are then done once for all batches and hemispheres.

    Yields
    ------
    None
        Nothing; forms are dropped at the end of the block.

    Examples
    --------
    >>> from regress.solvers.estimators import RidgeCV
    >>> X = np.random.default_rng(0).normal(size=(60, 4))
    >>> with shared_forms():
    ...     models = [RidgeCV().fit(X, responses) for responses in (X[:, :2], X[:, 2:])]
    """
    _shared.append({})
    try:
        yield
    finally:
        _shared.pop()


def choose_form(
    form: str,
    X: Array,
    bands: Array,
    splits: Splits,
    fit_intercept: bool,
    score: Score,
    wide: float = WIDE,
) -> RidgeForm:
    """Build the form of the regression, or return a shared one.

    Parameters
    ----------
    X : array (n_images, n_features)
        Features.
    bands : array of int (n_features,)
        The band of each column.
    """
    name = name_form(form, *X.shape)

    def make() -> RidgeForm:
        if splits.held:
            log.info("%s form: %d pictures, %d columns", name, *X.shape)
        arguments = (X, splits, fit_intercept, score, bands)
        if name == "dual":
            from regress.solvers.dual import Dual

            return Dual(*arguments, wide=wide)
        from regress.solvers.primal import Primal

        return Primal(*arguments, wide=wide)

    if not _shared:
        return make()
    backend = get_backend()
    plain = (backend.to_numpy(X), backend.to_numpy(bands), splits.train, splits.held)
    key = joblib.hash((name, fit_intercept, id(score), wide, *plain))
    shared = _shared[-1]
    if key not in shared:
        while len(shared) >= MAX_SHARED_FORMS:
            shared.pop(next(iter(shared)))
        # The caller may write into its array later; the form goes on reading its own.
        X = backend.copy(X)
        shared[key] = make()
    return shared[key]


def coefficients_of(
    form: RidgeForm, loaded: Any, gammas: Array, weighting: Array, alphas: Array
) -> Array:
    """Solve for the coefficients, with one decomposition for all vertices of a weighting.

    Parameters
    ----------
    gammas : array of float64 (n_weightings, n_bands)
        Weightings of the bands.
    weighting : array of int (n_vertices,)
        The weighting of each vertex.
    alphas : array of float64 (n_vertices,)
        The penalty of each vertex.

    Returns
    -------
    array (n_features, n_vertices)
        Coefficients.
    """
    backend = get_backend()
    coefficients = backend.zeros_like(form.X, shape=(form.X.shape[1], len(alphas)))
    numbers = backend.to_numpy(weighting)
    for number in np.unique(numbers):
        vertices = backend.asarray(np.flatnonzero(numbers == number))
        coefficients[:, vertices] = form.solve(gammas[number], loaded, vertices, alphas[vertices])
    return coefficients


def solve_banded_ridge(
    X: Array, Y: Array, bands: Any, deltas: Any, fit_intercept: bool = False, form: str = "auto"
) -> tuple[Array, Array]:
    """Solve banded ridge regression for given penalties and weights of the bands.

    Parameters
    ----------
    X : array (n_images, n_features)
        Features.
    Y : array (n_images, n_vertices)
        Responses.
    bands : array of int (n_features,)
        The band of each column.
    deltas : array (n_bands, n_vertices)
        Log of gamma / alpha; the gammas of a vertex sum to 1.

    Returns
    -------
    coefs : array (n_features, n_vertices)
        Coefficients.
    intercept : array (n_vertices,)
        Intercepts; 0 without `fit_intercept`.
    """
    backend = get_backend()
    reference = X = backend.asarray(X)
    ratios = np.exp(np.asarray(backend.to_numpy(backend.asarray(deltas)), np.float64))
    alphas = 1 / ratios.sum(0)
    # Equal weightings differ by rounding after the logarithm: compare six digits.
    gammas, weighting = np.unique(np.round(ratios * alphas, 6), axis=1, return_inverse=True)
    weights = backend.asarray(gammas.T, dtype="float64")
    form_name = name_form(form, *X.shape)
    X = with_enough_digits(X, form_name, fit_intercept, weights, float(alphas.min()))
    solver = choose_form(
        form,
        X,
        backend.asarray(bands),
        Splits([], [], len(X)),
        fit_intercept,
        l2_neg_loss,
        widest(reference),
    )
    loaded = solver.load(backend.asarray(Y, dtype=X.dtype))
    penalties = backend.asarray(alphas, dtype="float64")
    coefficients = coefficients_of(solver, loaded, weights, weighting.ravel(), penalties)
    solved = (coefficients, solver.intercept(loaded, coefficients))
    return backend.asarray_like(solved[0], reference), backend.asarray_like(solved[1], reference)

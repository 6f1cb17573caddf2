"""Choice between the primal and the dual form of ridge regression: coefficients, and their cost."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np
from himalaya.backend import get_backend
from himalaya.scoring import l2_neg_loss

from regress.errors import RegressError
from regress.solvers.arguments import Splits
from regress.solvers.eigen import WIDE, max_results, widest, with_enough_digits
from regress.solvers.heldout_scores import Score, predicts_held_out
from regress.solvers.moments import Array
from regress.solvers.random_search import RidgeForm

if TYPE_CHECKING:
    from execute.forecast.rates import Rates
    from regress.solvers.dual import Dual
    from regress.solvers.primal import Primal

log = logging.getLogger("regress")

FORMS = ("primal", "dual")
# The sums of a hemisphere of the challenge at 2048 columns and 5 folds fit in.
MEMORY = 5 << 28
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


def _form_class(name: str) -> "type[Primal] | type[Dual]":
    """Import a form, of which a fit mostly needs one."""
    if name == "dual":
        from regress.solvers.dual import Dual

        return Dual
    from regress.solvers.primal import Primal

    return Primal


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
        return _form_class(name)(X, splits, fit_intercept, score, bands, wide=wide)

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


# Number of times that a score reads the predictions of all penalties, and of the penalties whose
# double sums give those of all, for a spectrum such as features have.
SCORE_PASSES, BASIS = 5, 12


@dataclass(frozen=True)
class RidgeSize:
    """The size of a regression, for a search over folds, penalties and weightings of bands."""

    n_images: int
    n_features: int
    n_vertices: int
    folds: int
    alphas: tuple[float, ...]
    n_weightings: int = 1

    @property
    def form(self) -> str:
        """The form that the solver will choose, "primal" or "dual"."""
        return name_form("auto", self.n_images, self.n_features)

    @property
    def predicts(self) -> bool:
        """Whether penalties are scored by predictions, not from sums."""
        n_held = self.n_images / self.folds
        return self.form == "dual" or predicts_held_out(n_held, self.n_features)

    @property
    def batch(self) -> int:
        """Number of vertices that the search fits at once."""
        return max(1, min(MEMORY // self._vertex_bytes, self.n_vertices))

    @property
    def memory(self) -> int:
        """Bytes that a solver needs besides X and Y."""
        # Kept by the search and by the solution, besides the weighting that is worked on.
        n_others = 2 * (min(self.n_weightings, max_results(self._weighting_bytes)) - 1)
        vertices = self.batch * self._vertex_bytes
        if self.form == "dual":
            # Of what the form allows, half is in memory at a time.
            matrices, vertices = 8 * self.folds + 20, vertices // 2
        else:
            matrices = 16 * self.folds + 56
        features = 4 * self.n_images * self.n_features + matrices * self._side**2
        return features + n_others * self._weighting_bytes + vertices

    @property
    def _side(self) -> int:
        """Rows of the matrix that a solution decomposes."""
        return min(self.n_images, self.n_features)

    @property
    def _vertex_bytes(self) -> int:
        sizes = self.n_images, self.n_features, self.folds
        return 4 * _form_class(self.form).vertex_numbers(*sizes, self.predicts)

    @property
    def _weighting_bytes(self) -> int:
        """Bytes of a weighting's decompositions, which stay for the next batch of vertices."""
        return 2 * self.folds * 4 * self._side**2

    def search_seconds(self, rates: "Rates", first: bool = True) -> float:
        """Return the seconds of a search; `first` if nothing is decomposed already."""
        n, p, v, f, w = *astuple(self)[:4], self.n_weightings
        a, held, dual = len(self.alphas), n / f, self.form == "dual"
        s = n - held if dual else p
        # What all vertices share, for which a product in float64 takes as long as two; weightings
        # that do not fit into memory are decomposed again for each batch of vertices.
        shared = rates.eigh(s) + rates.products(held if self.predicts else 4 * s, s, s)
        capacity = max_results(self._weighting_bytes)
        repeated = 0 if w <= capacity else w - capacity + 1
        n_shared = first * w + (-(-v // self.batch) - first) * repeated
        # What each vertex adds: by predictions, or by double sums for a basis of the penalties.
        if self.predicts:
            scored = rates.products(1 + a * held / s, s, s, v)
            scored += rates.passes(4 * v * (3 * s + SCORE_PASSES * a * held))
        else:
            basis = min(a, BASIS)
            scored = rates.products(2 + basis / 2, s, s, v) + rates.passes(4 * v * s * (12 + basis))
        sums = 0 if dual else rates.products(n, p, v) + rates.passes(4 * v * (n + 2 * f * p))
        return f * (n_shared * shared + w * scored) + sums + first * self._product_seconds(rates)

    def solve_seconds(self, rates: "Rates", first: bool = True) -> float:
        """Return the seconds of the coefficients of chosen penalties; `first` as above."""
        n, p, v, s = self.n_images, self.n_features, self.n_vertices, self._side
        # Most weightings are the best for some vertex.
        n_shared = min(self.n_weightings, v) if first or self.n_weightings > 1 else 0
        seconds = n_shared * rates.eigh(s) + bool(n_shared) * self._product_seconds(rates)
        seconds += rates.products(n, p, v) + rates.products(2, s, s, v)
        return seconds + rates.passes(16 * v * (n + p))

    def _product_seconds(self, rates: "Rates") -> float:
        """Return the seconds of X'X, which is formed by halves, or XX'."""
        n, p = self.n_images, self.n_features
        half = 1.0 if self.form == "dual" else 0.5
        return rates.products(half, n, self._side, p) + rates.passes(12 * n * p)

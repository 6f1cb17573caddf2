"""Forecast time and memory of ridge from shapes: products and decompositions of each form."""

from dataclasses import dataclass

import numpy as np

from execute.forecast.rates import Rates
from regress.linear_model import ALPHAS
from regress.solvers.eigen import max_results
from regress.solvers.forms import name_form
from regress.solvers.group_ridge import MEMORY
from regress.solvers.heldout_scores import penalty_basis
from regress.solvers.random_search import CHUNK

# An array from which `penalty_basis` takes the rounding of float32.
FLOAT32_LIKE = np.zeros(1, np.float32)
# Number of times that a score reads the predictions of all penalties.
SCORE_PASSES = 5


@dataclass(frozen=True)
class Shape:
    """The shape of a ridge regression: sizes of X and Y, folds and penalties of the search."""

    n_images: int
    n_features: int
    n_vertices: int
    folds: int = 5
    n_alphas: int = len(ALPHAS)

    @property
    def form(self) -> str:
        """The form that the solver will choose, "primal" or "dual"."""
        return name_form("auto", self.n_images, self.n_features)

    @property
    def predicts(self) -> bool:
        """Whether the primal form scores penalties by predictions, not from sums."""
        return self.n_images / self.folds < 0.6 * self.n_features

    @property
    def batch(self) -> int:
        """Number of vertices that the search fits at once."""
        n, p = self.n_images, self.n_features
        rows = 2 * n if self.predicts else 0
        vertex_bytes = 4 * ((self.folds + 2) * p + rows) if self.form == "primal" else 16 * n
        return max(1, min(MEMORY // vertex_bytes, self.n_vertices))


def prepare_seconds(rates: Rates, shape: Shape, n_weightings: int = 1) -> float:
    """Return the seconds of the work shared by all vertices: sums or kernels, decomposed."""
    n, p, f = shape.n_images, shape.n_features, shape.folds
    train, held = n * (1 - 1 / f), n / f
    if shape.form == "dual":
        fold = rates.eigh(train) + rates.products(held, train, train) + rates.passes(24 * n * n)
        return rates.products(n, n, p) + n_weightings * f * fold + rates.passes(12 * n * p)
    # The held-out pictures or their products in float64, in the basis of the decomposition.
    held_products = (
        rates.products(held, p, p) if shape.predicts else rates.products(2, p, p, p, float64=True)
    )
    fold = rates.eigh(p) + held_products + rates.passes(48 * p * p)
    return rates.products(0.5, n, p, p) + rates.passes(12 * n * p) + n_weightings * f * fold


def score_seconds(rates: Rates, shape: Shape, n_weightings: int = 1) -> float:
    """Return the seconds of the responses' sums and the scores of all penalties."""
    n, p, v, f, a = (
        shape.n_images,
        shape.n_features,
        shape.n_vertices,
        shape.folds,
        shape.n_alphas,
    )
    train, held = n * (1 - 1 / f), n / f
    if shape.form == "dual":
        fold = rates.products(train, train, v) + rates.products(a, held, train, v)
        # The score reads the predictions of all penalties several times.
        fold += rates.gathers(4 * n * v) + rates.passes(4 * v * (n + SCORE_PASSES * a * held))
        return n_weightings * f * fold
    loaded = rates.products(n, p, v) + rates.gathers(4 * n * v) + rates.passes(8 * v * f * p)
    fold = rates.products(p, p, v) + rates.passes(4 * v * 6 * p)
    if shape.predicts:
        fold += rates.products(a, held, p, v)
        fold += rates.passes(4 * v * (2 * held + SCORE_PASSES * a * held))
    else:
        # The double sum is formed for a basis of the penalties only.
        n_spanning = n_basis(shape)
        fold += rates.products(p, p, v) + rates.products(a, p, v)
        fold += rates.products(0.5, n_spanning, p, p, v) + rates.passes(
            4 * v * (6 * p + n_spanning * p)
        )
        # Its matrices are formed again for every CHUNK vertices.
        fold += rates.passes(4 * n_spanning * p * p / 2) * -(-v // CHUNK)
    return loaded + n_weightings * f * fold


def n_basis(shape: Shape) -> int:
    """Return the size of the penalties' basis, for a spectrum such as features have."""
    n, p = shape.n_images, shape.n_features
    # Columns of unit variance, eigenvalues that fall as 1 / rank.
    decay = 1 / np.arange(1, p + 1)
    spectrum = n * p * decay / decay.sum()
    alphas = np.geomspace(ALPHAS[0], ALPHAS[-1], shape.n_alphas)
    return len(penalty_basis(spectrum, alphas, FLOAT32_LIKE)[0])


def solve_seconds(
    rates: Rates, shape: Shape, n_weightings: int = 1, prepared: bool = False
) -> float:
    """Return the seconds of the coefficients of chosen penalties.

    Sums and decompositions are left out where another hemisphere has prepared them.
    """
    n, p, v = shape.n_images, shape.n_features, shape.n_vertices
    if shape.form == "dual":
        shared = rates.products(n, n, p) + n_weightings * rates.eigh(n) + rates.passes(12 * n * p)
        per_vertex = rates.products(2, n, n, v) + rates.products(n, p, v)
        per_vertex += n_weightings * rates.passes(4 * n * p) + rates.passes(4 * v * (4 * n + 4 * p))
    else:
        shared = rates.products(0.5, n, p, p) + n_weightings * (
            rates.eigh(p) + rates.passes(48 * p * p)
        )
        per_vertex = rates.products(n, p, v) + rates.products(2, p, p, v)
        per_vertex += rates.gathers(4 * n * v) + rates.passes(40 * v * p)
    return per_vertex if prepared and n_weightings == 1 else per_vertex + shared


def n_kept(shape: Shape, n_weightings: int) -> int:
    """Return how many decomposed weightings of a search stay in memory for the next batch.

    If they do not all fit, one place is lost to the weighting that is worked on.
    """
    capacity = max_results(_decomposed_bytes(shape))
    return n_weightings if n_weightings <= capacity else capacity - 1


def _decomposed_bytes(shape: Shape) -> int:
    side = shape.n_images if shape.form == "dual" else shape.n_features
    return 2 * shape.folds * 4 * side**2


def working_memory(shape: Shape, n_weightings: int = 1) -> int:
    """Return the bytes that a solver needs besides X and Y."""
    n, p, f, batch = shape.n_images, shape.n_features, shape.folds, shape.batch
    weighting_bytes = _decomposed_bytes(shape)
    # Cached by the search and by the solution, besides the weighting that is worked on.
    cached = 2 * (min(n_weightings, max_results(weighting_bytes)) - 1) * weighting_bytes
    chunk = min(CHUNK, shape.n_vertices)
    if shape.form == "dual":
        decomposed = 4 * n * n + (f + 2) * 8 * n * n
        return (
            cached
            + decomposed
            + 4 * n * p
            + 4 * batch * 2 * n
            + 4 * chunk * shape.n_alphas * n // f
        )
    decomposed = (f + 1) * 8 * p * p + f * 2 * 4 * p * p + 6 * 8 * p * p
    vertices = 4 * batch * (f + 2) * p
    return cached + decomposed + vertices + 4 * n * p

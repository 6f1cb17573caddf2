"""What ridge takes, from shapes: the products and decompositions of each form, and its memory."""

from dataclasses import dataclass

import numpy as np

from execute.forecast.rates import Rates
from regress.linear_model import ALPHAS
from regress.solvers.eigen import max_results
from regress.solvers.forms import name_form
from regress.solvers.group_ridge import MEMORY
from regress.solvers.heldout_scores import penalty_basis
from regress.solvers.random_search import CHUNK

# The rounding of float32: what `penalty_basis` is told.
LIKE = np.zeros(1, np.float32)
# How often a score reads the predictions of all penalties.
SCORE_PASSES = 5


@dataclass(frozen=True)
class Shape:
    """One ridge regression.

    Attributes
    ----------
    n_images, n_features, n_vertices : int
        Of X and Y.
    folds : int
        Of the search.
    n_alphas : int
        How many penalties are tried.
    """

    n_images: int
    n_features: int
    n_vertices: int
    folds: int = 5
    n_alphas: int = len(ALPHAS)

    @property
    def form(self) -> str:
        """The form that the solver will take, "primal" or "dual"."""
        return name_form("auto", self.n_images, self.n_features)

    @property
    def predicts(self) -> bool:
        """Whether the primal form scores penalties by predictions, not from sums."""
        return self.n_images / self.folds < 0.6 * self.n_features

    @property
    def batch(self) -> int:
        """How many vertices the search takes at once."""
        n, p = self.n_images, self.n_features
        rows = 2 * n if self.predicts else 0
        each = 4 * ((self.folds + 2) * p + rows) if self.form == "primal" else 16 * n
        return max(1, min(MEMORY // each, self.n_vertices))


def prepare_seconds(rates: Rates, shape: Shape, n_weightings: int = 1) -> float:
    """Say how long what all vertices share takes: sums or kernels, and their decompositions."""
    n, p, f = shape.n_images, shape.n_features, shape.folds
    train, held = n * (1 - 1 / f), n / f
    if shape.form == "dual":
        fold = rates.eigh(train) + rates.products(held, train, train) + rates.passes(24 * n * n)
        return rates.products(n, n, p) + n_weightings * f * fold + rates.passes(12 * n * p)
    # The held-out side: its products in float64, or its pictures.
    turned = (
        rates.products(held, p, p) if shape.predicts else rates.products(2, p, p, p, float64=True)
    )
    fold = rates.eigh(p) + turned + rates.passes(48 * p * p)
    return rates.products(0.5, n, p, p) + rates.passes(12 * n * p) + n_weightings * f * fold


def score_seconds(rates: Rates, shape: Shape, n_weightings: int = 1) -> float:
    """Say how long the responses' sums, and the scores of all penalties, take."""
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
        # Predictions of all penalties are read some times by the score.
        fold += rates.gathers(4 * n * v) + rates.passes(4 * v * (n + SCORE_PASSES * a * held))
        return n_weightings * f * fold
    loaded = rates.products(n, p, v) + rates.gathers(4 * n * v) + rates.passes(8 * v * f * p)
    fold = rates.products(p, p, v) + rates.passes(4 * v * 6 * p)
    if shape.predicts:
        fold += rates.products(a, held, p, v)
        fold += rates.passes(4 * v * (2 * held + SCORE_PASSES * a * held))
    else:
        # The double sum stands for as many penalties as span all of them.
        some = n_basis(shape)
        fold += rates.products(p, p, v) + rates.products(a, p, v)
        fold += rates.products(0.5, some, p, p, v) + rates.passes(4 * v * (6 * p + some * p))
        # Its matrices are formed for every CHUNK vertices anew.
        fold += rates.passes(4 * some * p * p / 2) * -(-v // CHUNK)
    return loaded + n_weightings * f * fold


def n_basis(shape: Shape) -> int:
    """Say of how many penalties the others are mixtures, for a spectrum as features have it."""
    n, p = shape.n_images, shape.n_features
    # Columns of unit variance, eigenvalues that fall as 1 / rank.
    falling = 1 / np.arange(1, p + 1)
    spectrum = n * p * falling / falling.sum()
    alphas = np.geomspace(ALPHAS[0], ALPHAS[-1], shape.n_alphas)
    return len(penalty_basis(spectrum, alphas, LIKE)[0])


def solve_seconds(
    rates: Rates, shape: Shape, n_weightings: int = 1, prepared: bool = False
) -> float:
    """Say how long coefficients of known penalties take.

    Parameters
    ----------
    prepared : bool
        Whether sums and decompositions are there already, as of the other hemisphere.
    """
    n, p, v = shape.n_images, shape.n_features, shape.n_vertices
    if shape.form == "dual":
        shared = rates.products(n, n, p) + n_weightings * rates.eigh(n) + rates.passes(12 * n * p)
        own = rates.products(2, n, n, v) + rates.products(n, p, v)
        own += n_weightings * rates.passes(4 * n * p) + rates.passes(4 * v * (4 * n + 4 * p))
    else:
        shared = rates.products(0.5, n, p, p) + n_weightings * (
            rates.eigh(p) + rates.passes(48 * p * p)
        )
        own = rates.products(n, p, v) + rates.products(2, p, p, v)
        own += rates.gathers(4 * n * v) + rates.passes(40 * v * p)
    return own if prepared and n_weightings == 1 else own + shared


def n_kept(shape: Shape, n_weightings: int) -> int:
    """Return how many weightings of a search stay decomposed for the next batch of vertices.

    Returns
    -------
    int
        All, or all but those that take the last one's room.
    """
    most = max_results(_decomposed_bytes(shape))
    return n_weightings if n_weightings <= most else most - 1


def _decomposed_bytes(shape: Shape) -> int:
    side = shape.n_images if shape.form == "dual" else shape.n_features
    return 2 * shape.folds * 4 * side**2


def working_memory(shape: Shape, n_weightings: int = 1) -> int:
    """Say how much memory a solver takes beside X and Y."""
    n, p, f, batch = shape.n_images, shape.n_features, shape.folds, shape.batch
    one = _decomposed_bytes(shape)
    # Of the search and of the solution, beside the weighting that is worked on.
    kept = 2 * (min(n_weightings, max_results(one)) - 1) * one
    chunk = min(CHUNK, shape.n_vertices)
    if shape.form == "dual":
        decomposed = 4 * n * n + (f + 2) * 8 * n * n
        return (
            kept + decomposed + 4 * n * p + 4 * batch * 2 * n + 4 * chunk * shape.n_alphas * n // f
        )
    decomposed = (f + 1) * 8 * p * p + f * 2 * 4 * p * p + 6 * 8 * p * p
    vertices = 4 * batch * (f + 2) * p
    return kept + decomposed + vertices + 4 * n * p

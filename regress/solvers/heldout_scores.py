"""Scores of held-out pictures for many ridge penalties, from moments, without predictions.

Let A = V diag(l) V' be the products X'X of the training pictures about their mean, and E, D and q
those of the held-out pictures about the same mean (X'X and X'Y, both turned by V, and the diagonal
of Y'Y). The residual sum of squares of a vertex with penalty a is then

    q - 2 sum_j c_j d_j k_j + sum_ij c_i k_i E_ij k_j c_j,    with c = V'X'y of the training
                                                              pictures, k_j = 1 / (l_j + a).

The double sum is a product of the matrix (k_i E_ij k_j), which all vertices share, with c. E is
symmetric: its blocks below the diagonal count twice, those above are not formed. Where the held-out
pictures are few beside the columns, forming predictions is cheaper, and is done instead.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from himalaya.backend import get_backend
from himalaya.scoring import correlation_score, l2_neg_loss, r2_score
from numpy.typing import NDArray

from regress.solvers.arguments import Splits
from regress.solvers.moments import Array, FeatureMoments, ResponseMoments

BLOCK = 64
# Bytes of the double sum's matrices that are formed at once.
BYTES = 128 << 20


def penalty_basis(
    eigenvalues: NDArray[np.float64], alphas: NDArray[np.float64], reference: Array
) -> tuple[Array, Array]:
    """Find penalties whose double sums, linearly combined, give those of all penalties.

    For a pair of eigenvalues the double sum's weight, 1 / ((l_i + a) (l_j + a)), is smooth in the
    penalty: over a fine grid most of the weights are, to rounding, mixtures of a few.

    Parameters
    ----------
    eigenvalues : array (n_features,)
        Eigenvalues of the training side's X'X.
    alphas : array (n_alphas,)
        The penalties.

    Returns
    -------
    basis : array of int (n_basis,)
        Indices of these penalties.
    mix : array (n_alphas, n_basis)
        Weights of the basis penalties in each penalty's double sum.
    """
    backend = get_backend()
    # A sample of the spectrum, even in number and in decades; weights relative to no penalty.
    ordered = np.sort(eigenvalues[eigenvalues > 0])
    ordered = ordered if len(ordered) else np.ones(1)
    even = np.linspace(0, len(ordered) - 1, 16).astype(int)
    decades = np.searchsorted(ordered, np.geomspace(ordered[0], ordered[-1], 32))
    points = ordered[np.unique(np.concatenate([even, decades.clip(max=len(ordered) - 1)]))]
    shrinkage = points[:, None] / (points[:, None] + alphas)
    i, j = np.triu_indices(len(points))
    weights = shrinkage[i] * shrinkage[j]
    tolerance = 4 * np.finfo(backend.to_numpy(reference[:0]).dtype).eps
    # Add the penalty that the basis explains least, until all are explained.
    rest = weights.copy()
    basis: list[int] = []
    while len(basis) < len(alphas) and np.abs(rest).max() > tolerance:
        basis.append(int((rest**2).sum(0).argmax()))
        direction = rest[:, basis[-1]] / np.linalg.norm(rest[:, basis[-1]])
        rest -= direction[:, None] * (direction @ rest)
    mix = np.linalg.lstsq(weights[:, basis], weights, rcond=None)[0]
    return backend.asarray(np.array(basis)), backend.asarray_like(mix.T, reference)


def quadratic(E: Array, C: Array, shrink: Array) -> Array:
    """Form the sums over i and j of c_i k_i E_ij k_j c_j.

    Parameters
    ----------
    E : array (n_features, n_features)
        Symmetric.
    C : array (n_features, n_vertices)
        One column per vertex.
    shrink : array (n_alphas, n_features)
        One row k per penalty.

    Returns
    -------
    array (n_alphas, n_vertices)
        The sums.
    """
    n_alphas, n_features = shrink.shape
    result: Any = 0.0
    step = max(1, BYTES // max(1, n_alphas * n_features * E.dtype.itemsize) // BLOCK) * BLOCK
    for rows in slices(n_features, min(BLOCK, step)):
        left = E[rows, : rows.stop] * _twice_below(rows, C)
        stacked = shrink[:, rows, None] * left[None] * shrink[:, None, : rows.stop]
        products = stacked.reshape(-1, rows.stop) @ C[: rows.stop]
        products = products.reshape(n_alphas, rows.stop - rows.start, -1)
        result = result + _weigh(products, C[rows])
    return result


def _twice_below(rows: slice, reference: Array) -> Array:
    weights = np.full(rows.stop, 2.0)
    weights[rows.start :] = 1.0
    return get_backend().asarray_like(weights, reference)[None]


def _weigh(products: Array, C: Array) -> Array:
    if isinstance(products, np.ndarray):
        return np.einsum("abt,bt->at", products, C)
    return (products * C[None]).sum(1)


def slices(n: int, step: int) -> Iterator[slice]:
    """Yield consecutive slices of a range; the last may be shorter."""
    for start in range(0, n, step):
        yield slice(start, min(start + step, n))


Score = Callable[[Array, Array], Array]

# Scores that follow from sums of squares and products.
FROM_MOMENTS = (l2_neg_loss, r2_score, correlation_score)
ROUNDING = 1e-12


@dataclass
class Fold:
    """One fold: its training side decomposed, its held-out side turned by the eigenvectors.

    Attributes
    ----------
    train, held : FeatureMoments
        Moments of the two sides.
    intercept : bool
        Whether means are taken from the training side.
    x_mean : array (n_features,)
        The mean of the training side; zero without an intercept.
    eigenvalues : array (n_features,)
        Of the training side's X'X about the mean, not negative.
    V : array (n_features, n_features)
        Its eigenvectors.
    E : array (n_features, n_features) or None
        The held-out side's X'X about the same mean, turned; None where predictions are formed.
    basis : (array of int, array) or None
        Result of `penalty_basis`, computed when first needed, for one set of penalties.
    """

    train: FeatureMoments
    held: FeatureMoments
    intercept: bool
    x_mean: Array
    eigenvalues: Array
    V: Array
    E: Array | None
    basis: tuple[Array, Array] | None = None

    def turned(self, train: ResponseMoments) -> tuple[Array, Array]:
        """Rotate the training side's products by the eigenvectors.

        Returns
        -------
        C : array (n_features, n_vertices)
            V'X'Y about the means.
        y_mean : array (n_vertices,)
            The mean of the training side; zero without an intercept.
        """
        y_mean = train.y / self.train.n if self.intercept else train.y * 0
        return self.V.T @ train.about(self.train, self.x_mean, y_mean), y_mean

    def scores(
        self, train: ResponseMoments, held: ResponseMoments, alphas: Array, score: Score
    ) -> Array:
        """Compute the scores of all penalties from moments.

        Parameters
        ----------
        alphas : array of float64 (n_alphas,)
            The penalties.

        Returns
        -------
        array of float64 (n_alphas, n_vertices)
            Scores on the held-out pictures.
        """
        backend = get_backend()
        n = self.held.n
        C, y_mean = self.turned(train)
        shrink = backend.asarray_like(1 / (self.eigenvalues[None] + alphas[:, None]), C)
        D = self.V.T @ held.about(self.held, self.x_mean, y_mean)
        cross = _double(shrink @ (C * D))
        if self.basis is None:
            plain = (backend.to_numpy(self.eigenvalues), backend.to_numpy(alphas))
            self.basis = penalty_basis(*plain, C)
        basis, mix = self.basis
        squares = _double(mix @ quadratic(self.E, C, shrink[basis]))
        measured = held.squares(n, y_mean)
        y = held.y - n * y_mean
        if score is correlation_score:
            x = self.V.T @ backend.asarray_like(self.held.x - n * self.x_mean, C)
            return _correlation(n, cross, squares, measured, _double((shrink * x[None]) @ C), y)
        rest = measured[None] - 2 * cross + squares
        rest = rest * (rest > 0)
        if score is l2_neg_loss:
            return -rest / n
        # The spread of a constant vertex is 0 but for rounding; it scores 0, as in himalaya.
        spread = measured - y**2 / n
        varies = spread > ROUNDING * measured
        return (1 - rest / (spread + ~varies)[None]) * varies[None]


def predicts_held_out(n_held: float, n_features: int) -> bool:
    """Return whether predictions, n_held a column and penalty, cost less than sums."""
    return n_held < 0.6 * n_features


def score_of_folds(score: Score, splits: Splits) -> Score:
    """Return the score that is computed in each fold.

    Returns
    -------
    callable
        `score`; in place of R^2, which a fold of one picture does not have, the squared error, from
        which `pool` computes R^2.
    """
    return l2_neg_loss if score is r2_score and splits.has_single else score


def pool(losses: Array, splits: Splits, spread: Array, squares: Array) -> Array:
    """Return fold scores whose mean is R^2 over the held-out pictures of all folds.

    Parameters
    ----------
    losses : array of float64 (n_folds, n_alphas, n_vertices)
        Negative mean squared error of each fold.
    splits : Splits
        The folds.
    spread : array of float64 (n_vertices,)
        Sum of squares of all held-out responses about their mean.
    squares : array of float64 (n_vertices,)
        Sum of squares about 0, which bounds the rounding error.

    Returns
    -------
    array of float64 (n_folds, n_alphas, n_vertices)
        0 for a constant vertex.
    """
    sizes = np.array([len(held) for held in splits.held], float) * len(splits.held)
    sizes = get_backend().asarray_like(sizes, losses)[:, None, None]
    varies = spread > ROUNDING * squares
    return (1 + sizes * losses / (spread + ~varies)) * varies


def _correlation(
    n: int, cross: Array, squares: Array, measured: Array, predicted: Array, y: Array
) -> Array:
    spread = (measured - y**2 / n)[None] * (squares - predicted**2 / n)
    product = cross - predicted * y[None] / n
    varies = spread > ROUNDING**2 * (measured[None] * squares)
    return product / (spread * varies + ~varies) ** 0.5 * varies


def _double(array: Array) -> Array:
    return get_backend().asarray(array, dtype="float64")


def predicted_scores(
    eigenvalues: Array, C: Array, X: Array, Y: Array, alphas: Array, score: Score
) -> Array:
    """Compute scores of all penalties from predictions, in the primal or dual form.

    Parameters
    ----------
    eigenvalues : array (n_components,)
        Of the training side's X'X, or of its kernel XX'.
    C : array (n_components, n_vertices)
        V'X'Y of the training side, or Q'Y where Q are the kernel's eigenvectors.
    X : array (n_held, n_components)
        XV of the held-out side, or its kernel with the training side times Q.
    Y : array (n_held, n_vertices)
        Held-out responses about the training mean.
    alphas : array of float64 (n_alphas,)
        The penalties.
    score : callable
        From (n_held, n_vertices) and (n_alphas, n_held, n_vertices) to (n_alphas, n_vertices).

    Returns
    -------
    array (n_alphas, n_vertices)
        Scores on the held-out pictures.
    """
    shrink = get_backend().asarray_like(1 / (eigenvalues[None] + alphas[:, None]), C)
    parts = []
    step = max(1, BYTES // max(1, X.shape[0] * (X.shape[1] + C.shape[1]) * C.dtype.itemsize))
    for block in slices(len(alphas), step):
        stacked = (X[None] * shrink[block, None]).reshape(-1, X.shape[1])
        # himalaya divides by the spread of a constant vertex, and then puts 0 for it.
        with np.errstate(divide="ignore", invalid="ignore"):
            parts.append(score(Y, (stacked @ C).reshape(-1, len(X), C.shape[1])))
    return get_backend().concatenate(parts, 0)

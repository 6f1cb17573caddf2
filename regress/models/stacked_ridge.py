"""Stacked ridge: a ridge model for each feature space, combined with non-negative weights."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
from himalaya.scoring import r2_score
from numpy.typing import NDArray

from regress.backend import Floats, to_numpy
from regress.linear_model import ALPHAS, LinearModel, checked_bands
from regress.solvers.arguments import splits_of
from regress.solvers.forms import solve_banded_ridge
from regress.solvers.group_ridge import solve_group_ridge_moments

# The weights are found by trying every subset of bands, so their number is limited.
MOST_BANDS = 12


class StackedRidge(LinearModel):
    """Ridge regression on each band, combined per vertex with weights that sum to 1.

    The weights are not negative, and minimise the squared error of cross-validated predictions:
    those for each fold by a model of the other folds.

    Parameters
    ----------
    bands : array of int (n_features,), optional
        The band of each column, from 0; one band by default.
    alphas : sequence of float
        Penalties to choose from, separately for each band and vertex, all positive.
    cv : int, or iterable of (train, test) index arrays
        The folds.

    Attributes
    ----------
    best_alphas_ : array (n_bands, n_vertices)
        Penalty of each band.
    weights_ : array (n_bands, n_vertices)
        Weight of each band.
    cv_scores_ : array (n_vertices,)
        R^2 of the stacked predictions over all folds.

    References
    ----------
    Lin, Naselaris, Kay (2023). Stacked regressions and structured variance partitioning for
    interpretable brain maps. bioRxiv 2023.04.23.537988.
    Breiman (1996). Stacked regressions. Machine Learning 24, equation 3.
    """

    def __init__(
        self,
        bands: NDArray[np.int64] | None = None,
        alphas: Sequence[float] = ALPHAS,
        cv: object = 5,
    ) -> None:
        self.bands = bands
        self.alphas = alphas
        self.cv = cv

    def _search(self, X: Floats, Y: Floats, scope: Any) -> dict[str, Floats]:
        folds = splits_of(self.cv, Y)
        splits = list(zip(folds.train, folds.held, strict=True))
        alphas, residuals = [], []
        for columns in self._columns(X):
            part = X[:, columns]
            deltas = solve_group_ridge_moments(
                [part],
                Y,
                n_iter=np.ones((1, 1)),
                alphas=self.alphas,
                fit_intercept=True,
                score_func=r2_score,
                cv=splits,
                progress_bar=False,
            )[0]
            alphas.append(np.exp(-to_numpy(deltas[0])))
            residuals.append(_out_of_fold(part, Y, alphas[-1], splits))
        weights = stack(np.stack(residuals))
        rest = (weights[:, None] * np.stack(residuals)).sum(0)
        held = Y[np.concatenate(folds.held)]
        total = ((held - held.mean(0)) ** 2).sum(0)
        scores = 1 - (rest**2).sum(0) / np.where(total > 0, total, 1)
        return {
            "best_alphas_": np.stack(alphas),
            "weights_": weights.astype(X.dtype),
            "cv_scores_": np.where(total > 0, scores, 0).astype(X.dtype),
        }

    def _solve(self, X: Floats, Y: Floats, hyperparameters: dict[str, Floats]) -> Floats:
        coefficients = np.zeros((X.shape[1], Y.shape[1]), X.dtype)
        for band, columns in enumerate(self._columns(X)):
            solved = _solve_band(X[:, columns], Y, hyperparameters["best_alphas_"][band])[0]
            coefficients[columns] = hyperparameters["weights_"][band] * solved
        return coefficients

    def _columns(self, X: Floats) -> list[NDArray[np.int64]]:
        bands = checked_bands(self.bands, X.shape[1])
        n_bands = int(bands.max()) + 1
        if n_bands > MOST_BANDS:
            raise ValueError(f"bands: found {n_bands}, expected {MOST_BANDS} at most")
        return [np.flatnonzero(bands == band) for band in range(n_bands)]


def _solve_band(X: Floats, Y: Floats, alphas: Floats) -> tuple[Floats, Floats]:
    bands = np.zeros(X.shape[1], np.int64)
    coefficients, intercept = solve_banded_ridge(
        X, Y, bands, -np.log(alphas)[None], fit_intercept=True
    )
    return to_numpy(coefficients), to_numpy(intercept)


def _out_of_fold(
    X: Floats, Y: Floats, alphas: Floats, splits: Sequence[tuple[NDArray, NDArray]]
) -> Floats:
    """Compute the errors for each fold's pictures of a model of the other folds."""
    errors = []
    for train, held in splits:
        coefficients, intercept = _solve_band(X[train], Y[train], alphas)
        errors.append(Y[held] - X[held] @ coefficients - intercept)
    return np.concatenate(errors)


def stack(residuals: Floats) -> NDArray[np.float64]:
    """Compute the non-negative weights with sum 1 that minimise the squared error.

    Parameters
    ----------
    residuals : array (n_bands, n_images, n_vertices)
        Errors of each band's cross-validated predictions.

    Returns
    -------
    array of float64 (n_bands, n_vertices)
        Weights. With E the products of the residuals, those of the bands with weights above 0
        are proportional to the inverse of E times ones; every set of bands is tried.
    """
    n_bands, _, n_vertices = residuals.shape
    products = np.einsum("ait,bit->tab", residuals, residuals, dtype=np.float64)
    # Where bands predict alike, weights are not unique; the ridge shares them equally.
    scale = np.trace(products, axis1=1, axis2=2)[:, None, None] / n_bands
    products += 1e-9 * np.where(scale > 0, scale, 1) * np.eye(n_bands)
    best = np.full(n_vertices, np.inf)
    weights = np.zeros((n_bands, n_vertices))
    for size in range(1, n_bands + 1):
        for subset in combinations(range(n_bands), size):
            inner = products[:, subset][:, :, subset]
            raw = np.linalg.solve(inner, np.ones((n_vertices, size, 1)))[..., 0]
            loss = 1 / raw.sum(1)
            better = (raw >= 0).all(1) & (loss < best)
            best[better] = loss[better]
            weights[:, better] = 0
            weights[np.ix_(np.array(subset), np.flatnonzero(better))] = (
                raw[better] * loss[better, None]
            ).T
    return weights

"""Banded ridge regression: a penalty for each feature space, chosen per vertex."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from himalaya.scoring import r2_score
from numpy.typing import NDArray

from regress.backend import Floats, to_numpy
from regress.linear_model import ALPHAS, LinearModel, checked_bands
from regress.solvers.forms import solve_banded_ridge
from regress.solvers.group_ridge import solve_group_ridge_moments

# Smallest weight of a band: not 0, since the logarithm of weights is stored.
SMALLEST = 1e-5


class BandedRidge(LinearModel):
    """Ridge regression with a penalty per band and vertex, by random search.

    Concatenating feature spaces under one penalty lets a wide, poor space drown a narrow, good
    one. Here each vertex weighs the spaces. The search tries equal weights, each space nearly
    alone, and then draws from Dirichlet distributions.

    Parameters
    ----------
    bands : array of int (n_features,), optional
        The band of each column, from 0; one band by default.
    alphas : sequence of float
        Overall penalties to choose from, all positive.
    n_iter : int
        Number of weightings of the bands to try.
    cv : int, or iterable of (train, test) index arrays
        The folds.
    random_state : int
        Seed of the search.
    scope : str, or array of int (n_vertices,)
        Which vertices share a choice: "vertex", none; "roi", all vertices given to `fit`, by their
        mean score; or the vertices with the same number.
    patience : int, optional
        Stop the search after so many weightings without an improvement of any vertex.
    checkpoint : path, optional
        File in which a long search saves its state, so that it can be resumed.
    progress_bar : bool
        Whether to show the progress of the search.

    Attributes
    ----------
    deltas_ : array (n_bands, n_vertices)
        Log of gamma / alpha, the weight of each band over the penalty.
    cv_scores_ : array (n_vertices,)
        R^2 on the folds left out, the mean over folds, of the best weighting.

    References
    ----------
    Dupré la Tour, Eickenberg, Nunez-Elizalde, Gallant (2022). Feature-space selection with banded
    ridge regression. NeuroImage 264, equations 5 and 6.
    """

    def __init__(
        self,
        bands: NDArray[np.int64] | None = None,
        alphas: Sequence[float] = ALPHAS,
        n_iter: int = 20,
        cv: object = 5,
        random_state: int = 0,
        scope: object = "vertex",
        patience: int | None = None,
        checkpoint: str | Path | None = None,
        progress_bar: bool = False,
    ) -> None:
        self.bands = bands
        self.alphas = alphas
        self.n_iter = n_iter
        self.cv = cv
        self.random_state = random_state
        self.scope = scope
        self.patience = patience
        self.checkpoint = checkpoint
        self.progress_bar = progress_bar

    def _search(self, X: Floats, Y: Floats, scope: Any) -> dict[str, Floats]:
        bands = checked_bands(self.bands, X.shape[1])
        n_bands = int(bands.max()) + 1
        X = X / self._widths(bands).astype(X.dtype)
        deltas, _, scores = solve_group_ridge_moments(
            [X[:, bands == band] for band in range(n_bands)],
            Y,
            n_iter=self._weightings(n_bands),
            alphas=self.alphas,
            fit_intercept=True,
            score_func=r2_score,
            cv=self.cv,
            progress_bar=self.progress_bar,
            scope=scope,
            patience=self.patience,
            checkpoint=self.checkpoint,
        )[:3]
        return {"deltas_": deltas, "cv_scores_": to_numpy(scores).max(0)}

    def _solve(self, X: Floats, Y: Floats, hyperparameters: dict[str, Floats]) -> Floats:
        bands = checked_bands(self.bands, X.shape[1])
        widths = self._widths(bands).astype(X.dtype)
        solved = to_numpy(solve_banded_ridge(X / widths, Y, bands, hyperparameters["deltas_"])[0])
        return np.asarray(solved / widths[:, None], X.dtype)

    @staticmethod
    def _widths(bands: NDArray[np.int64]) -> NDArray[np.float64]:
        # Equal weights then mean equal variance, whatever the number of columns of each band;
        # the total stays that of columns of unit variance, and so the useful penalties do too.
        columns = np.bincount(bands)
        widths: NDArray[np.float64] = np.sqrt(columns / columns.mean())[bands]
        return widths

    def _weightings(self, n_bands: int) -> NDArray[np.float64]:
        if n_bands == 1:
            return np.ones((1, 1))
        rng = np.random.default_rng(self.random_state)
        alone = np.eye(n_bands) + SMALLEST
        samples = [
            rng.dirichlet(np.full(n_bands, (1.0, 0.3)[number % 2])) + SMALLEST
            for number in range(max(0, self.n_iter - 1 - n_bands))
        ]
        weightings = np.vstack([np.ones((1, n_bands)), alone, *samples])[: max(1, self.n_iter)]
        return np.asarray(weightings / weightings.sum(1, keepdims=True))

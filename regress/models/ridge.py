"""Ridge regression on concatenated feature spaces, with one penalty for each vertex."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from himalaya.scoring import r2_score

from regress.backend import Floats, to_numpy
from regress.linear_model import ALPHAS, LinearModel
from regress.solvers.forms import solve_banded_ridge
from regress.solvers.group_ridge import solve_group_ridge_moments


class Ridge(LinearModel):
    """Ridge regression with the penalty chosen per vertex by cross-validation.

    Parameters
    ----------
    alphas : sequence of float
        Penalties to choose from, all positive.
    cv : int, or iterable of (train, test) index arrays
        The folds.
    scope : str, or array of int (n_vertices,)
        Which vertices share a choice: "vertex", none; "roi", all vertices given to `fit`, by their
        mean score; or the vertices with the same number.

    Attributes
    ----------
    best_alphas_ : array (n_vertices,)
        Chosen penalty.
    cv_scores_ : array (n_vertices,)
        R^2 on the folds left out, the mean over folds, at that penalty.

    References
    ----------
    Dupré la Tour, Eickenberg, Nunez-Elizalde, Gallant (2022). Feature-space selection with banded
    ridge regression. NeuroImage 264, equation 1.
    """

    def __init__(
        self, alphas: Sequence[float] = ALPHAS, cv: object = 5, scope: object = "vertex"
    ) -> None:
        self.alphas = alphas
        self.cv = cv
        self.scope = scope

    def _search(self, X: Floats, Y: Floats, scope: Any) -> dict[str, Floats]:
        deltas, _, scores = solve_group_ridge_moments(
            [X],
            Y,
            n_iter=np.ones((1, 1)),
            alphas=self.alphas,
            fit_intercept=True,
            score_func=r2_score,
            cv=self.cv,
            progress_bar=False,
            scope=scope,
        )[:3]
        return {"best_alphas_": np.exp(-to_numpy(deltas[0])), "cv_scores_": scores[0]}

    def _solve(self, X: Floats, Y: Floats, hyperparameters: dict[str, Floats]) -> Floats:
        deltas = -np.log(hyperparameters["best_alphas_"])[None]
        return to_numpy(solve_banded_ridge(X, Y, np.zeros(X.shape[1], np.int64), deltas)[0])

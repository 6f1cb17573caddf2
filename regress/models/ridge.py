"""Ridge regression on all feature spaces side by side, one penalty for each vertex."""

import warnings
from collections.abc import Sequence

import numpy as np
from himalaya.kernel_ridge import KernelRidgeCV
from himalaya.ridge import RidgeCV
from himalaya.scoring import r2_score

from regress.linear import ALPHAS, LinearModel
from regress.solve import BATCH, Floats, solve_ridge


class Model(LinearModel):
    """Ridge regression with the penalty chosen per vertex by cross-validation.

    Parameters
    ----------
    alphas : sequence of float
        Penalties to choose from, all positive.
    cv : int, or iterable of (train, test) index arrays
        The folds.

    Attributes
    ----------
    best_alphas_ : array (n_vertices,)
        The penalty chosen.
    cv_scores_ : array (n_vertices,)
        R^2 on the folds left out, the mean over folds, at that penalty.

    References
    ----------
    Dupré la Tour, Eickenberg, Nunez-Elizalde, Gallant (2022). Feature-space selection with banded
    ridge regression. NeuroImage 264, equation 1.
    """

    def __init__(self, alphas: Sequence[float] = ALPHAS, cv: object = 5) -> None:
        self.alphas = alphas
        self.cv = cv

    def _search(self, X: Floats, Y: Floats) -> dict[str, Floats]:
        if Y.shape[1] == 0:
            return {"best_alphas_": np.ones(0, X.dtype), "cv_scores_": np.zeros(0, X.dtype)}
        parameters = {"n_targets_batch": BATCH, "score_func": r2_score}
        alphas = np.asarray(self.alphas, X.dtype)
        with warnings.catch_warnings():
            # himalaya's advice on primal and dual is what the next lines follow.
            warnings.filterwarnings("ignore", message="Solving", category=UserWarning)
            if X.shape[1] <= len(X):
                model = RidgeCV(
                    alphas=alphas, fit_intercept=True, cv=self.cv, solver_params=parameters
                ).fit(X, Y)
            else:
                model = KernelRidgeCV(
                    alphas=alphas,
                    kernel="precomputed",
                    fit_intercept=True,
                    cv=self.cv,
                    solver_params=parameters,
                ).fit(X @ X.T, Y)
        return {"best_alphas_": model.best_alphas_, "cv_scores_": model.cv_scores_}

    def _solve(self, X: Floats, Y: Floats, chosen: dict[str, Floats]) -> Floats:
        return solve_ridge(X, Y, chosen["best_alphas_"])

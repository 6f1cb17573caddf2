"""himalaya's `RidgeCV` and `GroupRidgeCV` with a solver on shared statistics."""

import math
from typing import Any, ClassVar

import himalaya.ridge
from himalaya.backend import get_backend
from sklearn import config_context

from regress.backend import refuse_skipped_fits
from regress.solvers.arguments import check_splitter
from regress.solvers.group_ridge import solve_group_ridge_moments, solve_ridge_cv_moments


class RidgeCV(himalaya.ridge.RidgeCV):  # type: ignore[misc]
    """Ridge regression with cross-validation: himalaya's estimator, with a further solver.

    Takes the arguments of `himalaya.ridge.RidgeCV` and gives its fitted attributes. What cannot be
    the same, and why:

    - The default solver is "moments". It takes no alpha of 0: without a penalty, sums that are
      singular have no solution.
    - `n_targets_batch_refit` and `n_alphas_batch` have no effect: no array grows with them, and
      `memory` bounds those of the vertices. `warn` has none: wide X is solved in the dual form.
    - Sums of products square what the data span. Where that costs digits, more is done: float32
      data are summed in float64, which takes two to three times as long, where they lie far from 0
      without `fit_intercept`, or where columns nearly depend on one another and the smallest alpha
      leaves such a direction; and float64 data whose columns differ in scale by so much that the
      smallest penalty drowns are decomposed themselves, at himalaya's speed.
    - With `r2_score`, folds that hold out one picture are pooled, as R^2 of one is undefined.
    - Scores of equal quality are told apart in another order of rounding: where two penalties are
      equal to the last digits, the other may be chosen.

    Parameters
    ----------
    alphas : array (n_alphas,)
        Penalties, positive.
    fit_intercept : bool
        Whether to fit an intercept.
    solver : str
        "moments" (here) or "svd" (himalaya's).
    solver_params : dict, optional
        More arguments of the solver: `score_func`, `local_alpha`, `scope`, `form`, `memory` …
    cv : int, scikit-learn splitter, or iterable of (train, test) index arrays
        The folds. A splitter that needs labels or groups gives them itself: list(cv.split(…)).
    Y_in_cpu, force_cpu : bool
        As in himalaya.

    References
    ----------
    Dupré la Tour, Eickenberg, Nunez-Elizalde, Gallant (2022). Feature-space selection with banded
    ridge regression. NeuroImage 264.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(60, 4))
    >>> model = RidgeCV(alphas=[0.01, 1, 100], fit_intercept=True).fit(X, X[:, :2] + 1)
    >>> model.best_alphas_, model.predict(np.zeros((1, 4))).round(2)
    (array([0.01, 0.01]), array([[1., 1.]]))
    """

    ALL_SOLVERS: ClassVar[dict[str, Any]] = {
        **himalaya.ridge.RidgeCV.ALL_SOLVERS,
        "moments": solve_ridge_cv_moments,
    }

    def __init__(
        self,
        alphas: Any = (0.1, 1),
        fit_intercept: bool = False,
        solver: str = "moments",
        solver_params: dict[str, Any] | None = None,
        cv: Any = 5,
        Y_in_cpu: bool = False,
        force_cpu: bool = False,
    ) -> None:
        super().__init__(alphas, fit_intercept, solver, solver_params, cv, Y_in_cpu, force_cpu)

    def fit(self, X: Any, y: Any = None) -> "RidgeCV":
        """Fit the model.

        Parameters
        ----------
        X : array (n_images, n_features)
            Features.
        y : array (n_images, n_vertices) or (n_images,)
            Responses.

        Returns
        -------
        self
            Fitted.
        """
        refuse_skipped_fits()
        check_splitter(self.cv, len(X))
        with config_context(assume_finite=_surely_finite(X, y)):
            super().fit(X, y)
        return self


class BandedRidgeCV(himalaya.ridge.GroupRidgeCV):  # type: ignore[misc]
    """Banded ridge regression with cross-validation: himalaya's estimator, with a further solver.

    Takes the arguments of `himalaya.ridge.GroupRidgeCV` and gives its fitted attributes. What
    cannot be the same, and why, besides what `RidgeCV` says:

    - `jitter_alphas=True` is refused: all weightings share the sums that belong to the penalties.
    - `diagonalize_method` has no effect: only symmetric matrices are decomposed.
    - A weighting is taken for better only if it scores more by float32's rounding, in the order
      in which weightings are tried.

    Parameters
    ----------
    groups : array (n_features,), "input" or None
        The band of each column; "input" where X is a list of arrays; None for one band.
    solver : str
        "moments" (here) or "random_search" (himalaya's).
    solver_params : dict, optional
        More arguments of the solver: `n_iter`, `alphas`, `score_func`, `scope`, `form`,
        `patience`, `checkpoint` …
    fit_intercept : bool
        Whether to fit an intercept.
    cv : int, scikit-learn splitter, or iterable of (train, test) index arrays
        The folds. A splitter that needs labels or groups gives them itself: list(cv.split(…)).
    random_state : int, optional
        Seed of the search.
    Y_in_cpu, force_cpu : bool
        As in himalaya.

    References
    ----------
    Dupré la Tour, Eickenberg, Nunez-Elizalde, Gallant (2022). Feature-space selection with banded
    ridge regression. NeuroImage 264.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(60, 4))
    >>> model = BandedRidgeCV(groups=[0, 0, 1, 1], random_state=0).fit(X, X[:, :2])
    >>> model.deltas_.shape  # bands, vertices
    (2, 2)
    """

    ALL_SOLVERS: ClassVar[dict[str, Any]] = {
        **himalaya.ridge.GroupRidgeCV.ALL_SOLVERS,
        "moments": solve_group_ridge_moments,
    }

    def __init__(
        self,
        groups: Any = None,
        solver: str = "moments",
        solver_params: dict[str, Any] | None = None,
        fit_intercept: bool = False,
        cv: Any = 5,
        random_state: int | None = None,
        Y_in_cpu: bool = False,
        force_cpu: bool = False,
    ) -> None:
        super().__init__(
            groups, solver, solver_params, fit_intercept, cv, random_state, Y_in_cpu, force_cpu
        )

    def fit(self, X: Any, y: Any = None) -> "BandedRidgeCV":
        """Fit the model.

        Parameters
        ----------
        X : array (n_images, n_features), or a list of them where groups="input"
            Features.
        y : array (n_images, n_vertices) or (n_images,)
            Responses.

        Returns
        -------
        self
            Fitted.
        """
        refuse_skipped_fits()
        parts = X if isinstance(X, list | tuple) else [X]
        check_splitter(self.cv, len(parts[0]))
        with config_context(assume_finite=_surely_finite(*parts, y)):
            super().fit(X, y)
        # himalaya computes it only for the solver that it knows.
        deltas = self.deltas_ if self.deltas_.ndim == 2 else self.deltas_[:, None]
        self.best_alphas_ = 1.0 / get_backend().exp(deltas).sum(0)
        return self


def _surely_finite(*arrays: Any) -> bool:
    # A finite sum is enough; if it overflows, himalaya checks every number. That check copies the
    # array several times, and takes longer than the fit.
    if not all("float" in str(getattr(array, "dtype", None)) for array in arrays):
        return False
    return all(math.isfinite(float(array.sum())) for array in arrays)

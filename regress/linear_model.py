"""Base class of linear encoding models: centring, scaling, constant vertices, prediction."""

import numbers
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from regress.backend import Floats, refuse_skipped_fits, to_numpy
from regress.solvers.arguments import MAX_COUNT, SCOPES

# Half decades. With columns of unit variance the useful penalties grow with the number of columns
# times the number of pictures, from a few hundred to some ten million.
ALPHAS = tuple(float(alpha) for alpha in np.logspace(0, 8, 17))


class LinearModel(MultiOutputMixin, RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Base class of models whose prediction is `X @ coef_ + intercept_`.

    Features are centred, and scaled to unit variance where `standardise` is set, with statistics
    of the pictures given to `fit` alone. Each vertex is fitted independently: ROIs fitted together
    get the same models as ROIs fitted one by one, up to rounding. Constant vertices and constant
    columns get coefficients of 0.

    Attributes
    ----------
    coef_ : array (n_features, n_vertices) or (n_features,)
        Coefficients for features that are not centred or scaled; a vector where y was one.
    intercept_ : array (n_vertices,) or float
        Intercepts; a number where y was a vector.

    Examples
    --------
    >>> class MinimumNorm(LinearModel):
    ...     def _solve(self, X, Y, hyperparameters):
    ...         return np.linalg.pinv(X) @ Y
    >>> X = np.random.default_rng(0).normal(size=(20, 3))
    >>> MinimumNorm().fit(X, 2 * X[:, :1] + 1).predict([[1.0, 0.0, 0.0]]).round(6)
    array([[3.]])
    """

    standardise = True
    streams: ClassVar[bool] = False
    together: ClassVar[bool] = False
    untrained: ClassVar[tuple[str, ...]] = ()
    pretrained: ClassVar[tuple[str, ...]] = ()

    def check_parameters(self) -> None:
        """Check the parameters, before anything is computed.

        Raises
        ------
        ValueError
            If a parameter is out of range; the message names it.
        """
        for name, value in self.get_params(deep=False).items():
            if name in ("n_iter", "n_components"):
                if not isinstance(value, numbers.Integral) or value < 1:
                    raise ValueError(f"{name}: found {value!r}, expected a whole number from 1 on")
                if int(value) > MAX_COUNT:
                    raise ValueError(f"{name}: found {value}, expected at most {MAX_COUNT}")
            elif name == "patience":
                if value is not None and (not isinstance(value, numbers.Integral) or value < 1):
                    raise ValueError(f"patience: found {value!r}, expected None, or 1 or more")
            elif name == "scope":
                if value not in SCOPES if isinstance(value, str) else np.ndim(value) != 1:
                    raise ValueError(f"scope: found {value!r}, expected {' or '.join(SCOPES)}")
            elif name == "alphas":
                _check_alphas(value)

    def _search(self, X: Floats, Y: Floats, scope: Any) -> dict[str, Floats]:
        """Choose the hyper-parameters of each vertex: arrays (..., n_vertices), by attribute."""
        return {}

    def _solve(self, X: Floats, Y: Floats, hyperparameters: dict[str, Floats]) -> Floats:
        """Solve for the coefficients (n_features, n_vertices)."""
        raise TypeError(f"{type(self).__name__} does not define _solve, which every model needs")

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Choose the hyper-parameters by cross-validation, and solve.

        Parameters
        ----------
        X : array (n_images, n_features)
            Features.
        y : array (n_images, n_vertices) or (n_images,)
            Responses.

        Returns
        -------
        self
            The fitted model.
        """
        refuse_skipped_fits()
        self.check_parameters()
        Xs, Ys, varying = self._centre(*self._validate(X, y))
        searched = varying if varying.any() else ~varying
        scope = self.get_params(deep=False).get("scope", "vertex")
        scope = scope if isinstance(scope, str) else np.asarray(scope)[searched]
        hyperparameters = self._search(Xs, _select_columns(Ys, searched), scope)
        for name, values in hyperparameters.items():
            setattr(self, name, _expand_vertices(to_numpy(values), searched))
        return self._set_coefficients(Xs, Ys, varying, hyperparameters)

    def refit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Solve again on other pictures, with the hyper-parameters that `fit` chose.

        Parameters
        ----------
        X : array (n_images, n_features)
            Features.
        y : array (n_images, n_vertices) or (n_images,)
            Responses of the same vertices.

        Returns
        -------
        self
            The model with new coefficients.
        """
        check_is_fitted(self)
        Xs, Ys, varying = self._centre(*self._validate(X, y))
        # A vertex that was constant for `fit` has no hyper-parameters, and stays at its mean.
        varying &= np.reshape(self.coef_ != 0, (Xs.shape[1], -1)).any(axis=0)
        names = self.hyperparameter_names()
        hyperparameters = {name: getattr(self, name)[..., varying] for name in names}
        return self._set_coefficients(Xs, Ys, varying, hyperparameters)

    def predict(self, X: ArrayLike) -> NDArray:
        """Predict the responses to pictures.

        Parameters
        ----------
        X : array (n_images, n_features)
            Features.

        Returns
        -------
        array (n_images, n_vertices) or (n_images,)
            Responses, of the dtype of the coefficients.
        """
        check_is_fitted(self)
        checked: Floats = validate_data(self, X, dtype=[np.float32, np.float64], reset=False)
        predicted: NDArray = checked @ self.coef_ + self.intercept_
        return predicted

    def hyperparameter_names(self) -> list[str]:
        """List the hyper-parameters that `fit` chose per vertex and `refit` keeps.

        Returns
        -------
        list of str
            Attributes whose last axis is vertices.
        """
        names = ("best_alphas_", "deltas_", "weights_", "cv_scores_")
        return [name for name in names if hasattr(self, name)]

    def state(self, vertices: NDArray[np.int64] | None = None) -> dict[str, NDArray]:
        """Return the fitted arrays, of all or some vertices.

        Parameters
        ----------
        vertices : array of int, optional
            Columns of the responses; all by default.

        Returns
        -------
        dict of str to array
            Plain numpy arrays, all that `restore` needs.
        """
        names = ["coef_", "intercept_", *self.hyperparameter_names()]
        columns: Any = slice(None) if vertices is None else vertices
        return {name: np.ascontiguousarray(getattr(self, name)[..., columns]) for name in names}

    def sources(self) -> dict[str, str]:
        """Return digests of the files that the model reads besides the data.

        Returns
        -------
        dict of str to str
            Empty, as a linear model reads no files.
        """
        return {}

    def shared_names(self) -> list[str]:
        """List the arrays that belong to all vertices.

        Returns
        -------
        list of str
            Empty, as each array of a linear model has an axis of vertices.
        """
        return []

    def join(
        self, parts: Sequence[tuple[NDArray[np.int64], dict[str, NDArray]]]
    ) -> dict[str, NDArray]:
        """Join the states of vertices that were fitted in several batches.

        Parameters
        ----------
        parts : sequence of (array of int, dict of str to array)
            For each batch, the positions of its vertices in the whole, and their `state`.

        Returns
        -------
        dict of str to array
            The state of all vertices, which are the last axis of each array.
        """
        n_vertices = sum(len(places) for places, _ in parts)
        joined: dict[str, NDArray] = {}
        for places, state in parts:
            for name, values in state.items():
                whole = np.empty((*values.shape[:-1], n_vertices), values.dtype)
                joined.setdefault(name, whole)[..., places] = values
        return joined

    def cost(self, vertices: NDArray[np.int64]) -> dict[str, Any]:
        """Return the number of parameters of some vertices.

        Parameters
        ----------
        vertices : array of int (n,)
            Columns of the responses.

        Returns
        -------
        dict
            `parameters`, their number; `epochs` and `seconds_per_epoch` are None.
        """
        parameters = len(vertices) * (len(self.coef_) + 1)
        return {"parameters": parameters, "epochs": None, "seconds_per_epoch": None}

    def restore(self, state: dict[str, NDArray]) -> Self:
        """Restore a fitted model from its state.

        Parameters
        ----------
        state : dict of str to array
            The arrays that `state` returned.

        Returns
        -------
        self
            The fitted model, with the same predictions.
        """
        for name, values in state.items():
            setattr(self, name, values)
        self.n_features_in_ = self.coef_.shape[0]
        return self

    def _validate(self, X: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
        checked: tuple[Floats, Floats] = validate_data(
            self,
            X,
            y,
            multi_output=True,
            y_numeric=True,
            dtype=[np.float32, np.float64],
            ensure_min_samples=2,
        )
        features, responses = checked
        self._vector = responses.ndim == 1
        return features, np.asarray(responses.reshape(len(features), -1), features.dtype)

    def _centre(self, X: Floats, Y: Floats) -> tuple[Floats, Floats, NDArray[np.bool_]]:
        # Means and variances in float64: float32 loses them where the mean is far from 0.
        self._mean = X.mean(0, dtype=np.float64)
        self._response_mean = Y.mean(0, dtype=np.float64)
        scale = X.std(0, dtype=np.float64)
        # The mean of equal numbers may differ from them, as sums are rounded at each step.
        rounding = max(np.finfo(X.dtype).eps, len(X) ** 0.5 * np.finfo(np.float64).eps)
        constant = (X[:1] == X).all(axis=0) | (scale <= rounding * np.abs(self._mean))
        self._scale = np.where(constant | (not self.standardise), 1.0, scale)
        Xs = ((X - self._mean.astype(X.dtype)) / self._scale.astype(X.dtype)).astype(X.dtype)
        Xs[:, constant] = 0
        Ys = Y - self._response_mean.astype(X.dtype)
        return Xs, Ys, np.asarray((Y[:1] != Y).any(axis=0))

    def _set_coefficients(
        self, Xs: Floats, Ys: Floats, varying: NDArray[np.bool_], hyperparameters: dict[str, Floats]
    ) -> Self:
        coefficients = np.zeros((Xs.shape[1], Ys.shape[1]), Xs.dtype)
        if varying.any():
            solved = self._solve(Xs, _select_columns(Ys, varying), hyperparameters)
            coefficients[:, varying] = solved / self._scale[:, None].astype(Xs.dtype)
        intercept = self._response_mean - self._mean @ coefficients.astype(np.float64)
        self.coef_ = coefficients
        self.intercept_ = intercept.astype(Xs.dtype)
        if self._vector:
            self.coef_, self.intercept_ = self.coef_[:, 0], self.intercept_[0]
        del self._mean, self._scale, self._response_mean
        return self


def checked_bands(bands: ArrayLike | None, n_features: int) -> NDArray[np.int64]:
    """Check the band of each column (n_features,): numbers from 0, none left out; None for one."""
    if bands is None:
        return np.zeros(n_features, np.int64)
    numbers = np.asarray(bands, np.int64)
    unique = sorted(set(numbers.ravel().tolist()))
    if numbers.shape != (n_features,) or unique != list(range(len(unique))):
        raise ValueError(
            f"bands: found shape {numbers.shape} with values {unique}, expected {n_features} whole "
            "numbers, one a column, with no number left out"
        )
    return numbers


def _check_alphas(alphas: Any) -> None:
    try:
        values = np.asarray(alphas, float)
    except (TypeError, ValueError):
        values = np.empty(0)
    if values.ndim != 1 or values.size == 0 or not (np.isfinite(values) & (values > 0)).all():
        raise ValueError(f"alphas: found {alphas!r}, expected a list of positive numbers")


def _select_columns(Y: Floats, mask: NDArray[np.bool_]) -> Floats:
    # Responses of a hemisphere are hundreds of megabytes: they are not copied if all are selected.
    return Y if mask.all() else Y[:, mask]


def _expand_vertices(values: NDArray, varying: NDArray[np.bool_]) -> NDArray:
    """Expand values of the varying vertices to all vertices, with 0 for constant ones."""
    full = np.zeros((*values.shape[:-1], len(varying)), values.dtype)
    full[..., varying] = values
    return full

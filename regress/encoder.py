"""What every encoding model offers, whatever is inside: the seam between models and fits."""

from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray


class Encoder(Protocol):
    """A scikit-learn estimator from features to responses, whose vertices can be told apart.

    Attributes
    ----------
    streams : bool
        Whether `fit` and `refit` take a `Responses` that is read as needed, or need an array.
    """

    streams: ClassVar[bool]

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Give the parameters.

        Parameters
        ----------
        deep : bool
            As scikit-learn has it.

        Returns
        -------
        dict
            By name.
        """

    def set_params(self, **parameters: Any) -> Self:
        """Set parameters.

        Parameters
        ----------
        **parameters
            By name.

        Returns
        -------
        self
            The same model.
        """

    def check_parameters(self) -> None:
        """Refuse parameters that cannot be, with a ValueError that names them."""

    def fit(self, X: ArrayLike, y: Any) -> Self:
        """Choose the hyper-parameters, and fit.

        Parameters
        ----------
        X : array (n_images, n_features)
            Features.
        y : array (n_images, n_vertices), or Responses
            Responses.

        Returns
        -------
        self
            Fitted.
        """

    def refit(self, X: ArrayLike, y: Any) -> Self:
        """Fit again on other pictures, with the hyper-parameters that `fit` chose.

        Parameters
        ----------
        X : array (n_images, n_features)
            Features.
        y : array (n_images, n_vertices), or Responses
            Responses of the same vertices.

        Returns
        -------
        self
            Fitted again.
        """

    def predict(self, X: ArrayLike) -> NDArray:
        """Predict responses.

        Parameters
        ----------
        X : array (n_images, n_features)
            Features.

        Returns
        -------
        array (n_images, n_vertices)
            Of the dtype of the fitted arrays.
        """

    def state(self, vertices: NDArray[np.int64] | None = None) -> dict[str, NDArray]:
        """Give what predicts some vertices, as plain arrays.

        Parameters
        ----------
        vertices : array of int, optional
            Which columns of the responses; all by default.

        Returns
        -------
        dict of str to array
            Enough for `restore`. What a model holds of each vertex has vertices as its last axis;
            a model of vertices that were fitted in several batches may hold nothing else.
        """

    def restore(self, state: dict[str, NDArray]) -> Self:
        """Make a fitted model of what `state` gave.

        Parameters
        ----------
        state : dict of str to array
            The arrays.

        Returns
        -------
        self
            Predicts the same numbers.
        """

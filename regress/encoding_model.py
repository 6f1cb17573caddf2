"""What every encoding model offers, whatever is inside: the seam between models and fits."""

from collections.abc import Sequence
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray


class Encoder(Protocol):
    """A scikit-learn estimator from features to responses, whose vertices can be told apart.

    Attributes
    ----------
    streams : bool
        Whether `fit` and `refit` take a `Responses` that is read as needed, or the `Joint` ones of
        several subjects; or need an array.
    """

    streams: ClassVar[bool]

    @property
    def together(self) -> bool:
        """Whether all vertices are fitted as one, whatever their groups, and one only with all."""

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
        y : array (n_images, n_vertices), or Responses or Joint
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
        y : array (n_images, n_vertices), or Responses or Joint
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
            Enough for `restore`.
        """

    @property
    def untrained(self) -> tuple[str, ...]:
        """Others' networks inside it that began with random weights, as every table must say."""

    @property
    def pretrained(self) -> tuple[str, ...]:
        """Others' networks inside it that began with weights trained on other data."""

    def sources(self) -> dict[str, str]:
        """Digest files that it reads besides the data; a change of them means a new fit.

        Returns
        -------
        dict of str to str
            By the parameter's name; empty where it reads none.
        """

    def shared_names(self) -> list[str]:
        """Name the arrays of `state` that belong to all vertices, and are saved once.

        Returns
        -------
        list of str
            None where a state holds nothing but what each vertex or group has of its own.
        """

    def join(
        self, parts: Sequence[tuple[NDArray[np.int64], dict[str, NDArray]]]
    ) -> dict[str, NDArray]:
        """Join the states of vertices that were fitted in several batches, each vertex alone.

        Parameters
        ----------
        parts : sequence of (array of int, dict of str to array)
            Where the vertices stand in the whole, and what `state` gave of them.

        Returns
        -------
        dict of str to array
            As `state` would give all.
        """

    def cost(self, vertices: NDArray[np.int64]) -> dict[str, Any]:
        """Say what some vertices took to fit.

        Parameters
        ----------
        vertices : array of int (n,)
            Which columns of the responses.

        Returns
        -------
        dict
            `parameters`, how many, of all vertices that share any with these; `epochs` of them, and
            `seconds_per_epoch` of all vertices given to `fit`, None where a model is solved.
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

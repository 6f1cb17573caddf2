"""The interface of encoding models: all that a fit needs to know of a model.

Models inherit from it, and so its docstrings. What has a body here is what most models do.
"""

from collections.abc import Sequence
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray


class Encoder(Protocol):
    """A scikit-learn estimator from features to responses, whose state divides by vertices.

    Attributes
    ----------
    streams : bool
        Whether `fit` and `refit` take `Responses`, which are read as needed, or the `Joint`
        responses of several subjects; otherwise they need an array.
    """

    streams: ClassVar[bool] = False

    @property
    def together(self) -> bool:
        """Whether all vertices are fitted as one, whatever their groups; False by default."""
        return False

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters by name, as in scikit-learn."""

    def set_params(self, **parameters: Any) -> Self:
        """Set parameters by name, as in scikit-learn."""

    def check_parameters(self) -> None:
        """Check the parameters before anything is computed; a ValueError names an invalid one."""

    def fit(self, X: ArrayLike, y: Any) -> Self:
        """Choose the hyper-parameters, and fit.

        Parameters
        ----------
        X : array (n_images, n_features)
            Features.
        y : array (n_images, n_vertices), or Responses or Joint
            Responses.
        """

    def refit(self, X: ArrayLike, y: Any) -> Self:
        """Fit again on other pictures, with the hyper-parameters that `fit` chose.

        Parameters
        ----------
        X : array (n_images, n_features)
            Features.
        y : array (n_images, n_vertices), or Responses or Joint
            Responses of the same vertices.
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
            Predictions, of the dtype of the fitted arrays.
        """

    def state(self, vertices: NDArray[np.int64] | None = None) -> dict[str, NDArray]:
        """Return the fitted arrays that predict some vertices.

        Parameters
        ----------
        vertices : array of int, optional
            Columns of the responses; all by default.

        Returns
        -------
        dict of str to array
            All that `restore` needs.
        """

    @property
    def untrained(self) -> tuple[str, ...]:
        """Pre-existing networks inside the model that have random weights; tables name them."""
        return ()

    @property
    def pretrained(self) -> tuple[str, ...]:
        """Pre-existing networks inside the model that began with weights trained on other data."""
        return ()

    def sources(self) -> dict[str, str]:
        """Return digests of the files that the model reads besides the data.

        Returns
        -------
        dict of str to str
            Digests by the parameters that name the files; a change of one means a new fit.
        """
        return {}

    def shared_names(self) -> list[str]:
        """List the arrays of `state` that belong to all vertices, and are saved once.

        Returns
        -------
        list of str
            Names; empty where each array has an axis of vertices or groups.
        """
        return []

    def join(
        self, parts: Sequence[tuple[NDArray[np.int64], dict[str, NDArray]]]
    ) -> dict[str, NDArray]:
        """Join the states of vertices that were fitted in several batches, each vertex alone.

        Parameters
        ----------
        parts : sequence of (array of int, dict of str to array)
            For each batch, the positions of its vertices in the whole, and their `state`.

        Returns
        -------
        dict of str to array
            The state of all vertices.
        """

    def cost(self, vertices: NDArray[np.int64]) -> dict[str, Any]:
        """Return size and duration of the fit of some vertices.

        Parameters
        ----------
        vertices : array of int (n,)
            Columns of the responses.

        Returns
        -------
        dict
            `parameters`, their number, counted over all vertices that share any with these;
            `epochs` of these vertices, and `seconds_per_epoch` of all vertices given to `fit`, both
            None for a model that is solved.
        """

    def restore(self, state: dict[str, NDArray]) -> Self:
        """Restore a fitted model from its state.

        Parameters
        ----------
        state : dict of str to array
            The arrays that `state` returned.
        """

"""Fitted networks: predictions, and the arrays that are saved."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import nn

from regress.layers.network import Network, axis_of, select_vertices
from regress.layers.weights import INSIDE, join_states
from regress.training.config import Parameters

# Pictures that are predicted at once.
BLOCK = 1024


class FittedNetwork(Parameters):
    """Base of estimators with a fitted network, the scale of features, and epochs of the weights.

    Attributes
    ----------
    epochs_ : array of int (n_vertices,)
        Epoch of the weights of each vertex; 0 where no epoch was better than the first state: the
        mean, or `start`.
    network_ : Network
        Network with the best weights.
    inside_ : dict of str to Tensor or array, or None
        After `refit`, the weights and the scale of features of `fit`, where vertices share
        weights.
    """

    streams: ClassVar[bool] = True

    inside_: dict[str, Any] | None

    def make_network(self, n_features: int, member: torch.Tensor) -> Network:
        """Make the untrained network."""
        raise TypeError(f"{type(self).__name__} must implement make_network")

    def make_critics(self, n_features: int, widths: Sequence[int]) -> nn.ModuleList | None:
        """Make critics, which judge the predictions of all vertices together; None for no critics.

        Parameters
        ----------
        n_features : int
            Columns of the features.
        widths : sequence of int
            Number of vertices of each subject that has any.

        Returns
        -------
        ModuleList or None
            An `Adversary` for each of these subjects; None, as here, for the loss alone.
        """
        return None

    def advice(self) -> list[str]:
        """List what to lower, besides the learning rate, when nothing was learned."""
        return []

    def predict(self, X: ArrayLike) -> NDArray:
        """Predict the responses to pictures.

        Parameters
        ----------
        X : array (n_images, n_features)
            Features.

        Returns
        -------
        array (n_images, n_vertices) or (n_images,)
            Responses, computed in float32, of the features' dtype; of bytes, float32.
        """
        check_is_fitted(self)
        types = [np.float32, np.float64, np.uint8]
        features = validate_data(self, X, dtype=types, reset=False)
        self.network_.eval()
        with torch.inference_mode():
            parts = [
                self.network_(torch.from_numpy(self._standardised(features[at : at + self.block])))
                for at in range(0, len(features), self.block)
            ]
        dtype = np.float32 if features.dtype == np.uint8 else features.dtype
        predicted: NDArray = torch.cat(parts).numpy().astype(dtype, copy=False)
        return predicted[:, 0] if self._vector else predicted

    def hyperparameter_names(self) -> list[str]:
        """List the attributes that `fit` chose per vertex and `refit` keeps."""
        return ["epochs_"]

    def state(self, vertices: NDArray[np.int64] | None = None) -> dict[str, NDArray]:
        """Return the fitted arrays of all or some vertices.

        Returns
        -------
        dict of str to array
            The network's weights, by their names, with those of these vertices' groups alone;
            `centre_` and `scale_` of the features; `epochs_`; and `inside_`, named "inside.…".
        """
        indices = np.arange(len(self.epochs_)) if vertices is None else np.asarray(vertices)
        part = self._part(indices, self.network_.state_dict())
        state = part | {"centre_": self.centre_, "scale_": self.scale_}
        if self.inside_ is not None:
            state |= {INSIDE + n: v for n, v in self._part(indices, self.inside_).items()}
        return state | {"epochs_": self.epochs_[indices]}

    @property
    def block(self) -> int:
        """Number of pictures predicted at once, which changes predictions by rounding only."""
        return BLOCK

    @property
    def together(self) -> bool:
        """Whether all vertices must be trained together, since they share weights; False here."""
        return False

    @property
    def untrained(self) -> tuple[str, ...]:
        """Names of other authors' networks inside that began with random weights; none here."""
        return ()

    @property
    def pretrained(self) -> tuple[str, ...]:
        """Names of other authors' networks inside that were pretrained on other data; none here."""
        return ()

    def sources(self) -> dict[str, str]:
        """Return digests of the files that the model reads besides the data; none here."""
        return {}

    def prepare(self, network: Network) -> None:
        """Load pretrained weights into a network before its training; does nothing here."""

    def shared_names(self) -> list[str]:
        """List the arrays of `state` that all vertices share, which are saved once.

        Returns
        -------
        list of str
            Shared weights, those of the group where there is only one, and the scale of features;
            empty where there are no such weights.
        """
        network = self.network_
        kinds = {"shared", "group"} if network.n_groups == 1 else {"shared"}
        names = [name for name in network.state_dict() if axis_of(network, name)[0] in kinds]
        if not names:
            return []
        common = [*names, "centre_", "scale_"]
        return common + ([INSIDE + name for name in common] if self.inside_ is not None else [])

    def join(
        self, parts: Sequence[tuple[NDArray[np.int64], dict[str, NDArray]]]
    ) -> dict[str, NDArray]:
        """Join the states of vertices that were fitted in several batches, each vertex alone."""
        return join_states(clone(self).restore(parts[0][1]).network_, parts)

    def cost(self, vertices: NDArray[np.int64]) -> dict[str, Any]:
        """Return the cost of training some vertices.

        Parameters
        ----------
        vertices : array of int (n,)
            Columns of the responses.

        Returns
        -------
        dict
            `parameters` of their groups; `shared_parameters`, which belong to all vertices given to
            `fit`, where there are any; the `epochs` of their weights; `seconds_per_epoch` of all
            vertices given to `fit`, validation included.
        """
        member = self.network_.member.numpy()
        groups = np.unique(member[vertices])
        counts = {"group": len(groups), "vertex": int(np.isin(member, groups).sum())}
        parameters, shared = 0, 0
        for name, weights in self.network_.named_parameters():
            kind, axis = axis_of(self.network_, name)
            if kind == "shared":
                shared += weights.numel()
            else:
                parameters += counts[kind] * (weights.numel() // weights.shape[axis])
        return {
            "parameters": parameters,
            **({"shared_parameters": shared} if shared else {}),
            "epochs": int(self.epochs_[vertices].max()),
            "seconds_per_epoch": self._seconds,
        }

    def restore(self, state: dict[str, NDArray]) -> Self:
        """Restore a fitted model from the arrays of `state`."""
        fitted = ("centre_", "scale_", "epochs_")
        for name in fitted:
            setattr(self, name, state[name])
        weights = {n: torch.from_numpy(np.array(v)) for n, v in state.items() if n not in fitted}
        inside = {n: weights.pop(n) for n in state if n.startswith(INSIDE)}
        self.inside_ = {n.removeprefix(INSIDE): v for n, v in inside.items()} or None
        self.n_features_in_ = len(self.centre_)
        self._vector = False
        self.network_ = self._make_seeded(weights["member"])
        self.network_.load_state_dict(weights)
        return self

    def _part(self, vertices: NDArray[np.int64], state: dict[str, Any]) -> dict[str, NDArray]:
        """Select the arrays of some vertices; the scale of features belongs to all."""
        scale = {n: np.asarray(state[n]) for n in ("centre_", "scale_") if n in state}
        weights = {n: v for n, v in state.items() if n not in scale}
        part = select_vertices(self.network_, torch.from_numpy(vertices), weights)
        return {name: values.numpy() for name, values in part.items()} | scale

    def _standardised(self, X: NDArray) -> NDArray[np.float32]:
        return np.asarray((X - self.centre_) / self.scale_, np.float32)

    def _make_seeded(self, member: torch.Tensor) -> Network:
        with self._seeded():
            return self.make_network(len(self.centre_), member)

    @contextmanager
    def _seeded(self) -> Iterator[None]:
        # The caller's random numbers are left alone.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.random_state)
            yield

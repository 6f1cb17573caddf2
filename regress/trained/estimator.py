"""What all trained models share: standardised features, fitting, saving, predicting."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import joblib
import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import MultiOutputMixin, RegressorMixin, clone
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from regress.device import refuse_skipped_fits
from regress.joint import Joint
from regress.responses import Responses
from regress.trained.data import Pictures
from regress.trained.inputs import check_parts, groups_of, held_pictures, most_epochs, standard
from regress.trained.kept import Kept
from regress.trained.losses import Loss
from regress.trained.network import Network, axis_of, part_of
from regress.trained.parameters import Parameters
from regress.trained.recipe import Files
from regress.trained.start import (
    INSIDE,
    begin_from,
    freeze_groups,
    join_states,
    like,
    shares,
)
from regress.trained.training import train

# Pictures that are predicted at once.
BLOCK = 1024

Groups = tuple[NDArray, NDArray[np.int64]]


class TrainedModel(MultiOutputMixin, RegressorMixin, Parameters):  # type: ignore[misc]
    """Base of the models that are trained by gradient descent.

    Features are centred and scaled to unit variance with statistics of the pictures that are
    trained on. Vertices that train together, a group, stop together: when their loss on validation
    pictures is best. `fit` keeps these weights; `refit` trains anew on all pictures it is given,
    for as many epochs. A constant vertex is predicted at its mean.

    Several subjects are trained at once where the responses are `Joint`: a group's weights are
    theirs together, and what belongs to a vertex is of one subject.

    A subclass gives `make_network`; its own parameters go before `**training`, those that
    `Parameters` lists.

    Attributes
    ----------
    epochs_ : array of int (n_vertices,)
        The epoch that the weights of each vertex are of; 0 where nothing was better than the
        beginning: the mean, or what `start` held.
    network_ : Network
        The best weights.
    inside_ : dict of str to Tensor or array, or None
        After `refit`, the weights and the scale of features that `fit` had found, where the network
        has something that vertices share.
    """

    streams: ClassVar[bool] = True

    inside_: dict[str, Any] | None

    def make_network(self, n_features: int, member: torch.Tensor) -> Network:
        """Make the network, as it is before it is trained.

        Parameters
        ----------
        n_features : int
            Columns of the features.
        member : Tensor of int (n_vertices,)
            The group of each vertex.

        Returns
        -------
        Network
            On the CPU. Its random numbers are torch's, seeded.

        Raises
        ------
        TypeError
            If the subclass has none.
        """
        raise TypeError(f"{type(self).__name__} does not say what its network is")

    def fit(self, X: ArrayLike, y: Any) -> Self:
        """Train until the loss on validation pictures is best, each group on its own.

        Parameters
        ----------
        X : array (n_images, n_features)
            Features; of several subjects, one below the other.
        y : array (n_images, n_vertices) or (n_images,), or Responses, or Joint
            Responses.

        Returns
        -------
        self
            Fitted.

        Raises
        ------
        ValueError
            If a parameter is out of range, or nothing is left to train.
        """
        refuse_skipped_fits()
        self.check_parameters()
        if self.freeze and self.start is None:
            raise ValueError("freeze: expected a start, whose weights stay as they are")
        features, responses = self._validated(X, y)
        held = held_pictures(self.validation, len(features), self.random_state)
        self.inside_ = None
        return self._train(features, responses, held, None)

    def refit(self, X: ArrayLike, y: Any) -> Self:
        """Train anew on other pictures, for the epochs that `fit` found best.

        Parameters
        ----------
        X : array (n_images, n_features)
            Features; of several subjects, one below the other.
        y : array (n_images, n_vertices) or (n_images,), or Responses, or Joint
            Responses of the same vertices.

        Returns
        -------
        self
            With new weights.
        """
        check_is_fitted(self)
        features, responses = self._validated(X, y)
        if self.inside_ is None and shares(self.network_):
            weights = {n: v for n, v in self.network_.state_dict().items() if n != "member"}
            self.inside_ = weights | {"centre_": self.centre_, "scale_": self.scale_}
        return self._train(features, responses, np.zeros(len(features), bool), self.epochs_)

    def predict(self, X: ArrayLike) -> NDArray:
        """Predict the responses to pictures.

        Parameters
        ----------
        X : array (n_images, n_features)
            Features.

        Returns
        -------
        array (n_images, n_vertices) or (n_images,)
            Responses, computed in float32, of the features' dtype.
        """
        check_is_fitted(self)
        features = validate_data(self, X, dtype=[np.float32, np.float64], reset=False)
        scaled = self._standardised(features)
        self.network_.eval()
        with torch.inference_mode():
            parts = [
                self.network_(torch.from_numpy(scaled[start : start + BLOCK]))
                for start in range(0, len(scaled), BLOCK)
            ]
        predicted: NDArray = torch.cat(parts).numpy().astype(features.dtype, copy=False)
        return predicted[:, 0] if self._vector else predicted

    def chosen_names(self) -> list[str]:
        """Name what `fit` chose per vertex and `refit` keeps.

        Returns
        -------
        list of str
            Attributes whose last axis is vertices.
        """
        return ["epochs_"]

    def state(self, vertices: NDArray[np.int64] | None = None) -> dict[str, NDArray]:
        """Give the fitted arrays, all or those of some vertices.

        Parameters
        ----------
        vertices : array of int, optional
            Which columns of the responses.

        Returns
        -------
        dict of str to array
            The network's weights, by their names, with those of these vertices' groups alone;
            `centre_` and `scale_` of the features; `epochs_`; and `inside_`, named "inside.…".
        """
        which = np.arange(len(self.epochs_)) if vertices is None else np.asarray(vertices)
        part = self._part(which, self.network_.state_dict())
        state = part | {"centre_": self.centre_, "scale_": self.scale_}
        if self.inside_ is not None:
            state |= {INSIDE + n: v for n, v in self._part(which, self.inside_).items()}
        return state | {"epochs_": self.epochs_[which]}

    def join(
        self, parts: Sequence[tuple[NDArray[np.int64], dict[str, NDArray]]]
    ) -> dict[str, NDArray]:
        """Join the states of vertices that were fitted in several batches, each alone.

        Parameters
        ----------
        parts : sequence of (array of int, dict of str to array)
            Where the vertices stand in the whole, and what `state` gave of them.

        Returns
        -------
        dict of str to array
            As `state` would give all; each vertex is a group.
        """
        return join_states(clone(self).restore(parts[0][1]).network_, parts)

    def cost(self, vertices: NDArray[np.int64]) -> dict[str, Any]:
        """Say what some vertices took to train.

        Parameters
        ----------
        vertices : array of int (n,)
            Which columns of the responses.

        Returns
        -------
        dict
            `parameters` of their groups; the `epochs` of their weights; `seconds_per_epoch` of all
            vertices given to `fit`, validation included.
        """
        member = self.network_.member.numpy()
        groups = np.unique(member[vertices])
        counts = {"group": len(groups), "vertex": int(np.isin(member, groups).sum())}
        parameters = 0
        for name, weights in self.network_.named_parameters():
            kind, axis = axis_of(self.network_, name)
            parameters += counts[kind] * (weights.numel() // weights.shape[axis])
        return {
            "parameters": parameters,
            "epochs": int(self.epochs_[vertices].max()),
            "seconds_per_epoch": self._seconds,
        }

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
        own = ("centre_", "scale_", "epochs_")
        for name in own:
            setattr(self, name, state[name])
        weights = {n: torch.from_numpy(np.array(v)) for n, v in state.items() if n not in own}
        inside = {n: weights.pop(n) for n in state if n.startswith(INSIDE)}
        self.inside_ = {n.removeprefix(INSIDE): v for n, v in inside.items()} or None
        self.n_features_in_ = len(self.centre_)
        self._vector = False
        self.network_ = self._made(weights["member"])
        self.network_.load_state_dict(weights)
        return self

    def _part(self, which: NDArray[np.int64], state: dict[str, Any]) -> dict[str, NDArray]:
        """Take what belongs to some vertices; the scale of the features belongs to all."""
        scale = {n: np.asarray(state[n]) for n in ("centre_", "scale_") if n in state}
        weights = {n: v for n, v in state.items() if n not in scale}
        part = part_of(self.network_, torch.from_numpy(which), weights)
        return {name: values.numpy() for name, values in part.items()} | scale

    def _validated(self, X: ArrayLike, y: Any) -> tuple[NDArray[np.float32], Responses | Joint]:
        if isinstance(y, Responses | Joint):
            features = validate_data(self, X, dtype=np.float32)
            if len(features) != len(y):
                raise ValueError(f"X has {len(features)} rows and y {len(y)}; expected as many")
            self._vector = False
            return features, y
        features, responses = validate_data(
            self,
            X,
            y,
            multi_output=True,
            y_numeric=True,
            dtype=np.float32,
            ensure_min_samples=2,
        )
        self._vector = responses.ndim == 1
        responses = check_array(responses.reshape(len(features), -1), dtype=np.float32)
        return features, Responses([responses])

    def _standardised(self, X: NDArray) -> NDArray[np.float32]:
        return np.asarray((X - self.centre_) / self.scale_, np.float32)

    def _train(
        self,
        X: NDArray[np.float32],
        responses: Responses | Joint,
        held: NDArray[np.bool_],
        epochs: NDArray[np.int64] | None,
    ) -> Self:
        names, member = groups_of(self.scope, responses.shape[1])
        check_parts(responses, held)
        start = None if self.start is None else like(self.start, inside=epochs is None)
        self.centre_, self.scale_ = standard(X[~held], start)
        means, varying = responses.pictures(~held).means()
        files = self._files(X, responses, held, epochs, (names, member))
        network, known = self._beginning(member, means, start)
        still = ~varying if epochs is None else ~varying | ((epochs == 0) & ~known)
        limits = None if epochs is None else most_epochs(epochs, member, len(names))
        kept = Kept(network, self.patience, limits)
        pictures = Pictures(self._standardised(X), responses)
        rows = pictures.rows(~held), pictures.rows(held)
        train(network, pictures, rows, kept, self._recipe(), files, names)
        self._adopt(kept, member, still, means)
        if epochs is None:
            self._seconds = float(np.mean([row[1] for row in kept.rows] or [0]))
        return self

    def _made(self, member: torch.Tensor) -> Network:
        # The caller's random numbers are left alone.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.random_state)
            return self.make_network(len(self.centre_), member)

    def _beginning(
        self,
        member: NDArray[np.int64],
        means: NDArray[np.float64],
        start: dict[str, NDArray] | None,
    ) -> tuple[Network, NDArray[np.bool_]]:
        """Make the network as its training begins; say which vertices' weights were given."""
        network = self._made(torch.from_numpy(member))
        network.offset.data.copy_(torch.from_numpy(means))
        network.offset.requires_grad_(Loss(self.loss).moves_mean)
        known = np.zeros(len(member), bool) if start is None else begin_from(network, start)
        if self.freeze:
            freeze_groups(network)
        return network, known

    def _adopt(
        self,
        kept: Kept,
        member: NDArray[np.int64],
        still: NDArray[np.bool_],
        means: NDArray[np.float64],
    ) -> None:
        """Take the best weights as the fitted network."""
        self.network_ = self._made(torch.from_numpy(member))
        # A vertex whose own weights are 0 is predicted at its offset.
        at = torch.from_numpy(np.flatnonzero(still))
        for name, values in kept.weights.items():
            kind, axis = axis_of(self.network_, name)
            if kind == "vertex" and name not in ("member", "offset"):
                values.index_fill_(axis, at, 0)
        kept.weights["offset"][at] = torch.from_numpy(means[still]).float()
        self.network_.load_state_dict(kept.weights)
        self.epochs_ = np.where(still, 0, kept.epochs[member])

    def _files(
        self,
        X: NDArray[np.float32],
        responses: Responses | Joint,
        held: NDArray[np.bool_],
        epochs: NDArray[np.int64] | None,
        groups: Groups,
    ) -> Files:
        phase = "fit" if epochs is None else "refit"
        checkpoint, log = (
            None if path is None else Path(path).with_stem(f"{Path(path).stem}-{phase}")
            for path in (self.checkpoint, self.log)
        )
        belongs = ""
        if checkpoint is not None:
            own = {"checkpoint", "log", "progress_bar", "validation", "scope"}
            parameters = {n: v for n, v in self.get_params(deep=False).items() if n not in own}
            depends = (type(self).__module__, parameters, X, held, epochs, groups)
            belongs = str(joblib.hash((depends, responses.digest())))
        return Files(checkpoint, belongs, log, phase if self.progress_bar else "")

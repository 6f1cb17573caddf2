"""Estimator of the trained models: standardised features, and a fit and refit of each group."""

from pathlib import Path
from typing import Any, Self

import joblib
import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import MultiOutputMixin, RegressorMixin
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from regress.backend import refuse_skipped_fits
from regress.data.responses import Responses
from regress.data.several_subjects import Joint
from regress.layers.network import Network, axis_of
from regress.layers.weights import (
    freeze_groups,
    has_shared_weights,
    load_start_weights,
    select_start_weights,
)
from regress.model_code import model_code
from regress.training.batches import Pictures
from regress.training.best_weights import BestWeights
from regress.training.config import Files
from regress.training.fitted_network import FittedNetwork
from regress.training.inputs import (
    check_parts,
    feature_scale,
    groups_of,
    held_pictures,
    most_epochs,
)
from regress.training.loop import train
from regress.training.losses import Loss
from regress.training.reports import lower_rate, warn_of_no_progress

Groups = tuple[NDArray, NDArray[np.int64]]


class TrainedModel(MultiOutputMixin, RegressorMixin, FittedNetwork):  # type: ignore[misc]
    """Base of the models that are trained by gradient descent.

    Features are centred and scaled to unit variance with statistics of the pictures that are
    trained on. Vertices that train together, a group, stop together: when their loss on validation
    pictures is best. `fit` keeps these weights; `refit` trains again on its pictures for as many
    epochs. A constant vertex is predicted at its mean.

    Several subjects are trained at once where the responses are `Joint`: they share the weights of
    a group, and each vertex belongs to one subject.

    A subclass implements `make_network`; its own parameters come before `**training`, which are
    those of `Parameters`.
    """

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
            raise ValueError(
                "freeze: found True without a start, expected a start whose group weights are kept"
            )
        features, responses = self._validated(X, y)
        held = held_pictures(self.validation, len(features), self.random_state)
        self.inside_ = None
        return self._train(features, responses, held, None)

    def refit(self, X: ArrayLike, y: Any) -> Self:
        """Train again on other pictures, for the epochs that `fit` found best.

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
        if self.inside_ is None and has_shared_weights(self.network_):
            weights = {n: v for n, v in self.network_.state_dict().items() if n != "member"}
            self.inside_ = weights | {"centre_": self.centre_, "scale_": self.scale_}
        return self._train(features, responses, np.zeros(len(features), bool), self.epochs_)

    def scale_of(
        self, X: NDArray[np.float32 | np.uint8], start: dict[str, NDArray] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Compute how features are standardised: by default, from the training pictures.

        Parameters
        ----------
        X : array (n_images, n_features)
            Features of the training pictures.
        start : dict of str to array, optional
            A model that the training begins from.

        Returns
        -------
        centre, scale : array of float32 (n_features,)
            Subtracted from features, and then divided by.
        """
        return feature_scale(X, start)

    def _validated(
        self, X: ArrayLike, y: Any
    ) -> tuple[NDArray[np.float32 | np.uint8], Responses | Joint]:
        if isinstance(y, Responses | Joint):
            features = validate_data(self, X, dtype=[np.float32, np.uint8])
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
            dtype=[np.float32, np.uint8],
            ensure_min_samples=2,
        )
        self._vector = responses.ndim == 1
        responses = check_array(responses.reshape(len(features), -1), dtype=np.float32)
        return features, Responses([responses])

    def _train(
        self,
        X: NDArray[np.float32 | np.uint8],
        responses: Responses | Joint,
        held: NDArray[np.bool_],
        epochs: NDArray[np.int64] | None,
    ) -> Self:
        names, member = groups_of(self.scope, responses.shape[1])
        check_parts(responses, held)
        start = (
            None if self.start is None else select_start_weights(self.start, inside=epochs is None)
        )
        inside = X[~held] if held.any() else X, responses.pictures(~held)
        self.centre_, self.scale_ = self.scale_of(inside[0], start)
        means, varying = inside[1].means()
        files = self._files(X, responses, held, epochs, (names, member))
        network, is_known = self._initial_network(member, means, start)
        if network.shared and not self.together:
            raise TypeError(
                f"{type(self).__name__}: {type(network).__name__} has weights of all vertices, and "
                "`together` is False: their vertices would be fitted apart; expected True"
            )
        before = None if epochs is None else self.network_
        self.before_training(network, inside, is_known, before)
        del inside
        still = ~varying if epochs is None else ~varying | ((epochs == 0) & ~is_known)
        limits = None if epochs is None else most_epochs(epochs, member, len(names))
        best_weights = BestWeights(network, self.patience, limits)
        pictures = Pictures(X, responses)
        rows = pictures.rows(~held), pictures.rows(held)
        with self._seeded():
            critics = self.make_critics(len(self.centre_), [w for w in pictures.widths if w])
        scale = self.centre_, self.scale_
        train(network, pictures, rows, best_weights, self._recipe(), files, names, scale, critics)
        self._adopt(best_weights, member, still, means)
        if epochs is None:
            varies = np.bincount(member, ~still, len(names)) > 0
            lower = [lower_rate(self.lr), *self.advice()]
            warn_of_no_progress(best_weights, names, varies, bool(is_known.any()), *lower)
            self._seconds = float(np.mean([row[1] for row in best_weights.rows] or [0]))
            if held.any():
                self.after_fit(X[held], responses.pictures(held))
        return self

    def before_training(
        self,
        network: Network,
        pictures: tuple[NDArray[np.float32 | np.uint8], Responses | Joint],
        is_known: NDArray[np.bool_],
        before: Network | None,
    ) -> None:
        """Prepare the network from the training pictures, before the first step; does nothing here.

        Parameters
        ----------
        network : Network
            Network before the first step; may be changed in place.
        pictures : (array (n_images, n_features), Responses or Joint (n_images, n_vertices))
            Features, not standardised, and responses.
        is_known : array of bool (n_vertices,)
            Vertices whose weights are those of `start`.
        before : Network or None
            Network that `fit` trained, where this is a refit.
        """

    def after_fit(self, X: NDArray[np.float32 | np.uint8], responses: Responses | Joint) -> None:
        """Evaluate the validation pictures after `fit`; does nothing here.

        Parameters
        ----------
        X : array (n_images, n_features)
            Features, not standardised.
        responses : Responses or Joint (n_images, n_vertices)
            Responses to these pictures.
        """

    def _initial_network(
        self,
        member: NDArray[np.int64],
        means: NDArray[np.float64],
        start: dict[str, NDArray] | None,
    ) -> tuple[Network, NDArray[np.bool_]]:
        """Make the untrained network; return it and which vertices' weights come from `start`."""
        network = self._make_seeded(torch.from_numpy(member))
        network.offset.data.copy_(torch.from_numpy(means))
        network.offset.requires_grad_(Loss(self.loss).moves_mean)
        if start is None:
            self.prepare(network)
        is_known = (
            np.zeros(len(member), bool) if start is None else load_start_weights(network, start)
        )
        if self.freeze:
            freeze_groups(network)
        return network, is_known

    def _adopt(
        self,
        best_weights: BestWeights,
        member: NDArray[np.int64],
        still: NDArray[np.bool_],
        means: NDArray[np.float64],
    ) -> None:
        """Store the best weights as the fitted network."""
        self.network_ = self._make_seeded(torch.from_numpy(member))
        # A vertex whose weights are 0 is predicted at its offset.
        at = torch.from_numpy(np.flatnonzero(still))
        for name, values in best_weights.weights.items():
            kind, axis = axis_of(self.network_, name)
            # Integer arrays are labels of vertices, not weights.
            if kind == "vertex" and name != "offset" and values.is_floating_point():
                values.index_fill_(axis, at, 0)
        best_weights.weights["offset"][at] = torch.from_numpy(means[still]).float()
        self.network_.load_state_dict(best_weights.weights)
        self.epochs_ = np.where(still, 0, best_weights.epochs[member])

    def _files(
        self,
        X: NDArray[np.float32 | np.uint8],
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
        digest = ""
        if checkpoint is not None:
            excluded = {"checkpoint", "log", "progress_bar", "validation", "scope"}
            parameters = {n: v for n, v in self.get_params(deep=False).items() if n not in excluded}
            model_inputs = parameters, self.sources(), model_code(self)
            depends = (type(self).__module__, model_inputs, X, held, epochs, groups)
            digest = str(joblib.hash((depends, responses.digest())))
        return Files(checkpoint, digest, log, phase if self.progress_bar else "")

"""Estimator of the trained models: its parts, fit and refit, predictions, fitted arrays."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin, clone
from sklearn.utils.validation import check_array, check_is_fitted, validate_data
from torch import Tensor
from typing_extensions import override

from regress.backend import refuse_skipped_fits
from regress.data.responses import Responses
from regress.data.several_subjects import Joint
from regress.layers.network import Network, select_vertices
from regress.layers.weights import (
    INSIDE,
    common_names,
    count_weights,
    has_shared_weights,
    join_states,
    split_inside,
)
from regress.parameter_checks import check_choices, check_whole
from regress.training.config import Part, Training, add_fields
from regress.training.inputs import held_pictures
from regress.training.phase import Data, Rows, Trainable, new_network, train_model

# Fitted arrays besides the network's.
FITTED = ("centre_", "scale_", "epochs_")


class TrainedModel(MultiOutputMixin, RegressorMixin, BaseEstimator, Trainable):  # type: ignore[misc]
    """Base of the models that are trained by gradient descent.

    A model has a network, which `make_network` makes, and parts, such as `Training`. Its parameters
    are those of its parts and its own, which a subclass lists as a dataclass lists its fields.

    Features are centred and scaled to unit variance with statistics of the pictures that are
    trained on. Vertices that train together, a group, stop together: when their loss on validation
    pictures is best. `fit` keeps these weights; `refit` trains again on its pictures for as many
    epochs. A constant vertex is predicted at its mean.

    Several subjects are trained at once where the responses are `Joint`: they share the weights of
    a group, and each vertex belongs to one subject.

    Attributes
    ----------
    inside_ : dict of str to Tensor or array, or None
        After `refit`, the weights and the scale of features of `fit`, where vertices share weights.
    """

    streams: ClassVar[bool] = True
    parts: ClassVar[tuple[type[Part], ...]] = (Training,)
    # Smallest values of the parameters that are whole numbers.
    limits: ClassVar[Mapping[str, int]] = {}
    # Values of the parameters that name something.
    choices: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    # Parameters that may differ from those of a fit that a training begins from.
    free: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, parts: tuple[type[Part], ...] = (), **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.parts = (*cls.parts, *parts)
        add_fields(cls, cls.parts)

    @property
    @override
    def together(self) -> bool:
        return any(part.from_model(self).together for part in self.parts)

    @override
    def check_parameters(self) -> None:
        for part in self.parts:
            part.from_model(self).check()
        check_whole(vars(self), self.limits)
        check_choices(vars(self), self.choices)

    def network_parameters(self) -> dict[str, Any]:
        """Return the parameters that define the network, by name."""
        free = {field.name for field in fields(Training)}.union(self.free)
        free.update(*(part.free for part in self.parts))
        return {n: v for n, v in self.get_params(deep=False).items() if n not in free}

    @override
    def fit(self, X: ArrayLike, y: Any) -> Self:
        refuse_skipped_fits()
        self.check_parameters()
        settings = Training.from_model(self)
        if settings.freeze and settings.start is None:
            raise ValueError(
                "freeze: found True without a start, expected a start whose group weights are kept"
            )
        data = self._validate(X, y)
        held = held_pictures(settings.validation, len(data[0]), settings.random_state)
        self.inside_: dict[str, Any] | None = None
        train_model(self, settings, data, held, None)
        return self

    @override
    def refit(self, X: ArrayLike, y: Any) -> Self:
        check_is_fitted(self)
        data = self._validate(X, y)
        if self.inside_ is None and has_shared_weights(self.network_):
            weights = {n: v for n, v in self.network_.state_dict().items() if n != "member"}
            self.inside_ = weights | self._scale()
        held = np.zeros(len(data[0]), bool)
        train_model(self, Training.from_model(self), data, held, self.epochs_)
        return self

    @override
    def predict(self, X: ArrayLike) -> NDArray:
        features = self._validate_features(X)
        predicted = self._compute(features, lambda network, part: network(part))
        dtype = np.float32 if features.dtype == np.uint8 else features.dtype
        predicted = predicted.astype(dtype, copy=False)
        return predicted[:, 0] if self._vector else predicted

    def sample(self, X: ArrayLike, n_samples: int, random_state: int = 0) -> NDArray[np.float32]:
        """Draw responses to pictures, each time with new noise.

        Parameters
        ----------
        X : array (n_images, n_features)
            Features.
        n_samples : int
            Number of draws.
        random_state : int
            Seed of the noise.

        Returns
        -------
        array of float32 (n_samples, n_images, n_vertices)
            Responses; all the same where the model has no noise. The noise is the same for all
            pictures and groups: only covariances within a group are meaningful.
        """

        def draw(network: Network, features: Tensor) -> Tensor:
            return torch.stack(list(network.draw(features, n_samples, random_state)))

        return self._compute(self._validate_features(X), draw)

    @override
    def state(self, vertices: Rows | None = None) -> dict[str, NDArray]:
        indices = np.arange(len(self.epochs_)) if vertices is None else np.asarray(vertices)
        state = self._select(indices, self.network_.state_dict() | self._scale())
        if self.inside_ is not None:
            inside = self._select(indices, self.inside_)
            state |= {INSIDE + name: values for name, values in inside.items()}
        return state | {"epochs_": self.epochs_[indices]}

    @override
    def restore(self, state: dict[str, NDArray]) -> Self:
        self.centre_, self.scale_, self.epochs_ = (state[name] for name in FITTED)
        arrays, inside = split_inside(state)
        weights = {n: torch.from_numpy(np.array(v)) for n, v in arrays.items() if n not in FITTED}
        self.inside_ = {n: torch.from_numpy(np.array(v)) for n, v in inside.items()} or None
        self.n_features_in_, self._vector, self.template_ = len(self.centre_), False, arrays
        self.network_ = new_network(self, self.random_state, arrays["member"])
        self.network_.load_state_dict(weights)
        # The same arrays, without a copy in memory.
        self.template_ = {
            name: values.numpy() for name, values in self.network_.state_dict().items()
        }
        return self

    @override
    def shared_names(self) -> list[str]:
        names = common_names(self.network_)
        if not names:
            return []
        names += ["centre_", "scale_"]
        return names + ([INSIDE + name for name in names] if self.inside_ is not None else [])

    @override
    def join(self, parts: Sequence[tuple[Rows, dict[str, NDArray]]]) -> dict[str, NDArray]:
        return join_states(clone(self).restore(parts[0][1]).network_, parts)

    @override
    def cost(self, vertices: Rows) -> dict[str, Any]:
        n_weights, n_shared = count_weights(self.network_, vertices)
        shared = {"shared_parameters": n_shared} if n_shared else {}
        epochs = int(self.epochs_[vertices].max())
        seconds = {"seconds_per_epoch": self.seconds_}
        return {"parameters": n_weights, **shared, "epochs": epochs, **seconds}

    def hyperparameter_names(self) -> list[str]:
        """List the attributes that `fit` chose per vertex and `refit` keeps."""
        return ["epochs_"]

    def _validate(self, X: ArrayLike, y: Any) -> Data:
        types, self._vector = [np.float32, np.uint8], False
        if isinstance(y, Responses | Joint):
            features = validate_data(self, X, dtype=types)
            if len(features) != len(y):
                raise ValueError(f"X has {len(features)} rows and y {len(y)}; expected as many")
            return features, y
        options = {"multi_output": True, "y_numeric": True, "ensure_min_samples": 2}
        features, responses = validate_data(self, X, y, dtype=types, **options)
        self._vector = responses.ndim == 1
        responses = check_array(responses.reshape(len(features), -1), dtype=np.float32)
        return features, Responses([responses])

    def _validate_features(self, X: ArrayLike) -> NDArray:
        check_is_fitted(self)
        types = [np.float32, np.float64, np.uint8]
        features: NDArray = validate_data(self, X, dtype=types, reset=False)
        return features

    def _standardised(self, X: NDArray) -> NDArray[np.float32]:
        return np.asarray((X - self.centre_) / self.scale_, np.float32)

    def _compute(
        self, X: NDArray, function: Callable[[Network, Tensor], Tensor], block: int | None = None
    ) -> NDArray[np.float32]:
        """Compute arrays (..., n_images, n_vertices) of pictures, block by block."""
        columns = self._subjects()
        if len(columns) > 1:
            models = map(self._select_vertices, columns)
            parts = [model._compute(X, function, block) for model in models]
            return np.concatenate(parts, -1)[..., np.argsort(np.concatenate(columns))]
        step, network, outputs = block or self.block, self.network_.eval(), []
        with torch.inference_mode():
            for first in range(0, len(X), step):
                features = torch.from_numpy(self._standardised(X[first : first + step]))
                outputs.append(function(network, features))
        computed: NDArray[np.float32] = torch.cat(outputs, -2).numpy()
        return computed

    def _subjects(self) -> list[Rows]:
        """Return the vertices of each subject, where a network predicts one subject at a time."""
        subjects = self.network_.subjects
        if subjects is None:
            return [np.arange(len(self.epochs_))]
        numbers = subjects.numpy()
        return [np.flatnonzero(numbers == number) for number in np.unique(numbers)]

    def _select_vertices(self, columns: Rows) -> Self:
        """Return a fitted model of some vertices."""
        model: Self = clone(self).restore(self.state(columns))
        return model

    def _select(self, vertices: Rows, arrays: Mapping[str, Any]) -> dict[str, NDArray]:
        """Select the arrays of some vertices; the scale of features belongs to all."""
        scale = {name: np.asarray(arrays[name]) for name in self._scale() if name in arrays}
        weights = {name: values for name, values in arrays.items() if name not in scale}
        part = select_vertices(self.network_, torch.from_numpy(vertices), weights)
        return {name: values.numpy() for name, values in part.items()} | scale

    def _scale(self) -> dict[str, NDArray]:
        return {"centre_": self.centre_, "scale_": self.scale_}

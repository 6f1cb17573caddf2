"""What all trained models share: parameters, standardised features, fitting, saving, predicting."""

import inspect
from pathlib import Path
from typing import Any, ClassVar, Self

import joblib
import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from regress.arguments import SCOPES
from regress.device import refuse_skipped_fits
from regress.responses import Responses
from regress.trained.data import Pictures
from regress.trained.inputs import groups_of, held_pictures, most_epochs, standard
from regress.trained.kept import Kept
from regress.trained.losses import Loss
from regress.trained.network import Network, axis_of, part_of
from regress.trained.recipe import Files, Recipe, check_recipe
from regress.trained.training import train

# Pictures that are predicted at once.
BLOCK = 1024


class TrainedModel(MultiOutputMixin, RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Base of the models that are trained by gradient descent.

    Features are centred and scaled to unit variance with statistics of the pictures that are
    trained on. Vertices that train together, a group, stop together: when their loss on validation
    pictures is best. `fit` keeps these weights; `refit` trains anew on all pictures it is given,
    for as many epochs. A constant vertex is predicted at its mean.

    A subclass gives `make_network`; its own parameters go before `**training`.

    Parameters
    ----------
    loss : str
        mse, huber, pearson (1 - r over the pictures of a batch), or a sum: "mse+0.5*pearson".
    optimiser : str
        adamw, adam, sgd or nadam.
    lr : float
        The learning rate.
    weight_decay : float
        Of adamw and nadam it shrinks the weights by lr * weight_decay each step; of adam and sgd it
        is a ridge penalty of weight_decay * n_images / 2.
    momentum : float
        Of sgd.
    schedule : str
        What the learning rate does after the warm-up: cosine (falls to 0) or constant.
    warmup : float
        The share of the steps over which the learning rate rises.
    dropout : float
        The share of features that is left out at each step.
    epochs : int
        Passes over the pictures, at most.
    patience : int
        After so many epochs without a better loss a group stops.
    batch : int
        Pictures in a batch, at most.
    validation : float, or array of bool (n_images,)
        The share of the pictures that stops the training, or which they are; 0 for none: then all
        epochs are trained.
    scope : str, or array (n_vertices,)
        Who stops together: "roi", all vertices given to `fit`; "vertex", each on its own; or the
        vertices of one number or name.
    precision : str
        Lightning's: 32-true, bf16-mixed, or 16-mixed, which needs a GPU.
    random_state : int
        Seed of weights, batches and dropout.
    checkpoint : path, optional
        A file; its name gets "-fit" and "-refit". A training that was interrupted is taken up, one
        that was done is not repeated, until the file is removed.
    log : path, optional
        A CSV file of the losses; its name gets the same.
    progress_bar : bool
        Whether to show the progress.

    Attributes
    ----------
    epochs_ : array of int (n_vertices,)
        The epoch that the weights of each vertex are of; 0 where nothing was better than the mean.
    network_ : Network
        The best weights.
    """

    streams: ClassVar[bool] = True

    def __init__(
        self,
        loss: str = "mse",
        optimiser: str = "adamw",
        lr: float = 3e-4,
        weight_decay: float = 0.01,
        momentum: float = 0.9,
        schedule: str = "cosine",
        warmup: float = 0.05,
        dropout: float = 0.0,
        epochs: int = 100,
        patience: int = 10,
        batch: int = 256,
        validation: Any = 0.1,
        scope: Any = "roi",
        precision: str = "32-true",
        random_state: int = 0,
        checkpoint: str | Path | None = None,
        log: str | Path | None = None,
        progress_bar: bool = False,
    ) -> None:
        self.loss = loss
        self.optimiser = optimiser
        self.lr = lr
        self.weight_decay = weight_decay
        self.momentum = momentum
        self.schedule = schedule
        self.warmup = warmup
        self.dropout = dropout
        self.epochs = epochs
        self.patience = patience
        self.batch = batch
        self.validation = validation
        self.scope = scope
        self.precision = precision
        self.random_state = random_state
        self.checkpoint = checkpoint
        self.log = log
        self.progress_bar = progress_bar

    @classmethod
    def _get_param_names(cls) -> list[str]:
        # scikit-learn reads the names from one __init__; here a subclass adds to those of its base.
        names: set[str] = set()
        for one in cls.__mro__:
            if "__init__" in vars(one) and one is not object:
                parameters = inspect.signature(vars(one)["__init__"]).parameters.values()
                names |= {p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD}
        return sorted(names - {"self"})

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

    def check_parameters(self) -> None:
        """Refuse parameters that cannot be, before anything is computed.

        Raises
        ------
        ValueError
            If one is out of range; the message names it.
        """
        check_recipe(self.get_params(deep=False))
        scope, share = self.scope, self.validation
        if scope not in SCOPES if isinstance(scope, str) else np.ndim(scope) != 1:
            raise ValueError(f"scope: found {scope!r}, expected {' or '.join(SCOPES)}")
        if np.ndim(share) == 0 and not (isinstance(share, float | int) and 0 <= share < 1):
            raise ValueError(f"validation: found {share!r}, expected a share from 0 on, below 1")

    def fit(self, X: ArrayLike, y: Any) -> Self:
        """Train until the loss on validation pictures is best, each group on its own.

        Parameters
        ----------
        X : array (n_images, n_features)
            Features.
        y : array (n_images, n_vertices) or (n_images,), or Responses
            Responses.

        Returns
        -------
        self
            Fitted.
        """
        refuse_skipped_fits()
        self.check_parameters()
        features, responses = self._validated(X, y)
        held = held_pictures(self.validation, len(features), self.random_state)
        return self._train(features, responses, held, None)

    def refit(self, X: ArrayLike, y: Any) -> Self:
        """Train anew on other pictures, for the epochs that `fit` found best.

        Parameters
        ----------
        X : array (n_images, n_features)
            Features.
        y : array (n_images, n_vertices) or (n_images,), or Responses
            Responses of the same vertices.

        Returns
        -------
        self
            With new weights.
        """
        check_is_fitted(self)
        features, responses = self._validated(X, y)
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
            `centre_` and `scale_` of the features; `epochs_`.
        """
        which = np.arange(len(self.epochs_)) if vertices is None else np.asarray(vertices)
        part = part_of(self.network_, torch.from_numpy(which))
        plain = {name: values.numpy() for name, values in part.items()}
        return plain | {
            "centre_": self.centre_,
            "scale_": self.scale_,
            "epochs_": self.epochs_[which],
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
        self.n_features_in_ = len(self.centre_)
        self._vector = False
        self.network_ = self._made(weights["member"])
        self.network_.load_state_dict(weights)
        return self

    def _validated(self, X: ArrayLike, y: Any) -> tuple[NDArray[np.float32], Responses]:
        if isinstance(y, Responses):
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
        responses: Responses,
        held: NDArray[np.bool_],
        epochs: NDArray[np.int64] | None,
    ) -> Self:
        names, member = groups_of(self.scope, responses.shape[1])
        inside = ~held
        self.centre_, self.scale_ = standard(X[inside])
        means, varying = responses.pictures(inside).means()
        still = ~varying if epochs is None else ~varying | (epochs == 0)
        recipe, files = self._recipe(), self._files(X, responses, held, epochs, (names, member))
        network = self._made(torch.from_numpy(member))
        network.offset.data.copy_(torch.from_numpy(means))
        network.offset.requires_grad_(Loss(recipe.loss).moves_mean)
        limits = None if epochs is None else most_epochs(epochs, member, len(names))
        kept = Kept(network, recipe.patience, limits)
        pictures = Pictures(self._standardised(X), responses)
        rows = np.flatnonzero(inside), np.flatnonzero(held)
        train(network, pictures, rows, kept, recipe, files, names)
        self._adopt(kept, member, still, means)
        return self

    def _made(self, member: torch.Tensor) -> Network:
        # The caller's random numbers are left alone.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.random_state)
            return self.make_network(len(self.centre_), member)

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

    def _recipe(self) -> Recipe:
        names = {"seed": "random_state"}
        fields = Recipe.__dataclass_fields__
        return Recipe(**{name: getattr(self, names.get(name, name)) for name in fields})

    def _files(
        self,
        X: NDArray[np.float32],
        responses: Responses,
        held: NDArray[np.bool_],
        epochs: NDArray[np.int64] | None,
        groups: tuple[NDArray, NDArray[np.int64]],
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

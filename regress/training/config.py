"""Settings and files of a training, apart from the network and the data."""

import inspect
import numbers
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from regress.errors import RegressError
from regress.solvers.arguments import MAX_COUNT, SCOPES
from regress.training.losses import Loss
from regress.training.optimisers import OPTIMISERS, SCHEDULES, lookup

Precision = Literal["32-true", "16-mixed", "bf16-mixed"]


@dataclass(frozen=True)
class Recipe:
    """Settings that change the numbers of a training, besides network and data.

    Attributes
    ----------
    loss : str
        Losses and weights, as `Loss` parses them.
    optimiser, schedule : str
        Keys of `OPTIMISERS` and `SCHEDULES`.
    lr, weight_decay, momentum, warmup : float
        Arguments of `make_optimiser` and `rate`.
    l1_epochs : int
        Epochs at the beginning that train l1 in place of the loss.
    epochs, patience, batch : int
        Epochs at most, epochs without a better loss before a group stops, pictures in a batch.
    precision : str
        Lightning's name for the arithmetic.
    seed : int
        Seed of weights, batches and dropout.
    block : int
        Pictures that are predicted at once, for validation.
    """

    loss: str
    optimiser: str
    schedule: str
    lr: float
    weight_decay: float
    momentum: float
    warmup: float
    l1_epochs: int
    epochs: int
    patience: int
    batch: int
    precision: Precision
    seed: int
    block: int


@dataclass(frozen=True)
class Files:
    """Files and progress of a training, which change no number.

    Attributes
    ----------
    checkpoint : Path or None
        File to which the state is saved every few seconds, and from which a training resumes.
    digest : str
        Digest of everything that the training depends on.
    log : Path or None
        A CSV file of the losses.
    show : str
        Label of the progress bar; empty for no bar.
    """

    checkpoint: Path | None = None
    digest: str = ""
    log: Path | None = None
    show: str = ""


def check_recipe(parameters: Mapping[str, Any]) -> None:
    """Check the parameters of a training."""
    try:
        least = Loss(parameters["loss"]).least
        lookup(OPTIMISERS, "optimiser", parameters["optimiser"])
        lookup(SCHEDULES, "schedule", parameters["schedule"])
        lookup(dict.fromkeys(get_args(Precision)), "precision", parameters["precision"])
    except RegressError as error:
        raise ValueError(str(error)) from error
    for name, lowest in {"epochs": 1, "patience": 1, "batch": 1, "l1_epochs": 0}.items():
        value = parameters[name]
        whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
        if not whole or value < lowest:
            raise ValueError(f"{name}: found {value!r}, expected a whole number from {lowest} on")
        if value > MAX_COUNT:
            raise ValueError(f"{name}: found {value}, expected at most {MAX_COUNT}")
    if parameters["batch"] < least:
        raise ValueError(
            f"batch: found {parameters['batch']}, expected at least {least}: so many pictures must "
            f"a batch have, over which loss {parameters['loss']!r} correlates"
        )
    if not _is_number(parameters["lr"]) or not parameters["lr"] > 0:
        raise ValueError(f"lr: found {parameters['lr']!r}, expected a number above 0")
    if not _is_number(parameters["weight_decay"]) or parameters["weight_decay"] < 0:
        raise ValueError(
            f"weight_decay: found {parameters['weight_decay']!r}, expected a number from 0 on"
        )
    for name in ("momentum", "warmup", "dropout"):
        value = parameters[name]
        if not _is_number(value) or not 0 <= value < 1:
            raise ValueError(f"{name}: found {value!r}, expected a number from 0 on, below 1")


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and abs(float(value)) < float("inf")


class Parameters(BaseEstimator):  # type: ignore[misc]
    """Parameters of all trained models.

    Parameters
    ----------
    loss : str
        mse, l1, huber, pearson (1 - r over the pictures of a batch, for each vertex), pattern
        (1 - r over the vertices of a group, for each picture), or a sum: "mse+0.5*pearson".
    l1_epochs : int
        Number of epochs at the beginning that train l1 in place of `loss`: r does not depend on the
        scale of predictions, which l1 sets. Validation is by `loss` throughout.
    optimiser : str
        adamw, adam, sgd or nadam.
    lr : float
        Learning rate.
    weight_decay : float
        With adamw and nadam, weights shrink by lr * weight_decay at each step; with adam and sgd,
        this is a ridge penalty of weight_decay * n_images / 2.
    momentum : float
        Momentum of sgd.
    schedule : str
        Learning rate after the warm-up: cosine (falls to 0) or constant.
    warmup : float
        Share of the steps over which the learning rate rises.
    dropout : float
        Share of features that is left out at each step.
    epochs : int
        Largest number of epochs.
    patience : int
        Number of epochs without a better loss after which a group stops.
    batch : int
        Largest number of pictures in a batch; with several subjects, of each.
    validation : float, or array of bool (n_images,)
        Share of validation pictures, which stop the training, or a mask of them; with 0, all epochs
        are trained.
    scope : str, or array (n_vertices,)
        Groups of vertices that train and stop together: "roi", all vertices given to `fit`;
        "vertex", each alone; or the number or name of each vertex' group.
    precision : str
        Lightning's precision: 32-true, bf16-mixed, or 16-mixed, which needs a GPU.
    random_state : int
        Seed of weights, batches and dropout.
    start : mapping of str to array, optional
        Initial weights, the `state` of a model of the same groups in the same order (that of their
        sorted names). The weights of groups and the scale of features are loaded, and the weights
        of vertices where "known", an array of bool (n_vertices,), is true.
    freeze : bool
        Whether the weights of groups stay as in `start`.
    checkpoint : path, optional
        File to which the training is saved; "-fit" and "-refit" are appended to its name. An
        interrupted training resumes, and a finished one is not repeated, until it is removed.
    log : path, optional
        CSV file of the losses, with the same suffixes.
    progress_bar : bool
        Whether to show the progress.
    """

    def __init__(
        self,
        loss: str = "mse",
        l1_epochs: int = 0,
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
        start: Mapping[str, NDArray] | None = None,
        freeze: bool = False,
        checkpoint: str | Path | None = None,
        log: str | Path | None = None,
        progress_bar: bool = False,
    ) -> None:
        self.loss = loss
        self.l1_epochs = l1_epochs
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
        self.start = start
        self.freeze = freeze
        self.checkpoint = checkpoint
        self.log = log
        self.progress_bar = progress_bar

    def __init_subclass__(cls, **options: Any) -> None:
        # A subclass adds parameters to those of its base, and passes the others on. scikit-learn
        # and editors read its signature, which lists all of them.
        super().__init_subclass__(**options)
        parameters: dict[str, inspect.Parameter] = {}
        for base in cls.__mro__:
            if "__init__" in vars(base) and base is not object:
                for parameter in list(
                    inspect.signature(vars(base)["__init__"]).parameters.values()
                ):
                    if parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
                        parameters.setdefault(parameter.name, parameter)
        del parameters["self"]
        cls.__signature__ = inspect.Signature(list(parameters.values()))

    @classmethod
    def _get_param_names(cls) -> list[str]:
        return sorted(inspect.signature(cls).parameters)

    def network_parameters(self) -> dict[str, Any]:
        """Return the parameters that define a model's network, which are the model's own.

        Returns
        -------
        dict
            Values by name; empty where all networks of the model are alike.
        """
        shared = Parameters._get_param_names()
        return {n: v for n, v in self.get_params(deep=False).items() if n not in shared}

    def check_parameters(self) -> None:
        """Check the parameters before anything is computed."""
        check_recipe(self.get_params(deep=False))
        scope, share = self.scope, self.validation
        if scope not in SCOPES if isinstance(scope, str) else np.ndim(scope) != 1:
            raise ValueError(f"scope: found {scope!r}, expected {' or '.join(SCOPES)}")
        if np.ndim(share) == 0 and not (isinstance(share, float | int) and 0 <= share < 1):
            raise ValueError(f"validation: found {share!r}, expected a share from 0 on, below 1")
        if not isinstance(self.freeze, bool):
            raise ValueError(f"freeze: found {self.freeze!r}, expected true or false")

    def _recipe(self) -> Recipe:
        names = {"seed": "random_state"}
        fields = Recipe.__dataclass_fields__
        return Recipe(**{name: getattr(self, names.get(name, name)) for name in fields})

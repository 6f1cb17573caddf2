"""Parts of trained models: dataclasses whose fields are parameters of the models that have them."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from regress.errors import RegressError
from regress.parameter_checks import check_numbers, check_positive, check_scope, check_whole
from regress.training.losses import Loss
from regress.training.optimisers import OPTIMISERS, SCHEDULES, lookup

PRECISIONS = ("32-true", "16-mixed", "bf16-mixed")


@dataclass(frozen=True)
class Part:
    """Base of the parts: settings of one concern, and what is made of them.

    Attributes
    ----------
    free : tuple of str
        Fields that may differ from those of a fit that a training begins from; none by default.
    """

    free: ClassVar[tuple[str, ...]] = ()

    @property
    def together(self) -> bool:
        """Whether all vertices must be trained together; False here."""
        return False

    @classmethod
    def from_model(cls, model: Any) -> Self:
        """Return the part that a model has, from its parameters."""
        return cls(**{field.name: getattr(model, field.name) for field in fields(cls)})

    def check(self) -> None:
        """Check the fields; raise a ValueError that names an invalid one."""


def add_fields(cls: type, parts: tuple[type[Part], ...]) -> None:
    """Make a class a dataclass of its own fields and, unless it has them, those of parts."""
    annotations = vars(cls).get("__annotations__", {})
    names = {*annotations, *getattr(cls, "__dataclass_fields__", {})}
    part_fields = [f for f in chain.from_iterable(map(fields, parts)) if f.name not in names]
    for field in part_fields:
        setattr(cls, field.name, field.default)
    cls.__annotations__ = {field.name: field.type for field in part_fields} | annotations
    # scikit-learn compares and prints estimators in its own way.
    dataclass(cls, eq=False, repr=False, kw_only=True)


@dataclass(frozen=True)
class Training(Part):
    """How a model is trained.

    Attributes
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

    loss: str = "mse"
    l1_epochs: int = 0
    optimiser: str = "adamw"
    lr: float = 3e-4
    weight_decay: float = 0.01
    momentum: float = 0.9
    schedule: str = "cosine"
    warmup: float = 0.05
    dropout: float = 0.0
    epochs: int = 100
    patience: int = 10
    batch: int = 256
    validation: Any = 0.1
    scope: Any = "roi"
    precision: Any = "32-true"
    random_state: int = 0
    start: Mapping[str, NDArray] | None = None
    freeze: bool = False
    checkpoint: str | Path | None = None
    log: str | Path | None = None
    progress_bar: bool = False

    @override
    def check(self) -> None:
        parameters = vars(self)
        try:
            least = Loss(self.loss).min_pictures
            lookup(OPTIMISERS, "optimiser", self.optimiser)
            lookup(SCHEDULES, "schedule", self.schedule)
            lookup(dict.fromkeys(PRECISIONS), "precision", self.precision)
        except RegressError as error:
            raise ValueError(str(error)) from error
        check_whole(parameters, {"epochs": 1, "patience": 1, "batch": 1, "l1_epochs": 0})
        if self.batch < least:
            raise ValueError(
                f"batch: found {self.batch}, expected at least {least}: so many pictures must a "
                f"batch have, over which loss {self.loss!r} correlates"
            )
        check_positive(parameters, "lr")
        check_numbers(parameters, ["weight_decay"])
        check_numbers(parameters, ["momentum", "warmup", "dropout"], below=1)
        check_scope(self.scope)
        share = self.validation
        if np.ndim(share) == 0 and not (isinstance(share, float | int) and 0 <= share < 1):
            raise ValueError(f"validation: found {share!r}, expected a share from 0 on, below 1")
        if not isinstance(self.freeze, bool):
            raise ValueError(f"freeze: found {self.freeze!r}, expected true or false")


@dataclass(frozen=True)
class Files:
    """Files and progress of a training, which change no number.

    The digest is of everything that the training depends on; without a label there is no bar.
    """

    checkpoint: Path | None = None
    digest: str = ""
    log: Path | None = None
    label: str = ""

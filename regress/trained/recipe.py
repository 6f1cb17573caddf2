"""How a training goes, apart from the network and the data, and the files that it keeps."""

import numbers
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from regress.arguments import MOST
from regress.errors import RegressError
from regress.trained.losses import Loss
from regress.trained.optimisers import OPTIMISERS, SCHEDULES, named

Precision = Literal["32-true", "16-mixed", "bf16-mixed"]


@dataclass(frozen=True)
class Recipe:
    """What of a training changes its numbers, besides network and data.

    Attributes
    ----------
    loss : str
        As `Loss` reads it.
    optimiser, schedule : str
        Keys of `OPTIMISERS` and `SCHEDULES`.
    lr, weight_decay, momentum, warmup : float
        As `make_optimiser` and `rate` take them.
    l1_epochs : int
        Epochs at the beginning that train l1 in place of the loss.
    epochs, patience, batch : int
        Epochs at most, epochs without a better loss before a group stops, pictures in a batch.
    precision : str
        Lightning's name for the arithmetic.
    seed : int
        Of weights, batches and dropout.
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
    """What a training writes besides its result, which changes no number.

    Attributes
    ----------
    checkpoint : Path or None
        Where its state is kept now and then, so that it can be taken up.
    belongs : str
        A digest of all that the training depends on.
    log : Path or None
        A CSV file of the losses.
    show : str
        What stands before the progress; none is shown where it is empty.
    """

    checkpoint: Path | None = None
    belongs: str = ""
    log: Path | None = None
    show: str = ""


def check_recipe(parameters: Mapping[str, Any]) -> None:
    """Refuse parameters of a training that cannot be.

    Parameters
    ----------
    parameters : mapping
        The estimator's.

    Raises
    ------
    ValueError
        If one is out of range; the message names it, what was found and what is expected.
    """
    try:
        least = Loss(parameters["loss"]).least
        named(OPTIMISERS, "optimiser", parameters["optimiser"])
        named(SCHEDULES, "schedule", parameters["schedule"])
        named(dict.fromkeys(get_args(Precision)), "precision", parameters["precision"])
    except RegressError as error:
        raise ValueError(str(error)) from error
    for name, lowest in {"epochs": 1, "patience": 1, "batch": 1, "l1_epochs": 0}.items():
        value = parameters[name]
        whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
        if not whole or value < lowest:
            raise ValueError(f"{name}: found {value!r}, expected a whole number from {lowest} on")
        if value > MOST:
            raise ValueError(f"{name}: found {value}, expected at most {MOST}")
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

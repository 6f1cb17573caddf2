"""Optimisers and learning-rate schedules, by name.

All update each weight independently, so that models trained together equal those trained one by
one.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch import Tensor
from torch.optim import SGD, Adam, AdamW, NAdam, Optimizer

from base import list_choices
from regress.errors import RegressError

Groups = Iterable[dict[str, Any]]

# Fused: one pass over the weights, their gradient and moments, instead of ten.
OPTIMISERS: dict[str, Callable[[Groups, float, float], Optimizer]] = {
    "adamw": lambda groups, lr, _: AdamW(groups, lr, fused=True),
    "adam": lambda groups, lr, _: Adam(groups, lr, fused=True),
    "sgd": lambda groups, lr, momentum: SGD(groups, lr, momentum, fused=True),
    "nadam": lambda groups, lr, _: NAdam(groups, lr, decoupled_weight_decay=True, foreach=True),
}


def cosine(share: float) -> float:
    """Return the multiplier at a share of the training; it falls from 1 to 0 along half a cosine.

    References
    ----------
    Loshchilov, Hutter (2017). SGDR: stochastic gradient descent with warm restarts. ICLR,
    equation 5, without restarts.
    """
    return 0.5 * (1 + math.cos(math.pi * min(share, 1)))


SCHEDULES: dict[str, Callable[[float], float]] = {"cosine": cosine, "constant": lambda _: 1.0}


def lookup(table: dict[str, Any], kind: str, name: str) -> Any:
    """Return an entry of a table; raise an error that lists the names if there is none."""
    if name not in table:
        raise RegressError(f"{kind}: found {name!r}, expected one of {list_choices(name, table)}")
    return table[name]


def make_optimiser(
    name: str,
    weights: Iterable[tuple[str, Tensor]],
    lr: float,
    weight_decay: float,
    momentum: float,
    rates: Mapping[str, float] | None = None,
) -> Optimizer:
    """Make an optimiser.

    Parameters
    ----------
    weights : iterable of (str, Tensor)
        The weights, by name; biases, offsets and those of norms are not decayed.
    weight_decay : float
        With `sgd` and `adam`, weight_decay / 2 times the squared weights is added to the loss:
        ridge with the penalty weight_decay * n_images / 2 on the same standardised features. With
        `adamw` and `nadam`, weights shrink by lr * weight_decay at each step.
    rates : mapping of str to float, optional
        Multiples of the learning rate, by the beginning of the weights' names.

    Returns
    -------
    Optimizer
        Optimiser of these weights; those with the full rate come first.

    References
    ----------
    Loshchilov, Hutter (2019). Decoupled weight decay regularization. ICLR.
    """
    divided: dict[tuple[float, float], list[Tensor]] = {(1.0, weight_decay): []}
    for weight, tensor in weights:
        if tensor.requires_grad:
            plain = any(word in weight for word in ("bias", "offset", "norm"))
            share = next((s for n, s in (rates or {}).items() if weight.startswith(n)), 1.0)
            divided.setdefault((share, 0.0 if plain else weight_decay), []).append(tensor)
    groups = [
        {"params": tensors, "weight_decay": decay, "lr": share * lr}
        for (share, decay), tensors in divided.items()
    ]
    optimiser: Optimizer = lookup(OPTIMISERS, "optimiser", name)(groups, lr, momentum)
    return optimiser


def rate(schedule: str, warmup: float, n_steps: int) -> Callable[[int], float]:
    """Return a function from the step to the learning rate's multiplier.

    Parameters
    ----------
    warmup : float
        Share of the steps over which the multiplier rises from near 0 to 1.
    """
    fall = lookup(SCHEDULES, "schedule", schedule)
    rising = round(warmup * n_steps)

    def at(step: int) -> float:
        if step < rising:
            return (step + 1) / (rising + 1)
        return float(fall((step - rising) / max(1, n_steps - rising)))

    return at

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
    """Make an optimiser of weights, by name; those with the full learning rate come first.

    Biases, offsets and the weights of norms are not decayed. `rates` has multiples of the learning
    rate, by the beginning of the weights' names.

    With `sgd` and `adam`, weight_decay / 2 times the squared weights is added to the loss: ridge
    with the penalty weight_decay * n_images / 2 on the same standardised features. With `adamw` and
    `nadam`, weights shrink by lr * weight_decay at each step.

    References
    ----------
    Loshchilov, Hutter (2019). Decoupled weight decay regularization. ICLR.
    """
    tensors: dict[tuple[float, float], list[Tensor]] = {(1.0, weight_decay): []}
    for weight, tensor in weights:
        if tensor.requires_grad:
            is_plain = any(word in weight for word in ("bias", "offset", "norm"))
            share = next((s for n, s in (rates or {}).items() if weight.startswith(n)), 1.0)
            tensors.setdefault((share, 0.0 if is_plain else weight_decay), []).append(tensor)
    groups = [
        {"params": params, "weight_decay": decay, "lr": share * lr}
        for (share, decay), params in tensors.items()
    ]
    optimiser: Optimizer = lookup(OPTIMISERS, "optimiser", name)(groups, lr, momentum)
    return optimiser


def make_schedule(name: str, warmup: float, n_steps: int) -> Callable[[int], float]:
    """Return a function from the step to the learning rate's multiplier.

    It rises from near 0 to 1 over the first steps, of which `warmup` is the share.
    """
    fall = lookup(SCHEDULES, "schedule", name)
    n_rising = round(warmup * n_steps)

    def multiplier(step: int) -> float:
        if step < n_rising:
            return (step + 1) / (n_rising + 1)
        return float(fall((step - n_rising) / max(1, n_steps - n_rising)))

    return multiplier

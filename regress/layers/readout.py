"""What networks with a trunk for each group share: readouts of vertices, and limits."""

import numbers
import os
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from regress.errors import RegressError
from regress.solvers.arguments import MAX_COUNT

# A weight, its best value, its gradient and two moments.
COPIES = 5


def read_out(hidden: Tensor, weight: Tensor, bias: Tensor, member: Tensor) -> Tensor:
    """Weigh, for each vertex, what the trunk of its group gives.

    Parameters
    ----------
    member : Tensor of int (n_vertices,)
        The group of each vertex. Fastest where it rises, as in a layout: groups are then slices.
    """
    if bool((member[1:] < member[:-1]).any()):
        order = torch.argsort(member, stable=True)
        responses = read_out(hidden, weight[:, order], bias[order], member[order])
        return responses[:, torch.argsort(order)]
    counts = torch.bincount(member, minlength=len(hidden)).tolist()
    if len(set(counts)) == 1:
        # Groups of one size, such as vertices that are trained each alone, in one product.
        group_weights = weight.reshape(len(weight), len(hidden), -1).transpose(0, 1)
        return torch.bmm(hidden, group_weights).transpose(0, 1).flatten(1) + bias
    parts = zip(hidden, torch.split(weight, counts, 1), torch.split(bias, counts), strict=True)
    return torch.cat([torch.addmm(b, h, w) for h, w, b in parts], 1)


def repeat_per_group(initial: Tensor, n_groups: int) -> torch.nn.Parameter:
    """Begin every group with the same weights.

    So a group is trained as it would be alone: how it begins does not depend on which others are
    trained beside it. They part at the first step.
    """
    return torch.nn.Parameter(initial.expand(n_groups, *initial.shape).contiguous())


def check_memory(n_groups: int, weights: int, values: int) -> None:
    """Refuse more trunks than memory holds, before one is made.

    Parameters
    ----------
    values : int
        What it computes on the way for a batch of pictures, each with its gradient.
    """
    needed = 4 * n_groups * (COPIES * weights + 2 * values)
    available = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > available:
        raise RegressError(
            f"{n_groups:,} groups, each with {weights:,} weights of its own beside the readouts, "
            f"need {needed / 1e9:.0f} GB to train, and this machine has {available / 1e9:.0f} GB: "
            "let more vertices share a network (--params.scope roi, --group_by class), or make it "
            "smaller"
        )


def check_whole(parameters: Mapping[str, Any], least: Mapping[str, int]) -> None:
    """Refuse parameters that are no whole numbers, too small, or beyond what can be computed.

    Parameters
    ----------
    least : mapping of str to int
        The smallest value of each parameter that is looked at.
    """
    for name, low in least.items():
        value = parameters[name]
        if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < low:
            raise ValueError(f"{name}: found {value!r}, expected a whole number from {low} on")
        if int(value) > MAX_COUNT:
            raise ValueError(f"{name}: found {value}, expected at most {MAX_COUNT}")

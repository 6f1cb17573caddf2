"""Readouts of vertices from the trunks of their groups, and checks of sizes."""

import numbers
import os
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from regress.errors import RegressError
from regress.solvers.arguments import MAX_COUNT

# Copies of a weight in training: itself, its best value, its gradient and two moments.
COPIES = 5


def read_out(hidden: Tensor, weight: Tensor, bias: Tensor, member: Tensor) -> Tensor:
    """Compute, for each vertex, a weighted sum of its group's hidden units.

    Parameters
    ----------
    member : Tensor of int (n_vertices,)
        Group of each vertex. Fastest where it rises, as in a layout: groups are then slices.
    """
    if bool((member[1:] < member[:-1]).any()):
        order = torch.argsort(member, stable=True)
        responses = read_out(hidden, weight[:, order], bias[order], member[order])
        return responses[:, torch.argsort(order)]
    counts = torch.bincount(member, minlength=len(hidden)).tolist()
    if len(set(counts)) == 1:
        # Groups of one size, such as vertices that are trained separately, in one product.
        group_weights = weight.reshape(len(weight), len(hidden), -1).transpose(0, 1)
        return torch.bmm(hidden, group_weights).transpose(0, 1).flatten(1) + bias
    parts = zip(hidden, torch.split(weight, counts, 1), torch.split(bias, counts), strict=True)
    return torch.cat([torch.addmm(b, h, w) for h, w, b in parts], 1)


def repeat_per_group(initial: Tensor, n_groups: int) -> torch.nn.Parameter:
    """Return a parameter in which every group has the same initial weights.

    So a group is trained as it would be alone: its initial weights do not depend on other groups.
    """
    return torch.nn.Parameter(initial.expand(n_groups, *initial.shape).contiguous())


def check_memory(n_groups: int, weights: int, values: int) -> None:
    """Check that memory can hold the trunks of all groups, before they are made.

    Parameters
    ----------
    values : int
        Intermediate values of a group for a batch of pictures; each has a gradient.
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
    """Check that parameters are whole numbers within their limits.

    Parameters
    ----------
    least : mapping of str to int
        Smallest value of each parameter to check.
    """
    for name, low in least.items():
        value = parameters[name]
        if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < low:
            raise ValueError(f"{name}: found {value!r}, expected a whole number from {low} on")
        if int(value) > MAX_COUNT:
            raise ValueError(f"{name}: found {value}, expected at most {MAX_COUNT}")

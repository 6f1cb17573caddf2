"""Readouts of vertices from the trunks of their groups, and the memory that trunks need."""

import torch
from torch import Tensor, nn

from base import machine_memory
from regress.errors import RegressError

# Copies of a weight in training: itself, its best value, its gradient and two moments.
COPIES = 5


def read_out(hidden: Tensor, weight: Tensor, bias: Tensor, member: Tensor) -> Tensor:
    """Compute, for each vertex, a weighted sum of its group's units (n_groups, n_images, width).

    Fastest where the groups of the vertices rise, as in a layout: groups are then slices.
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


def repeat_per_group(initial: Tensor, n_groups: int) -> nn.Parameter:
    """Return a parameter in which every group has the same initial weights, as it would alone."""
    return nn.Parameter(initial.expand(n_groups, *initial.shape).contiguous())


def check_memory(n_groups: int, weights: int, values: int) -> None:
    """Check that memory can hold the trunks of all groups, before they are made.

    `weights` and `values` are the numbers of weights of a group, and of its intermediate values for
    a batch of pictures, each of which has a gradient.
    """
    needed = 4 * n_groups * (COPIES * weights + 2 * values)
    if needed > machine_memory():
        raise RegressError(
            f"{n_groups:,} groups, each with {weights:,} weights of its own beside the readouts, "
            f"need {needed / 1e9:.0f} GB to train, and this machine has "
            f"{machine_memory() / 1e9:.0f} GB: let more vertices share a network (--params.scope "
            "roi, --group_by class), or make it smaller"
        )

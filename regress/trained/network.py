"""Networks whose parts belong to vertices or to groups of them, so that parts can be told apart."""

from typing import ClassVar

import torch
from torch import Tensor, nn


class Network(nn.Module):
    """Base of the networks from features to responses.

    A network serves many groups of vertices at once. Each of its weights has an axis that counts
    vertices, or groups: with that, what belongs to a group can be kept, left behind or saved, and
    groups trained together are those trained one by one.

    Parameters
    ----------
    member : Tensor of int (n_vertices,)
        The group of each vertex; numbers from 0, none left out.

    Attributes
    ----------
    axes : dict of str to (str, int)
        For each weight and buffer, by its name: what the axis counts ("vertex" or "group"), and
        which axis it is. A subclass adds its own.
    offset : Tensor (n_vertices,)
        Added to the predictions: the mean response. It is trained only with a loss whose best
        constant is another, `huber`: along the rounding errors of a gradient of 0, Adam and its kin
        take steps of full length. A network that needs a bias besides has its own.
    """

    axes: ClassVar[dict[str, tuple[str, int]]] = {"offset": ("vertex", 0), "member": ("vertex", 0)}

    member: Tensor

    def __init__(self, member: Tensor) -> None:
        super().__init__()
        self.offset = nn.Parameter(torch.zeros(len(member)))
        self.register_buffer("member", member)

    @property
    def n_groups(self) -> int:
        """How many groups there are."""
        return int(self.member.max()) + 1


def axis_of(network: Network, name: str) -> tuple[str, int]:
    """Say what the axis of a weight counts, and which it is.

    Parameters
    ----------
    network : Network
        The network.
    name : str
        Of a weight or buffer.

    Returns
    -------
    (str, int)
        "vertex" or "group", and the axis.
    """
    return type(network).axes[name]


def part_of(
    network: Network, vertices: Tensor, of: dict[str, Tensor] | None = None
) -> dict[str, Tensor]:
    """Take what belongs to some vertices, and to their groups.

    Parameters
    ----------
    network : Network
        The network.
    vertices : Tensor of int (n,)
        Which.
    of : dict of str to Tensor, optional
        Arrays of the same axes as the network's; the network's own by default.

    Returns
    -------
    dict of str to Tensor
        A state of a network of these vertices, whose groups are numbered anew.
    """
    groups, member = torch.unique(network.member[vertices], return_inverse=True)
    which = {"vertex": vertices, "group": groups}
    state = network.state_dict() if of is None else of
    part = {}
    for name, values in state.items():
        kind, axis = axis_of(network, name)
        part[name] = values.index_select(axis, which[kind])
    return part | ({"member": member} if "member" in state else {})


def narrow(network: Network, vertices: Tensor, optimiser: torch.optim.Optimizer) -> None:
    """Leave out all vertices but some, with what the optimiser holds of them.

    Parameters
    ----------
    network : Network
        Changed in place.
    vertices : Tensor of int (n,)
        Those that stay; groups stay whole.
    optimiser : Optimizer
        Of the network's weights; changed in place.
    """
    weights = dict(network.named_parameters())
    for name, weight in weights.items():
        for key, held in optimiser.state.get(weight, {}).items():
            if isinstance(held, Tensor) and held.shape == weight.shape:
                optimiser.state[weight][key] = part_of(network, vertices, {name: held})[name]
    replace(network, part_of(network, vertices))


def replace(network: Network, state: dict[str, Tensor]) -> None:
    """Put a state of fewer, or more, vertices into a network.

    Parameters
    ----------
    network : Network
        Changed in place; its weights stay the objects that an optimiser knows.
    state : dict of str to Tensor
        As `part_of` gives it.
    """
    for name, weight in network.named_parameters():
        weight.data, weight.grad = state[name], None
    for name, _ in network.named_buffers():
        owner, _, own = name.rpartition(".")
        setattr(network.get_submodule(owner), own, state[name])

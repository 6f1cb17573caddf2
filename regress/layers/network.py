"""Networks whose weights belong to vertices, to groups of vertices, or to all."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.func import functional_call


class Network(nn.Module):
    """Base of the networks from features to responses.

    A network serves many groups of vertices at once. Each of its weights has an axis that counts
    vertices, or groups; so a group's weights can be selected, dropped or saved, and groups trained
    together equal those trained one by one. Other weights, such as a trunk that every group reads,
    belong to all vertices: they are `shared`, and then all groups stop together.

    With several subjects, `forward` is called for each subject with its vertices and groups only,
    and groups are numbered from 0. So `forward` must derive the numbers of vertices and groups from
    `member` and the weights at each call, and must not change these in place.

    Parameters
    ----------
    member : Tensor of int (n_vertices,)
        The group of each vertex; numbers from 0, none left out.

    Attributes
    ----------
    axes : dict of str to (str, int)
        For each weight and buffer, by name: what an axis counts ("vertex" or "group"), and that
        axis. A subclass adds its own.
    rates : dict of str to float
        Multiples of the learning rate, by the beginning of the weights' names; none by default.
    shared : tuple of str
        Beginnings of the names of weights and buffers that belong to all vertices, such as
        "trunk."; none by default.
    objective : bool
        Whether the network computes its own loss: called with features and responses, it returns
        the loss of each vertex, (n_vertices,), from random draws in training and from fixed ones
        else; called with features, it predicts. False by default.
    offset : Tensor (n_vertices,)
        Added to the predictions: the mean response. It is trained only with a loss whose best
        constant is not the mean, such as `huber`: along the rounding errors of a gradient of 0,
        Adam would take steps of full length. A network that needs another bias has its own.
    """

    axes: ClassVar[dict[str, tuple[str, int]]] = {"offset": ("vertex", 0), "member": ("vertex", 0)}
    # An instance may have more shared weights than its class.
    shared: tuple[str, ...] = ()
    rates: Mapping[str, float] = MappingProxyType({})
    objective: ClassVar[bool] = False

    member: Tensor

    def __init__(self, member: Tensor) -> None:
        super().__init__()
        self.offset = nn.Parameter(torch.zeros(len(member)))
        self.register_buffer("member", member)

    @property
    def n_groups(self) -> int:
        """Number of groups."""
        return int(self.member.max()) + 1


def axis_of(network: Network, name: str) -> tuple[str, int]:
    """Return what the axis of a weight counts, and its index.

    Returns
    -------
    (str, int)
        "vertex" or "group", and the axis; "shared" where it belongs to all, and 0.
    """
    if name.startswith(network.shared):
        return "shared", 0
    if name not in network.axes:
        raise TypeError(
            f"{type(network).__name__}: {name} is not in `axes`, which say what counts vertices or "
            "groups, and does not begin with a name in `shared`; add it to one of them"
        )
    return network.axes[name]


def select_vertices(
    network: Network, vertices: Tensor, arrays: dict[str, Tensor] | None = None
) -> dict[str, Tensor]:
    """Select the weights of some vertices and of their groups.

    Parameters
    ----------
    arrays : dict of str to Tensor, optional
        Arrays of the same axes as the network's; the network's own by default.

    Returns
    -------
    dict of str to Tensor
        State of a network of these vertices, with groups numbered from 0. Shared arrays are not
        copied.
    """
    groups, member = torch.unique(network.member[vertices], return_inverse=True)
    indices = {"vertex": vertices, "group": groups}
    state = network.state_dict() if arrays is None else arrays
    part = {}
    for name, values in state.items():
        kind, axis = axis_of(network, name)
        part[name] = values.index_select(axis, indices[kind]) if kind in indices else values
    return part | ({"member": member} if "member" in state else {})


def narrow(network: Network, vertices: Tensor, optimiser: torch.optim.Optimizer) -> None:
    """Reduce a network, and the state of its optimiser, to some vertices."""
    weights = dict(network.named_parameters())
    for name, weight in weights.items():
        for key, held in optimiser.state.get(weight, {}).items():
            if isinstance(held, Tensor) and held.shape == weight.shape:
                optimiser.state[weight][key] = select_vertices(network, vertices, {name: held})[
                    name
                ]
    replace_state(network, select_vertices(network, vertices))


def replace_state(network: Network, state: dict[str, Tensor]) -> None:
    """Load a state of fewer, or more, vertices into a network.

    Parameters
    ----------
    network : Network
        Changed in place; its weights stay the same objects, which an optimiser holds.
    """
    for name, weight in network.named_parameters():
        weight.data, weight.grad = state[name], None
    for name in dict(network.named_buffers()).keys() & state.keys():
        owner, _, attribute = name.rpartition(".")
        setattr(network.get_submodule(owner), attribute, state[name])


class PartitionedNetwork:
    """Network that is computed part by part: each subject's vertices from its own pictures.

    The network is called for each part with slices of the weights of vertices, the weights of the
    part's groups, and the shared weights.

    Parameters
    ----------
    network : Network
        Network of all vertices; those of a part are adjacent.
    widths : sequence of int
        Number of vertices of each part; parts without vertices are left out.
    """

    def __init__(self, network: Network, widths: Sequence[int]) -> None:
        self._network, self._widths = network, [width for width in widths if width]
        self._parts: list[tuple[Tensor | None, Tensor]] = []
        for member in torch.split(network.member, self._widths):
            groups, member_in_part = torch.unique(member, return_inverse=True)
            self._parts.append(
                (None if len(groups) == network.n_groups else groups, member_in_part)
            )

    @property
    def members(self) -> list[Tensor]:
        """Group of each vertex of each part, numbered from 0 in each."""
        return [member for _, member in self._parts]

    def __call__(self, *inputs: Sequence[Tensor]) -> list[Tensor]:
        """Predict responses or, if called with responses too, compute the network's own loss.

        Parameters
        ----------
        *inputs : sequence of Tensor (n_images, n_features), and of Tensor (n_images, n_vertices)
            Standardised features, and perhaps responses, of each part's pictures.
        """
        parts = list(zip(*inputs, strict=True))
        if len(self._widths) == 1:
            return [self._network(*parts[0])]
        return [
            functional_call(self._network, view, part)
            for view, part in zip(self._views(), parts, strict=True)
        ]

    def _views(self) -> list[dict[str, Tensor]]:
        views = [{"member": member} for _, member in self._parts]
        tensors = [*self._network.named_parameters(), *self._network.named_buffers()]
        for name, values in tensors:
            if name == "member":
                continue
            kind, axis = axis_of(self._network, name)
            if kind == "shared":
                continue
            # One split for all parts: its gradient is written once, not once for each part.
            slices = torch.split(values, self._widths, axis) if kind == "vertex" else None
            for number, (groups, _) in enumerate(self._parts):
                if slices is not None:
                    views[number][name] = slices[number]
                else:
                    views[number][name] = (
                        values if groups is None else values.index_select(axis, groups)
                    )
        return views

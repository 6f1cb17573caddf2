"""Networks whose weights belong to vertices, to groups of vertices, or to all."""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.func import functional_call

Axes = dict[str, tuple[str, int]]


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
        axis. A subclass adds its own. A part such as `Tower` has `axes` of its own.
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

    axes: ClassVar[Axes] = {"offset": ("vertex", 0), "member": ("vertex", 0)}
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

    @property
    def subjects(self) -> Tensor | None:
        """Subject of each vertex, where a call takes vertices of one subject only; None here."""
        return None

    def draw(self, features: Tensor, n_samples: int, seed: int) -> Iterator[Tensor]:
        """Yield draws of the responses; here, the same prediction each time."""
        for _ in range(n_samples):
            yield self(features)


def axis_of(network: Network, name: str) -> tuple[str, int]:
    """Return what the axis of a weight counts, and its index; ("shared", 0) where all share it."""
    if name.startswith(network.shared):
        return "shared", 0
    owner, _, rest = name.partition(".")
    part_axes: Axes = getattr(getattr(network, owner, None), "axes", {}) if rest else {}
    axis = network.axes.get(name) or part_axes.get(rest)
    if axis is None:
        raise TypeError(
            f"{type(network).__name__}: {name} is not in `axes`, which say what counts vertices or "
            "groups, and does not begin with a name in `shared`; add it to one of them"
        )
    return axis


def select_vertices(
    network: Network, vertices: Tensor, arrays: Mapping[str, Tensor] | None = None
) -> dict[str, Any]:
    """Select the weights of some vertices and of their groups, which are numbered from 0.

    Arrays of the same axes may stand for the network's own. Shared ones are not copied.
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
    for name, weight in network.named_parameters():
        moments = optimiser.state.get(weight, {})
        for key, values in moments.items():
            if isinstance(values, Tensor) and values.shape == weight.shape:
                moments[key] = select_vertices(network, vertices, {name: values})[name]
    replace_state(network, select_vertices(network, vertices))


def replace_state(network: Network, state: dict[str, Tensor]) -> None:
    """Load a state of fewer, or more, vertices; weights stay the objects that an optimiser has."""
    for name, weight in network.named_parameters():
        weight.data, weight.grad = state[name], None
    for name in dict(network.named_buffers()).keys() & state.keys():
        owner, _, attribute = name.rpartition(".")
        setattr(network.get_submodule(owner), attribute, state[name])


class PartitionedNetwork:
    """Network that is computed part by part: each subject's vertices from its own pictures.

    The network is called for each part with slices of the weights of vertices, the weights of the
    part's groups, and the shared weights. Parts are adjacent vertices; `widths` are their numbers.
    """

    def __init__(self, network: Network, widths: Sequence[int]) -> None:
        self._network, self._widths = network, [width for width in widths if width]
        self._groups: list[Tensor | None] = []
        # Group of each vertex of each part, numbered from 0 in each.
        self.members: list[Tensor] = []
        for member in torch.split(network.member, self._widths):
            groups, member_in_part = torch.unique(member, return_inverse=True)
            self._groups.append(None if len(groups) == network.n_groups else groups)
            self.members.append(member_in_part)

    def __call__(self, *inputs: Sequence[Tensor]) -> list[Tensor]:
        """Call the network with each part's features, and perhaps its responses."""
        parts = list(zip(*inputs, strict=True))
        if len(self._widths) == 1:
            return [self._network(*parts[0])]
        views = self._views()
        return [
            functional_call(self._network, view, part)
            for view, part in zip(views, parts, strict=True)
        ]

    def _views(self) -> list[dict[str, Tensor]]:
        views = [{"member": member} for member in self.members]
        for name, values in [*self._network.named_parameters(), *self._network.named_buffers()]:
            kind, axis = axis_of(self._network, name)
            if name == "member" or kind == "shared":
                continue
            # One split for all parts: its gradient is written once, not once for each part.
            if kind == "vertex":
                slices = list(torch.split(values, self._widths, axis))
            else:
                slices = [
                    values if groups is None else values.index_select(axis, groups)
                    for groups in self._groups
                ]
            for view, part in zip(views, slices, strict=True):
                view[name] = part
        return views

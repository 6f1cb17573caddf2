"""States of networks: loading those that a training begins from, and joining several.

`fit` trains without the pictures that a model is judged on, `refit` with them. A `fit` that began
from weights of a `refit` would have seen them. So the weights of both are saved, and `fit` begins
from those of `fit`, `refit` from those of `refit`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from regress.layers.network import Network, axis_of

# Prefix of the weights of `fit` in the state of a model after `refit`.
INSIDE = "inside."


def select_start_weights(start: Mapping[str, NDArray], inside: bool) -> dict[str, NDArray]:
    """Choose the weights of `fit` (inside) or of `refit`; if only one of them is there, these."""
    weights, inside_weights = split_inside(start)
    return weights | inside_weights if inside else weights


def split_inside(state: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split a state into the arrays of `refit`, and those of `fit` without their prefix."""
    names = [name for name in state if name.startswith(INSIDE)]
    inside = {name.removeprefix(INSIDE): state[name] for name in names}
    return {name: values for name, values in state.items() if name not in names}, inside


def has_shared_weights(network: Network) -> bool:
    """Return whether vertices of a network share weights, within groups or all of them."""
    return any(axis_of(network, name)[0] != "vertex" for name, _ in network.named_parameters())


def load_start_weights(network: Network, weights: Mapping[str, NDArray]) -> NDArray[np.bool_]:
    """Load weights into a network: shared ones, and those of known groups and vertices.

    Among the weights are `known`, a mask of the vertices whose weights are there, none by default,
    and `known_groups`, a mask of groups, all by default. The mask of vertices is returned.
    """
    is_known = _checked_mask(weights.get("known"), len(network.member), "vertex")
    groups = _checked_mask(weights.get("known_groups"), network.n_groups, "group")
    at = {"vertex": torch.from_numpy(np.flatnonzero(is_known))}
    if "known_groups" in weights:
        at["group"] = torch.from_numpy(np.flatnonzero(groups))
    for name, values in network.state_dict().items():
        kind, axis = axis_of(network, name)
        if name == "member" or (kind in at and not len(at[kind])):
            continue
        saved = weights.get(name)
        if saved is None or np.shape(saved) != tuple(values.shape):
            description = "absent" if saved is None else f"of shape {np.shape(saved)}"
            raise ValueError(
                f"start: {name} is {description}, expected {tuple(values.shape)}: begin from a "
                "model of the same kind, parameters, features and groups"
            )
        plain = torch.from_numpy(np.array(saved)).to(values.dtype)
        if kind in at:
            values.index_copy_(axis, at[kind], plain.index_select(axis, at[kind]))
        else:
            values.copy_(plain)
    return is_known


def _checked_mask(saved: NDArray | None, n: int, kind: str) -> NDArray[np.bool_]:
    mask = np.zeros(n, bool) if saved is None else np.asarray(saved)
    if mask.shape != (n,) or mask.dtype != bool:
        raise ValueError(
            f"start: known has shape {mask.shape} and is {mask.dtype}, expected bool, ({n},), "
            f"one a {kind}"
        )
    return mask


def count_weights(network: Network, vertices: NDArray[np.int64]) -> tuple[int, int]:
    """Count the weights of all vertices of some vertices' groups, and those that all share."""
    member = network.member.numpy()
    groups = np.unique(member[vertices])
    counts = {"group": len(groups), "vertex": int(np.isin(member, groups).sum())}
    own_count = shared_count = 0
    for name, weights in network.named_parameters():
        kind, axis = axis_of(network, name)
        if kind == "shared":
            shared_count += weights.numel()
        else:
            own_count += counts[kind] * (weights.numel() // weights.shape[axis])
    return own_count, shared_count


def common_names(network: Network) -> list[str]:
    """List the weights that all vertices share, with those of the group where there is only one."""
    kinds = {"shared", "group"} if network.n_groups == 1 else {"shared"}
    return [name for name in network.state_dict() if axis_of(network, name)[0] in kinds]


def zero_vertices(
    network: Network, weights: Mapping[str, Tensor], vertices: NDArray[np.int64], offset: NDArray
) -> None:
    """Set the weights of some vertices to 0, in place, so that they are predicted at an offset."""
    at = torch.from_numpy(vertices)
    for name, values in weights.items():
        kind, axis = axis_of(network, name)
        # Integer arrays are labels of vertices, not weights.
        if kind == "vertex" and name != "offset" and values.is_floating_point():
            values.index_fill_(axis, at, 0)
    weights["offset"][at] = torch.from_numpy(offset).float()


def freeze_groups(network: Network) -> None:
    """Freeze the weights that belong to groups or to all; those of vertices are trained."""
    kinds = {name: axis_of(network, name)[0] for name, _ in network.named_parameters()}
    if not any(kind == "vertex" for name, kind in kinds.items() if name != "offset"):
        raise ValueError(
            "freeze: all that this model trains belongs to groups, nothing to a vertex alone; "
            "expected freeze=False"
        )
    for name, weight in network.named_parameters():
        if kinds[name] != "vertex":
            weight.requires_grad_(False)


def join_states(
    network: Network, parts: Sequence[tuple[NDArray[np.int64], Mapping[str, NDArray]]]
) -> dict[str, NDArray]:
    """Join the states of vertices, each of which is its own group.

    The network is that of any part, and declares the axes; a part is the columns of its vertices in
    the joined state, and its state.
    """
    if network.shared:
        raise ValueError(
            f"{type(network).__name__} has weights that belong to all vertices, and {len(parts)} "
            "trainings have each their own; expected all vertices fitted at once"
        )
    n_vertices = sum(len(columns) for columns, _ in parts)
    joined = dict(parts[0][1])
    for name in joined:
        plain = name.removeprefix(INSIDE)
        if plain in ("centre_", "scale_"):
            continue
        kind, axis = ("vertex", 0) if plain == "epochs_" else axis_of(network, plain)
        for columns, state in parts:
            values = state[name] if kind == "vertex" else state[name].take(state["member"], axis)
            values = np.moveaxis(values, axis, 0)
            if state is parts[0][1]:
                vertex_values = np.empty((n_vertices, *values.shape[1:]), values.dtype)
            vertex_values[columns] = values
        joined[name] = np.ascontiguousarray(np.moveaxis(vertex_values, 0, axis))
    return joined | {"member": np.arange(n_vertices)}

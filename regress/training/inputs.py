"""Inputs of a training: validation pictures, groups of vertices, scales of features."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regress.data.responses import Responses
from regress.data.several_subjects import Joint

# Columns whose statistics are computed at once: float64 takes eight times the memory of bytes.
COLUMNS = 2048


def feature_scale(
    X: NDArray[np.float32 | np.uint8], start: Mapping[str, NDArray] | None = None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Compute the mean and the standard deviation of features; 1 for that of a constant column.

    The weights of a start are for features on its scale, which is returned.
    """
    if start is not None:
        for name in ("centre_", "scale_"):
            shape = np.shape(start[name]) if name in start else None
            if shape != X.shape[1:]:
                raise ValueError(
                    f"start: {name} has shape {shape}, expected {X.shape[1:]}, "
                    "one a column of the features: begin from a model of the same features"
                )
        return np.asarray(start["centre_"]), np.asarray(start["scale_"])
    # In float64: float32 loses them where the mean is far from 0.
    blocks = [X[:, first : first + COLUMNS] for first in range(0, X.shape[1], COLUMNS)]
    mean = np.concatenate([block.mean(0, dtype=np.float64) for block in blocks])
    deviation = np.concatenate([block.std(0, dtype=np.float64) for block in blocks])
    tiny = np.finfo(np.float32).eps * np.abs(mean)
    scale = np.where(deviation > tiny, deviation, 1)
    return mean.astype(np.float32), scale.astype(np.float32)


def held_pictures(validation: Any, n_images: int, seed: int) -> NDArray[np.bool_]:
    """Return the mask of validation pictures; none where there are too few pictures to divide."""
    if np.ndim(validation):
        held = np.asarray(validation, bool)
        if held.shape != (n_images,) or held.all():
            raise ValueError(
                f"validation: found shape {held.shape}, {held.sum()} of them held, expected "
                f"({n_images},), one a picture, and pictures left to train on"
            )
        return held
    held = np.zeros(n_images, bool)
    if validation > 0 and n_images > 3:
        # r needs two pictures.
        count = min(max(2, round(validation * n_images)), n_images - 2)
        held[np.random.default_rng([seed, 2]).permutation(n_images)[:count]] = True
    return held


def check_parts(responses: Responses | Joint, held: NDArray[np.bool_]) -> None:
    """Check that each subject has training pictures, and validation pictures if any subject has."""
    edges = np.cumsum([0, *(len(part) for part in responses.parts)])
    for number, subject_held in enumerate(np.split(held, edges[1:-1]), start=1):
        if subject_held.all() or (held.any() and not subject_held.any()):
            raise ValueError(
                f"validation: of the {len(subject_held)} pictures of subject {number} of "
                f"{len(responses.parts)}, {int(subject_held.sum())} would stop the training; "
                "expected at least 1, and 1 left to train on"
            )


def groups_of(scope: Any, n_vertices: int) -> tuple[NDArray, NDArray[np.int64]]:
    """Return the names of the groups of vertices that stop together, and each vertex' group."""
    if isinstance(scope, str):
        member = np.arange(n_vertices) if scope == "vertex" else np.zeros(n_vertices, np.int64)
        return np.unique(member), member
    if np.shape(scope) != (n_vertices,):
        raise ValueError(
            f"scope: found shape {np.shape(scope)}, expected ({n_vertices},), one a vertex"
        )
    names, member = np.unique(np.asarray(scope), return_inverse=True)
    return names, member.astype(np.int64)


def most_epochs(
    epochs: NDArray[np.int64], member: NDArray[np.int64], n_groups: int
) -> NDArray[np.int64]:
    """Return the number of epochs of each group, the largest of its vertices."""
    group_epochs = np.zeros(n_groups, np.int64)
    np.maximum.at(group_epochs, member, epochs)
    return group_epochs

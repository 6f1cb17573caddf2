"""Codes of responses and their distances, for many groups of vertices at once."""

from collections.abc import Sequence

import torch
from torch import Tensor


def metric(code: Tensor, member: Tensor, n_groups: int) -> Tensor:
    """Compute M, where c M c' is the squared length in responses of a difference c of codes."""
    return torch.stack([part @ part.T for part in _divided(code, member, n_groups)])


def encode(responses: Tensor, code: Tensor, member: Tensor, M: Tensor) -> Tensor:
    """Compute the codes (n_images, n_groups, n_latent) that are nearest to responses."""
    parts = zip(_divided(responses, member, len(M)), _divided(code, member, len(M)), strict=True)
    products = torch.stack([part @ axes.T for part, axes in parts])
    return (products @ torch.linalg.pinv(M, hermitian=True)).transpose(0, 1)


def _divided(array: Tensor, member: Tensor, n_groups: int) -> Sequence[Tensor]:
    """Split the last axis by group."""
    if bool((member[1:] < member[:-1]).any()):
        order = torch.argsort(member, stable=True)
        array, member = array[:, order], member[order]
    return torch.split(array, torch.bincount(member, minlength=n_groups).tolist(), 1)

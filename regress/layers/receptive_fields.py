"""Readouts that know where and what a vertex sees: one weight a place, one a channel."""

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

# Bytes of what is on the way at once: vertices are read some after others.
MEMORY = 64 << 20


def read_fields(maps: Tensor, places: Tensor, channels: Tensor) -> Tensor:
    """Weigh, for each vertex, the places of all maps alike, and then the maps.

    A vertex has n_places + n_channels weights in place of their product, and its weights of places
    are a receptive field that can be looked at.

    Returns
    -------
    Tensor (n_images, n_vertices)
        sum over c and p of channels[c] * maps[:, c, p] * places[p].

    References
    ----------
    Klindt, Ecker, Euler, Bethge (2017). Neural system identification for large populations
    separating "what" and "where". NeurIPS, equation 2.
    """
    n_images, n_channels, _ = maps.shape
    step = max(1, MEMORY // (maps.element_size() * max(1, n_images * n_channels)))
    parts = zip(torch.split(places, step, 1), torch.split(channels, step, 1), strict=True)
    if not torch.is_grad_enabled():
        return torch.cat([_read(maps, *part) for part in parts], 1)
    # What is seen of each map is computed again for the gradient, rather than kept: of all vertices
    # of a brain it would be gigabytes.
    return torch.cat([checkpoint(_read, maps, *part, use_reentrant=False) for part in parts], 1)


def _read(maps: Tensor, places: Tensor, channels: Tensor) -> Tensor:
    return ((maps @ places) * channels).sum(1)

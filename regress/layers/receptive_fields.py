"""Factorised readouts: one weight per place and one per channel for each vertex."""

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

# Bytes of intermediate values; vertices are read in parts of this size.
MEMORY = 64 << 20


def read_fields(maps: Tensor, places: Tensor, channels: Tensor) -> Tensor:
    """Compute, for each vertex, weighted sums over the places of maps, and then over maps.

    A vertex has n_places + n_channels weights in place of their product, and its weights of places
    are its receptive field.

    The sums (n_images, n_vertices) are over c and p of channels[c] * maps[:, c, p] * places[p].

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
    # Intermediate values are recomputed for the gradient: for all vertices of a brain they would
    # take gigabytes.
    return torch.cat([checkpoint(_read, maps, *part, use_reentrant=False) for part in parts], 1)


def _read(maps: Tensor, places: Tensor, channels: Tensor) -> Tensor:
    return ((maps @ places) * channels).sum(1)

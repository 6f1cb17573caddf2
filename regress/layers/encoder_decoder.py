"""Encoder-decoder from a picture to maps of it, with skip connections.

No layer mixes pictures of a batch: maps are normalised over the channels and places of one
picture (Wu, He (2018). Group normalization. ECCV, with one group).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

# Gains and shifts of a block's channels, one a channel.
Film = Sequence[tuple[Tensor, Tensor]]


class Block(nn.Module):
    """Two convolutions with a residual connection."""

    def __init__(self, n_inputs: int, n_channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(n_inputs, n_channels, 3, padding=1)
        self.norm = nn.GroupNorm(1, n_channels)
        self.second = nn.Conv2d(n_channels, n_channels, 3, padding=1)
        same = n_inputs == n_channels
        self.past = nn.Identity() if same else nn.Conv2d(n_inputs, n_channels, 1)

    def forward(self, maps: Tensor, film: tuple[Tensor, Tensor] | None) -> Tensor:
        """Compute maps of maps; `film` has gains, less 1, and shifts of the inner channels."""
        inner = self.norm(self.first(maps))
        if film is not None:
            gain, shift = film
            inner = torch.addcmul(shift[:, None, None], inner, 1 + gain[:, None, None])
        outputs: Tensor = self.past(maps) + self.second(functional.gelu(inner))
        return outputs


class Maps(nn.Module):
    """An encoder-decoder with skip connections.

    The encoder halves the maps and doubles their number at each level; the decoder reverses this,
    and gets the encoder's maps of each level too. Weighted sums of the random numbers `noise` are
    added to the deepest maps; `width` is the number of maps of the first level, and of the output.

    References
    ----------
    Ronneberger, Fischer, Brox (2015). U-Net: convolutional networks for biomedical image
    segmentation. MICCAI, figure 1. The blocks are those of He, Zhang, Ren, Sun (2016). Identity
    mappings in deep residual networks. ECCV.
    """

    def __init__(self, n_inputs: int, width: int, depth: int, stride: int, noise: int) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(depth + 1)]
        self.stem = nn.Conv2d(n_inputs, width, 2 * stride + 1, stride, padding=stride)
        before = [width, *widths]
        self.down = nn.ModuleList(Block(a, b) for a, b in zip(before, widths, strict=False))
        above = list(zip(widths[1:], widths[:-1], strict=True))[::-1]
        self.up = nn.ModuleList(Block(low + high, high) for low, high in above)
        self.noise = nn.Linear(noise, widths[-1], bias=False) if noise else None
        self.blocks = [*widths, *(high for _, high in above)]

    def forward(self, pictures: Tensor, noise: Tensor | None, film: Film | None) -> Tensor:
        """Compute maps of pictures; `film` has gains and shifts for each of `blocks`."""
        films = iter(film if film is not None else [None] * len(self.blocks))
        maps, skips = self.stem(pictures), []
        for level, block in enumerate(self.down):
            maps = block(functional.avg_pool2d(maps, 2) if level else maps, next(films))
            skips.append(maps)
        if self.noise is not None and noise is not None:
            maps = maps + self.noise(noise)[:, :, None, None]
        for block, skip in zip(self.up, skips[-2::-1], strict=True):
            wide = functional.interpolate(maps, scale_factor=2.0, mode="nearest")
            maps = block(torch.cat([wide, skip], 1), next(films))
        return maps

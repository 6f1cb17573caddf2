"""Layers between input and readout, separate for each group of vertices."""

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from regress.layers.network import Axes
from regress.layers.readout import repeat_per_group


class Tower(nn.Module):
    """Linear layer and residual blocks, separate for each group.

    Dropout leaves out the same of the blocks' inner units in all groups, so that a group is trained
    as it would be alone.

    Attributes
    ----------
    stem : Tensor (n_groups, width, n_inputs)
        Weights of the first layer; `stem_bias` (n_groups, width).
    inner, outer : Tensor (n_groups, blocks, width, width)
        Weights of the two layers of each block; `inner_bias` and `outer_bias` (n_groups, blocks,
        width). The second is 0 at first, so that a block is the identity.
    """

    axes: ClassVar[Axes] = dict.fromkeys(
        ("stem", "stem_bias", "inner", "inner_bias", "outer", "outer_bias"), ("group", 0)
    )

    def __init__(
        self, n_groups: int, n_inputs: int, width: int, blocks: int, dropout: float
    ) -> None:
        super().__init__()
        self.blocks, self.dropout = blocks, nn.Dropout(dropout)
        self.stem = repeat_per_group(torch.randn(width, n_inputs) / n_inputs**0.5, n_groups)
        self.stem_bias = repeat_per_group(torch.zeros(width), n_groups)
        if blocks:
            self.inner = repeat_per_group(torch.randn(blocks, width, width) / width**0.5, n_groups)
            self.inner_bias = repeat_per_group(torch.zeros(blocks, width), n_groups)
            self.outer = repeat_per_group(torch.zeros(blocks, width, width), n_groups)
            self.outer_bias = repeat_per_group(torch.zeros(blocks, width), n_groups)

    def masks(self, n: int) -> list[Tensor]:
        """Draw dropout masks (n, width) of each block, for n inputs; 1 for one mask for all."""
        return [self.dropout(self.stem.new_ones(n, self.stem.shape[1])) for _ in range(self.blocks)]

    def forward(self, inputs: Tensor, masks: list[Tensor], groups: slice = slice(None)) -> Tensor:
        """Compute the units (n_groups, n_inputs, width) of some groups; all by default."""
        stem, bias = self.stem[groups], self.stem_bias[groups]
        hidden = functional.linear(inputs, stem.flatten(0, 1), bias.flatten())
        hidden = hidden.reshape(len(inputs), *bias.shape).transpose(0, 1)
        for number, mask in enumerate(masks):
            at = groups, number
            weights = self.inner[at], self.inner_bias[at], self.outer[at], self.outer_bias[at]
            hidden = residual_block(hidden, *weights, mask)
        return hidden


def residual_block(
    hidden: Tensor,
    inner: Tensor,
    inner_bias: Tensor,
    outer: Tensor,
    outer_bias: Tensor,
    mask: Tensor | None = None,
) -> Tensor:
    """Compute the units (n_groups, n_inputs, width) after a block, with factors of inner units."""
    within = functional.layer_norm(hidden, hidden.shape[-1:])
    within = functional.gelu(torch.baddbmm(inner_bias[:, None], within, inner))
    within = within if mask is None else within * mask
    return hidden + torch.baddbmm(outer_bias[:, None], within, outer)

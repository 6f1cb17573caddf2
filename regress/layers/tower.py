"""Layers between input and readout, separate for each group of vertices."""

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from regress.layers.readout import repeat_per_group


class Tower(nn.Module):
    """Linear layer and residual blocks, separate for each group.

    Dropout leaves out the same units of all groups, so that a group is trained as it would be
    alone.

    Parameters
    ----------
    n_groups, n_inputs, width, blocks : int
        The sizes.
    dropout : float
        Share of the blocks' inner units that is left out at each step.

    Attributes
    ----------
    stem : Tensor (n_groups, width, n_inputs)
        Weights of the first layer; `stem_bias` (n_groups, width).
    inner, outer : Tensor (n_groups, blocks, width, width)
        Weights of the two layers of each block; `inner_bias` and `outer_bias` (n_groups, blocks,
        width). The second is 0 at first, so that a block is the identity.
    """

    axes: ClassVar[dict[str, tuple[str, int]]] = dict.fromkeys(
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
        """Draw dropout masks of the inner units.

        Parameters
        ----------
        n : int
            Number of inputs, each with its own mask; 1 for the same mask for all.

        Returns
        -------
        list of Tensor (n, width)
            Factors of the inner units, for each block.
        """
        return [self.dropout(self.stem.new_ones(n, self.stem.shape[1])) for _ in range(self.blocks)]

    def forward(self, inputs: Tensor, masks: list[Tensor], groups: slice) -> Tensor:
        """Compute the units (n_groups, n_inputs, width) of some groups."""
        stem, bias = self.stem[groups], self.stem_bias[groups]
        hidden = functional.linear(inputs, stem.flatten(0, 1), bias.flatten())
        hidden = hidden.reshape(len(inputs), *bias.shape).transpose(0, 1)
        for number, mask in enumerate(masks):
            at = groups, number
            within = functional.layer_norm(hidden, hidden.shape[-1:])
            within = torch.baddbmm(self.inner_bias[at][:, None], within, self.inner[at])
            within = functional.gelu(within) * mask
            hidden = hidden + torch.baddbmm(self.outer_bias[at][:, None], within, self.outer[at])
        return hidden

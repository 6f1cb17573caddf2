"""Small denoiser: residual blocks for each group of vertices, conditioned on picture and noise."""

from typing import ClassVar, cast

import torch
from diffusers.models.embeddings import get_timestep_embedding
from torch import Tensor, nn
from torch.nn import functional

from regress.layers.network import Axes
from regress.layers.readout import repeat_per_group
from regress.layers.tower import residual_block

# Sinusoids that encode the level of the noise.
N_SINUSOIDS = 32


class Denoiser(nn.Module):
    """Estimates the velocity of a noisy code, separately for each group.

    Attributes
    ----------
    enter : Tensor (n_groups, n_latent, width)
        Weights of the noisy code; `told` (n_groups, N_SINUSOIDS, width), weights of the level.
    inner, outer : Tensor (n_groups, blocks, width, width)
        Weights of the two layers of each block, which have biases.
    leave : Tensor (n_groups, width, n_latent)
        Weights of the output; 0 at first, as for a code that is standard normal about its mean.
    """

    axes: ClassVar[Axes] = dict.fromkeys(
        ("enter", "told", "inner", "inner_bias", "outer", "outer_bias", "leave"), ("group", 0)
    )
    shared: ClassVar[tuple[str, ...]] = ()

    def __init__(self, n_groups: int, n_latent: int, width: int, blocks: int) -> None:
        super().__init__()
        self.enter = repeat_per_group(torch.randn(n_latent, width) / n_latent**0.5, n_groups)
        # The name that saved fits have.
        level_weights = torch.randn(N_SINUSOIDS, width) / N_SINUSOIDS**0.5
        self.register_parameter("told", repeat_per_group(level_weights, n_groups))
        self.inner = repeat_per_group(torch.randn(blocks, width, width) / width**0.5, n_groups)
        self.inner_bias = repeat_per_group(torch.zeros(blocks, width), n_groups)
        self.outer = repeat_per_group(torch.randn(blocks, width, width) / width**0.5 / 4, n_groups)
        self.outer_bias = repeat_per_group(torch.zeros(blocks, width), n_groups)
        self.leave = repeat_per_group(torch.zeros(width, n_latent), n_groups)

    def forward(self, noisy: Tensor, levels: Tensor, units: Tensor) -> Tensor:
        """Estimate velocities (n_images, n_groups, n_latent) of noisy codes."""
        sinusoids = get_timestep_embedding(levels, N_SINUSOIDS)
        hidden = units + torch.matmul(sinusoids, cast("Tensor", self.told))
        hidden = torch.baddbmm(hidden, noisy.transpose(0, 1), self.enter)
        blocks = (self.inner, self.inner_bias, self.outer, self.outer_bias)
        for weights in zip(*(weight.unbind(1) for weight in blocks), strict=True):
            hidden = residual_block(hidden, *weights)
        hidden = functional.layer_norm(hidden, hidden.shape[-1:])
        return torch.bmm(hidden, self.leave).transpose(0, 1)

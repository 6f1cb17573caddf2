"""The small denoiser: residual blocks for each group of vertices, told of picture and noise."""

from typing import ClassVar, cast

import torch
from diffusers.models.embeddings import get_timestep_embedding
from torch import Tensor, nn
from torch.nn import functional

from regress.layers.readout import repeat_per_group

# Sinusoids that tell the level of the noise.
N_SINUSOIDS = 32


class Denoiser(nn.Module):
    """Guesses a velocity from a noisy code, for each group on its own.

    Parameters
    ----------
    n_groups, n_latent, width, blocks : int
        The sizes.

    Attributes
    ----------
    enter : Tensor (n_groups, n_latent, width)
        Of the noisy code; `told` (n_groups, N_SINUSOIDS, width) of the level.
    inner, outer : Tensor (n_groups, blocks, width, width)
        The two layers of each block, with their biases.
    leave : Tensor (n_groups, width, n_latent)
        0 to begin with: the guess is that of a code that is standard normal about its mean.
    """

    axes: ClassVar[dict[str, tuple[str, int]]] = dict.fromkeys(
        ("enter", "told", "inner", "inner_bias", "outer", "outer_bias", "leave"), ("group", 0)
    )

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
        """Guess."""
        sinusoids = get_timestep_embedding(levels, N_SINUSOIDS)
        hidden = units + torch.matmul(sinusoids, cast("Tensor", self.told))
        hidden = torch.baddbmm(hidden, noisy.transpose(0, 1), self.enter)
        for at in range(self.inner.shape[1]):
            within = functional.layer_norm(hidden, hidden.shape[-1:])
            within = torch.baddbmm(self.inner_bias[:, at, None], within, self.inner[:, at])
            within = functional.gelu(within)
            hidden = hidden + torch.baddbmm(self.outer_bias[:, at, None], within, self.outer[:, at])
        hidden = functional.layer_norm(hidden, hidden.shape[-1:])
        return torch.bmm(hidden, self.leave).transpose(0, 1)

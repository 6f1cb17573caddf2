"""Vision transformers for models that train them, from pixels to tokens of places."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from base import run_hint
from networks.timm import make_transformer, patch_size
from regress.errors import RegressError


class VitBackbone(nn.Module):
    """Vision transformer from pixels to its tokens, averaged over a grid of places.

    Attributes
    ----------
    module : nn.Module
        The transformer, without its head.
    mean, std : Tensor (3, 1, 1)
        Mean and deviation of the pixels that the transformer was pretrained on, in 0..1.
    n_outputs : int
        Number of outputs for each picture.
    """

    mean: Tensor
    std: Tensor
    module: Any

    def __init__(self, name: str, side: int, grid: int) -> None:
        super().__init__()
        module, preprocessing = make_transformer(name, None, side)
        self.module = remove_head(module)
        self.side, self.places = side, side // patch_size(name)
        self.grid = min(grid, self.places)
        width: Any = module.embed_dim
        self.n_outputs = int(width) * (1 + self.grid**2)
        for statistic in ("mean", "std"):
            self.register_buffer(statistic, torch.tensor(preprocessing[statistic])[:, None, None])

    def forward(self, pixels: Tensor) -> Tensor:
        """Compute the tokens (n_images, n_outputs) of pictures.

        They are the class token, or the mean of all places where there is none, and those of the
        grid, each normalised to mean 0 and deviation 1.
        """
        pictures = (pixels.reshape(-1, 3, self.side, self.side) + 1) / 2
        tokens = self.module.forward_features((pictures - self.mean) / self.std)
        tokens = getattr(self.module, "fc_norm", nn.Identity())(tokens)
        patches = tokens[:, self.module.num_prefix_tokens :]
        has_class = getattr(self.module, "cls_token", None) is not None
        outputs = tokens[:, :1] if has_class else patches.mean(1, keepdim=True)
        if self.grid:
            maps = patches.transpose(1, 2).unflatten(2, (self.places, self.places))
            cells = functional.adaptive_avg_pool2d(maps, self.grid).flatten(2).transpose(1, 2)
            outputs = torch.cat([outputs, cells], 1)
        return functional.layer_norm(outputs, outputs.shape[-1:]).flatten(1)


def side_of(n_features: int) -> int:
    """Return the side of pictures with a number of columns."""
    side = math.isqrt(n_features // 3)
    if side < 1 or 3 * side * side != n_features:
        command = run_hint("features", spaces=["pixels:128"])
        raise RegressError(
            f"vit: found {n_features} columns, expected a picture of 3 x side x side: "
            f"--spaces pixels:128, computed before with {command}"
        )
    return side


def remove_head(module: Any) -> Any:
    """Remove the layers after a transformer's tokens."""
    module.reset_classifier(0)
    module.attn_pool = None
    return module

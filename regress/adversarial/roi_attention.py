"""Critic in which ROIs attend to one another and to the picture.

References
----------
Vaswani et al. (2017). Attention is all you need. NeurIPS. Dosovitskiy et al. (2021). An image is
worth 16x16 words. ICLR: the verdict is read from one token, here the picture's.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

LayerWrapper = Callable[[nn.Module], nn.Module]


class AttentionCritic(nn.Module):
    """Transformer whose tokens are the picture and ROIs: one verdict per picture.

    `rois` are the vertices of each token; `norm` wraps each layer outside the transformer.
    """

    def __init__(
        self,
        rois: Sequence[NDArray[np.int64]],
        n_features: int,
        width: int,
        norm: LayerWrapper,
        n_heads: int = 4,
        depth: int = 2,
    ) -> None:
        super().__init__()
        self._rois = [torch.from_numpy(np.asarray(roi)) for roi in rois]
        self.tokens = nn.ModuleList([norm(nn.Linear(len(roi), width)) for roi in rois])
        self.picture = norm(nn.Linear(n_features, width))
        self.places = nn.Parameter(torch.randn(len(rois) + 1, width) / width**0.5)
        layer = nn.TransformerEncoderLayer(
            width, n_heads, 2 * width, 0.0, "gelu", batch_first=True, norm_first=True
        )
        self.blocks = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.verdict = norm(nn.Linear(width, 1))

    def forward(self, responses: Tensor, embedding: Tensor) -> Tensor:
        """Compute verdicts (n_images, n_verdicts) on responses to pictures."""
        parts = zip(self.tokens, self._rois, strict=True)
        tokens = [self.picture(embedding), *(layer(responses[:, roi]) for layer, roi in parts)]
        # The fast kernels have no second derivative, which the slope penalty needs.
        with sdpa_kernel(SDPBackend.MATH):
            outputs = self.blocks(torch.stack(tokens, 1) + self.places)
        verdicts: Tensor = self.verdict(outputs[:, 0])
        return verdicts

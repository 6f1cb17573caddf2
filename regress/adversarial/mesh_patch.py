"""A critic of neighbourhoods on the cortical mesh.

References
----------
Isola, Zhu, Zhou, Efros (2017). Image-to-image translation with conditional adversarial networks.
CVPR, section 2.2.2: the patch discriminator, here on a mesh.
"""

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from regress.adversarial.roi_attention import LayerWrapper
from regress.adversarial.vertex_geometry import VertexGeometry


class MeshPatchCritic(nn.Module):
    """Patch discriminator on the mesh: one verdict per vertex on its neighbourhood.

    Each layer mixes a vertex with the mean of its neighbours, by weights that are the same all over
    the cortex, like a convolution's over a picture; the order of the vertices does not matter. A
    verdict depends on the responses of vertices at most `depth` edges away. A linear layer maps the
    picture onto the cortex, as a second channel besides the responses; it has no norm, since a
    spectral norm would hold it the closer to 0 the more vertices there are.
    """

    def __init__(
        self,
        geometry: VertexGeometry,
        n_features: int,
        width: int,
        norm: LayerWrapper,
        depth: int = 2,
    ) -> None:
        super().__init__()
        n = len(geometry.hemispheres)
        pairs = torch.from_numpy(np.concatenate([geometry.edges, geometry.edges[:, ::-1]]).T.copy())
        share = 1.0 / torch.bincount(pairs[0], minlength=n).clamp_min(1)[pairs[0]]
        mean = torch.sparse_coo_tensor(pairs, share, (n, n), check_invariants=True).coalesce()
        self.register_buffer("mean", mean, persistent=False)
        widths = [2, *[width] * depth]
        self.centre_layers = nn.ModuleList([norm(nn.Linear(a, b)) for a, b in pairwise(widths)])
        self.neighbour_layers = nn.ModuleList(
            [norm(nn.Linear(a, b, bias=False)) for a, b in pairwise(widths)]
        )
        self.verdict = norm(nn.Linear(width, 1))
        self.picture = nn.Linear(n_features, n, bias=False)

    def forward(self, responses: Tensor, embedding: Tensor) -> Tensor:
        """Compute verdicts (n_images, n_verdicts) on responses to pictures."""
        # Vertices first, so that the mean of neighbours is one product with a sparse matrix.
        hidden = torch.stack([responses.T, self.picture(embedding).T], 2)
        for centre, neighbours in zip(self.centre_layers, self.neighbour_layers, strict=True):
            around = torch.sparse.mm(self.mean, hidden.flatten(1)).view_as(hidden)
            hidden = functional.leaky_relu(centre(hidden) + neighbours(around), 0.2)
        verdicts: Tensor = self.verdict(hidden)[:, :, 0]
        return verdicts.T

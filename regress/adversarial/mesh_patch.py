"""A critic of neighbourhoods on the cortical mesh.

References
----------
Isola, Zhu, Zhou, Efros (2017). Image-to-image translation with conditional adversarial networks.
CVPR, section 2.2.2: the patch discriminator, of which this is the kin on a mesh.
"""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from regress.adversarial.vertex_geometry import Sheet

LayerWrapper = Callable[[nn.Module], nn.Module]


class MeshPatchCritic(nn.Module):
    """Judges the neighbourhood of each vertex on the mesh: a verdict a vertex.

    Each layer mixes a vertex with the mean of its neighbours, by weights that are the same all over
    the cortex, as a convolution's are over a picture; what order the vertices are stored in does
    not matter. A verdict depends on the responses of vertices at most `depth` edges away. The
    picture lies beside the responses as a map of its own: a linear layer brings it onto the cortex.

    Parameters
    ----------
    sheet : Sheet
        Who is whose neighbour.
    n_features, width : int
        The sizes.
    norm : callable
        What each layer but the picture's is wrapped in, which would be held the closer to 0 the
        more vertices there are.
    depth : int
        Layers.
    """

    def __init__(
        self, sheet: Sheet, n_features: int, width: int, norm: LayerWrapper, depth: int = 2
    ) -> None:
        super().__init__()
        n = len(sheet.hemispheres)
        pairs = torch.from_numpy(np.concatenate([sheet.edges, sheet.edges[:, ::-1]]).T.copy())
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
        # Vertices first: their neighbours' mean is then one product with a sparse matrix.
        hidden = torch.stack([responses.T, self.picture(embedding).T], 2)
        for centre, neighbours in zip(self.centre_layers, self.neighbour_layers, strict=True):
            around = torch.sparse.mm(self.mean, hidden.flatten(1)).view_as(hidden)
            hidden = functional.leaky_relu(centre(hidden) + neighbours(around), 0.2)
        verdicts: Tensor = self.verdict(hidden)[:, :, 0]
        return verdicts.T

"""Critics: networks that are shown responses with their picture, and say measured or made.

A verdict above 0 says measured. A critic of whole responses is conditioned on the picture by a
product of what it makes of the responses and what it makes of the embedding.

References
----------
Miyato, Koyama (2018). cGANs with projection discriminator. ICLR, equation 3.
Miyato, Kataoka, Koyama, Yoshida (2018). Spectral normalization for GANs. ICLR.
Isola, Zhu, Zhou, Efros (2017). Image-to-image translation with conditional adversarial networks.
CVPR, section 2.2.2: the patch discriminator, of which `patch` is the kin on a mesh.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.utils.parametrizations import spectral_norm

from regress.adversarial.sheet import Sheet
from regress.errors import RegressError

Make = Callable[[nn.Module], nn.Module]


class Whole(nn.Module):
    """Judges the responses of some vertices together: one verdict a picture.

    Parameters
    ----------
    vertices : array of int (n,)
        Which of the responses it sees.
    n_features : int
        Columns of the picture's embedding.
    width : int
        Units of its layers.
    norm : callable
        What each layer is wrapped in.
    """

    vertices: Tensor

    def __init__(
        self, vertices: NDArray[np.int64], n_features: int, width: int, norm: Make
    ) -> None:
        super().__init__()
        self.register_buffer("vertices", torch.from_numpy(np.asarray(vertices)), persistent=False)
        self.first = norm(nn.Linear(len(vertices), width))
        self.second = norm(nn.Linear(width, width))
        self.verdict = norm(nn.Linear(width, 1))
        self.picture = norm(nn.Linear(n_features, width, bias=False))

    def forward(self, responses: Tensor, embedding: Tensor) -> Tensor:
        """Judge.

        Parameters
        ----------
        responses : Tensor (n_images, n_vertices)
            Measured or made.
        embedding : Tensor (n_images, n_features)
            Of the pictures.

        Returns
        -------
        Tensor (n_images, 1)
            Verdicts.
        """
        hidden = functional.leaky_relu(self.first(responses[:, self.vertices]), 0.2)
        hidden = functional.leaky_relu(self.second(hidden), 0.2)
        agrees = (hidden * self.picture(embedding)).sum(1, keepdim=True)
        verdicts: Tensor = self.verdict(hidden) + agrees / hidden.shape[1] ** 0.5
        return verdicts


class Several(nn.Module):
    """Several critics side by side.

    Parameters
    ----------
    critics : sequence of Module
        Each gives verdicts.
    """

    def __init__(self, critics: Sequence[nn.Module]) -> None:
        super().__init__()
        self.critics = nn.ModuleList(critics)

    def forward(self, responses: Tensor, embedding: Tensor) -> Tensor:
        """Judge.

        Parameters
        ----------
        responses : Tensor (n_images, n_vertices)
            Measured or made.
        embedding : Tensor (n_images, n_features)
            Of the pictures.

        Returns
        -------
        Tensor (n_images, n_verdicts)
            The verdicts of all.
        """
        return torch.cat([critic(responses, embedding) for critic in self.critics], 1)


class Attentive(nn.Module):
    """A transformer whose tokens are ROIs, and the picture: one verdict a picture.

    Parameters
    ----------
    rois : sequence of array of int
        The vertices of each token.
    n_features, width, n_heads, depth : int
        The sizes.
    norm : callable
        What each layer outside the transformer is wrapped in.
    """

    def __init__(
        self,
        rois: Sequence[NDArray[np.int64]],
        n_features: int,
        width: int,
        norm: Make,
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
        """Judge.

        Parameters
        ----------
        responses : Tensor (n_images, n_vertices)
            Measured or made.
        embedding : Tensor (n_images, n_features)
            Of the pictures.

        Returns
        -------
        Tensor (n_images, 1)
            Verdicts.
        """
        parts = zip(self.tokens, self._rois, strict=True)
        tokens = [self.picture(embedding), *(layer(responses[:, roi]) for layer, roi in parts)]
        # The fast kernels have no second derivative, which the critic's slope asks for.
        with sdpa_kernel(SDPBackend.MATH):
            seen = self.blocks(torch.stack(tokens, 1) + self.places)
        verdicts: Tensor = self.verdict(seen[:, 0])
        return verdicts


class Patch(nn.Module):
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
        self, sheet: Sheet, n_features: int, width: int, norm: Make, depth: int = 2
    ) -> None:
        super().__init__()
        n = len(sheet.hemispheres)
        pairs = torch.from_numpy(np.concatenate([sheet.edges, sheet.edges[:, ::-1]]).T.copy())
        share = 1.0 / torch.bincount(pairs[0], minlength=n).clamp_min(1)[pairs[0]]
        mean = torch.sparse_coo_tensor(pairs, share, (n, n), check_invariants=True).coalesce()
        self.register_buffer("mean", mean, persistent=False)
        widths = [2, *[width] * depth]
        self.own = nn.ModuleList([norm(nn.Linear(a, b)) for a, b in pairwise(widths)])
        self.others = nn.ModuleList(
            [norm(nn.Linear(a, b, bias=False)) for a, b in pairwise(widths)]
        )
        self.verdict = norm(nn.Linear(width, 1))
        self.picture = nn.Linear(n_features, n, bias=False)

    def forward(self, responses: Tensor, embedding: Tensor) -> Tensor:
        """Judge.

        Parameters
        ----------
        responses : Tensor (n_images, n_vertices)
            Measured or made.
        embedding : Tensor (n_images, n_features)
            Of the pictures.

        Returns
        -------
        Tensor (n_images, n_vertices)
            Verdicts.
        """
        # Vertices first: their neighbours' mean is then one product with a sparse matrix.
        hidden = torch.stack([responses.T, self.picture(embedding).T], 2)
        for own, others in zip(self.own, self.others, strict=True):
            around = torch.sparse.mm(self.mean, hidden.flatten(1)).view_as(hidden)
            hidden = functional.leaky_relu(own(hidden) + others(around), 0.2)
        verdicts: Tensor = self.verdict(hidden)[:, :, 0]
        return verdicts.T


def _single(sheet: Sheet, n_features: int, width: int, norm: Make) -> nn.Module:
    return Whole(np.arange(len(sheet.hemispheres)), n_features, width, norm)


def _per_hemisphere(sheet: Sheet, n_features: int, width: int, norm: Make) -> nn.Module:
    sides = [np.flatnonzero(sheet.hemispheres == side) for side in np.unique(sheet.hemispheres)]
    return Several([Whole(side, n_features, width, norm) for side in sides])


def _per_roi(sheet: Sheet, n_features: int, width: int, norm: Make) -> nn.Module:
    return Several([Whole(roi, n_features, width, norm) for roi in sheet.rois])


def _vit(sheet: Sheet, n_features: int, width: int, norm: Make) -> nn.Module:
    return Attentive(sheet.rois, n_features, width, norm)


def _patch(sheet: Sheet, n_features: int, width: int, norm: Make) -> nn.Module:
    # Every vertex has units of its own: few are enough, and more would not fit into memory.
    return Patch(sheet, n_features, max(4, width // 8), norm)


CRITICS = {
    "single": _single,
    "per_hemisphere": _per_hemisphere,
    "per_roi": _per_roi,
    "vit": _vit,
    "patch": _patch,
}


def critic_names(text: str) -> list[str]:
    """Read which critics there are to be.

    Parameters
    ----------
    text : str
        Such as "single", or "patch+per_roi"; empty for none.

    Returns
    -------
    list of str
        Keys of `CRITICS`.

    Raises
    ------
    RegressError
        If it names one that there is not.
    """
    names = [name.strip() for name in str(text).split("+")] if text else []
    for name in names:
        if name not in CRITICS:
            raise RegressError(
                f"discriminators {text!r}: {name!r} is none; expected {', '.join(CRITICS)}, or "
                "several, such as patch+per_roi"
            )
    return names


def make_critics(
    text: str, sheet: Sheet, n_features: int, width: int, spectral: bool
) -> nn.ModuleDict:
    """Make critics.

    Parameters
    ----------
    text : str
        As `critic_names` reads it.
    sheet : Sheet
        Where the vertices lie.
    n_features : int
        Columns of the picture's embedding.
    width : int
        Units of their layers.
    spectral : bool
        Whether their layers are held to a spectral norm of 1.

    Returns
    -------
    ModuleDict
        By name.
    """

    def norm(layer: nn.Module) -> nn.Module:
        return spectral_norm(layer) if spectral else layer

    return nn.ModuleDict(
        {name: CRITICS[name](sheet, n_features, width, norm) for name in critic_names(text)}
    )

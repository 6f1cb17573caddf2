"""Critics: networks that classify responses to a picture as measured or generated.

A verdict above 0 means measured. A critic of whole responses is conditioned on the picture by the
product of its units for the responses and its units for the embedding.

References
----------
Miyato, Koyama (2018). cGANs with projection discriminator. ICLR, equation 3.
Miyato, Kataoka, Koyama, Yoshida (2018). Spectral normalization for GANs. ICLR.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from regress.adversarial.mesh_patch import MeshPatchCritic
from regress.adversarial.roi_attention import AttentionCritic, LayerWrapper
from regress.adversarial.vertex_geometry import Sheet
from regress.errors import RegressError


class ProjectionCritic(nn.Module):
    """Projection discriminator: one verdict per picture on the responses of some vertices.

    Parameters
    ----------
    vertices : array of int (n,)
        Columns of the responses that the critic sees.
    n_features : int
        Columns of the picture's embedding.
    width : int
        Units of its layers.
    norm : callable
        Wrapper of each layer, such as a spectral norm.
    """

    vertices: Tensor

    def __init__(
        self, vertices: NDArray[np.int64], n_features: int, width: int, norm: LayerWrapper
    ) -> None:
        super().__init__()
        self.register_buffer("vertices", torch.from_numpy(np.asarray(vertices)), persistent=False)
        self.first = norm(nn.Linear(len(vertices), width))
        self.second = norm(nn.Linear(width, width))
        self.verdict = norm(nn.Linear(width, 1))
        self.picture = norm(nn.Linear(n_features, width, bias=False))

    def forward(self, responses: Tensor, embedding: Tensor) -> Tensor:
        """Compute verdicts (n_images, n_verdicts) on responses to pictures."""
        hidden = functional.leaky_relu(self.first(responses[:, self.vertices]), 0.2)
        hidden = functional.leaky_relu(self.second(hidden), 0.2)
        agrees = (hidden * self.picture(embedding)).sum(1, keepdim=True)
        verdicts: Tensor = self.verdict(hidden) + agrees / hidden.shape[1] ** 0.5
        return verdicts


class CriticGroup(nn.Module):
    """Several critics, whose verdicts are concatenated.

    Parameters
    ----------
    critics : sequence of Module
        The critics.
    """

    def __init__(self, critics: Sequence[nn.Module]) -> None:
        super().__init__()
        self.critics = nn.ModuleList(critics)

    def forward(self, responses: Tensor, embedding: Tensor) -> Tensor:
        """Compute verdicts (n_images, n_verdicts) on responses to pictures."""
        return torch.cat([critic(responses, embedding) for critic in self.critics], 1)


def _single(sheet: Sheet, n_features: int, width: int, norm: LayerWrapper) -> nn.Module:
    return ProjectionCritic(np.arange(len(sheet.hemispheres)), n_features, width, norm)


def _per_hemisphere(sheet: Sheet, n_features: int, width: int, norm: LayerWrapper) -> nn.Module:
    sides = [np.flatnonzero(sheet.hemispheres == side) for side in np.unique(sheet.hemispheres)]
    return CriticGroup([ProjectionCritic(side, n_features, width, norm) for side in sides])


def _per_roi(sheet: Sheet, n_features: int, width: int, norm: LayerWrapper) -> nn.Module:
    return CriticGroup([ProjectionCritic(roi, n_features, width, norm) for roi in sheet.rois])


def _vit(sheet: Sheet, n_features: int, width: int, norm: LayerWrapper) -> nn.Module:
    return AttentionCritic(sheet.rois, n_features, width, norm)


def _patch(sheet: Sheet, n_features: int, width: int, norm: LayerWrapper) -> nn.Module:
    # Each vertex has its own units: a few are enough, and more would not fit into memory.
    return MeshPatchCritic(sheet, n_features, max(4, width // 8), norm)


CRITICS = {
    "single": _single,
    "per_hemisphere": _per_hemisphere,
    "per_roi": _per_roi,
    "vit": _vit,
    "patch": _patch,
}


def critic_names(text: str) -> list[str]:
    """Parse the names of critics, which are joined by "+"."""
    names = [name.strip() for name in str(text).split("+")] if text else []
    for name in names:
        if name not in CRITICS:
            raise RegressError(
                f"discriminators {text!r}: {name!r} is no critic; expected {', '.join(CRITICS)}, "
                "or several, such as patch+per_roi"
            )
    if len(set(names)) < len(names):
        raise RegressError(f"discriminators {text!r}: found one twice; expected each once")
    return names


def make_critics(
    text: str, sheet: Sheet, n_features: int, width: int, spectral: bool
) -> nn.ModuleDict:
    """Make critics by name.

    Parameters
    ----------
    text : str
        Names, as `critic_names` parses them.
    sheet : Sheet
        Geometry of the vertices.
    n_features : int
        Columns of the picture's embedding.
    width : int
        Units of their layers.
    spectral : bool
        Whether the layers are normalised to a spectral norm of 1.

    Returns
    -------
    ModuleDict
        Critics by name.
    """

    def norm(layer: nn.Module) -> nn.Module:
        return spectral_norm(layer) if spectral else layer

    return nn.ModuleDict(
        {name: CRITICS[name](sheet, n_features, width, norm) for name in critic_names(text)}
    )

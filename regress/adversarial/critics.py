"""Critics: networks that classify responses to a picture as measured or generated.

A verdict above 0 means measured. A critic of whole responses is conditioned on the picture by the
product of its units for the responses and its units for the embedding.

References
----------
Miyato, Koyama (2018). cGANs with projection discriminator. ICLR, equation 3.
Miyato, Kataoka, Koyama, Yoshida (2018). Spectral normalization for GANs. ICLR.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm
from typing_extensions import override

from regress.adversarial.adversary import Adversary, check_game
from regress.adversarial.mesh_patch import MeshPatchCritic
from regress.adversarial.roi_attention import AttentionCritic, LayerWrapper
from regress.adversarial.vertex_geometry import VertexGeometry
from regress.errors import RegressError
from regress.parameter_checks import check_numbers, check_whole
from regress.training.config import Part


class ProjectionCritic(nn.Module):
    """Projection discriminator: one verdict per picture on the responses of some vertices."""

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
    """Several critics, whose verdicts are concatenated."""

    def __init__(self, critics: Sequence[nn.Module]) -> None:
        super().__init__()
        self.critics = nn.ModuleList(critics)

    def forward(self, responses: Tensor, embedding: Tensor) -> Tensor:
        """Compute verdicts (n_images, n_verdicts) on responses to pictures."""
        return torch.cat([critic(responses, embedding) for critic in self.critics], 1)


def _per_hemisphere(geometry: VertexGeometry, *sizes: Any) -> nn.Module:
    sides = [geometry.hemispheres == side for side in np.unique(geometry.hemispheres)]
    return CriticGroup([ProjectionCritic(np.flatnonzero(side), *sizes) for side in sides])


def _patch(geometry: VertexGeometry, n_features: int, width: int, norm: LayerWrapper) -> nn.Module:
    # Each vertex has its own units: a few are enough, and more would not fit into memory.
    return MeshPatchCritic(geometry, n_features, max(4, width // 8), norm)


# Constructors of critics from the geometry of the vertices, the number of columns of the picture's
# embedding, the width of the layers, and a wrapper of each layer.
CRITICS: dict[str, Callable[[VertexGeometry, int, int, LayerWrapper], nn.Module]] = {
    "single": lambda g, *sizes: ProjectionCritic(np.arange(len(g.hemispheres)), *sizes),
    "per_hemisphere": _per_hemisphere,
    "per_roi": lambda g, *sizes: CriticGroup([ProjectionCritic(roi, *sizes) for roi in g.rois]),
    "vit": lambda g, *sizes: AttentionCritic(g.rois, *sizes),
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
    text: str, geometry: VertexGeometry, n_features: int, width: int, spectral: bool
) -> nn.ModuleDict:
    """Make critics by name, of layers of some width, each perhaps of a spectral norm of 1."""

    def norm(layer: nn.Module) -> nn.Module:
        return spectral_norm(layer) if spectral else layer

    return nn.ModuleDict(
        {name: CRITICS[name](geometry, n_features, width, norm) for name in critic_names(text)}
    )


@dataclass(frozen=True)
class Critics(Part):
    """Critics of the responses that a model generates.

    Attributes
    ----------
    discriminators : str
        Critics of the generated responses: single, per_hemisphere, per_roi, vit, patch, or several,
        such as "patch+per_roi". Empty for plain regression without critics.
    adversarial : float
        Weight of the verdicts, where the loss of a vertex has weight 1.
    game : str
        hinge or least_squares.
    critic_width : int
        Units of a critic's layers.
    critic_lr : float
        The critics' learning rate, as a multiple of `lr`. A patch's verdicts are the slowest to
        learn, and 3e-3 in all was seen to suffice where trainings are short; 1e-2 did harm.
    spectral : bool
        Whether the critics' layers are normalised to a spectral norm of 1.
    penalty : float
        Weight of R1, the critics' squared slope at measured responses; 0 for none. Without it, or
        with the least-squares game, generators were seen to generate one of two modes only.
    sheet : sequence of VertexGeometry, optional
        Geometry of each subject's vertices. `python -m regress` takes it from the masks and
        fsaverage; without it vertices are neighbours in the order of their columns.
    """

    discriminators: str = ""
    adversarial: float = 0.1
    game: str = "hinge"
    critic_width: int = 64
    critic_lr: float = 1.0
    spectral: bool = False
    penalty: float = 1.0
    sheet: Sequence[VertexGeometry] | None = None

    free = (
        *("discriminators", "adversarial", "game", "critic_width", "critic_lr"),
        *("spectral", "penalty", "sheet"),
    )

    @property
    @override
    def together(self) -> bool:
        return bool(critic_names(self.discriminators))

    @override
    def check(self) -> None:
        try:
            critic_names(self.discriminators)
            check_game(self.game)
        except RegressError as error:
            raise ValueError(str(error)) from error
        # Attention has four heads.
        check_whole(vars(self), {"critic_width": 4})
        if self.critic_width % 4:
            raise ValueError(f"critic_width: found {self.critic_width}, expected a multiple of 4")
        check_numbers(vars(self), ["adversarial", "critic_lr", "penalty"])

    def make(self, view: nn.Module, n_columns: int, widths: Sequence[int]) -> nn.ModuleList | None:
        """Make an `Adversary` for each subject, which sees a view of the features, if at all."""
        if not self.together:
            return None
        if self.sheet is None:
            geometries = [VertexGeometry.line(width) for width in widths]
        else:
            geometries = [part for part in self.sheet if len(part.hemispheres)]
        adversaries = []
        for geometry, width in zip(geometries, widths, strict=True):
            geometry.check(width)
            critics = make_critics(
                self.discriminators, geometry, n_columns, self.critic_width, self.spectral
            )
            weights = self.adversarial, self.penalty
            adversaries.append(Adversary(critics, self.game, *weights, view, self.critic_lr))
        return nn.ModuleList(adversaries)

    def advice(self) -> list[str]:
        """List what to lower besides the learning rate: the weight of the critics."""
        if not self.together:
            return []
        now = self.adversarial
        return [f"critics less weight (now {now:g}): --params.adversarial {min(now / 10, 0.1):g}"]

"""Residual blocks for each group of vertices, and linear readouts."""

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from regress.adversarial import Generator
from regress.layers.network import Axes
from regress.layers.readout import check_memory, read_out
from regress.layers.tower import Tower
from regress.training import Network, TrainedModel


class Mlp(TrainedModel):
    """Residual blocks with dropout on any feature spaces, shared by the vertices of a group.

    The other parameters are those of `Training`.

    Parameters
    ----------
    width : int
        Number of units that a group's vertices read.
    blocks : int
        Number of residual blocks; with 0 the model is linear, of rank `width` in each group.
    dropout : float
        Share of features, and of each block's inner units, that is left out at each step.
    lr : float
        The learning rate.

    References
    ----------
    The models with residual blocks and dropout of "Exploration and comparison of deep learning
    architectures to predict brain response to realistic pictures" (Riccardo Chimisso et al., 2023,
    arXiv:2309.09983). The blocks are those of He, Zhang, Ren, Sun (2016). Identity mappings in deep
    residual networks. ECCV, equation 4.
    """

    width: int = 64
    blocks: int = 1
    dropout: float = 0.3
    lr: float = 1e-3

    limits: ClassVar = {"width": 1, "blocks": 0}

    @override
    def make_network(self, n_features: int, member: Tensor) -> Network:
        return make_mlp(self, n_features, member)


def make_mlp(
    model: TrainedModel, n_inputs: int, member: Tensor, trunk: nn.Module | None = None
) -> "MlpNetwork":
    """Make the network of a model with a width and blocks, if memory can hold it."""
    width, blocks, n_groups = model.width, model.blocks, int(member.max()) + 1
    weights = width * (n_inputs + 1 + blocks * 2 * (width + 1))
    check_memory(n_groups, weights, model.batch * width * (1 + 4 * blocks))
    return MlpNetwork(n_inputs, member, width, blocks, model.dropout, trunk)


class MlpNetwork(Generator):
    """Stem, residual blocks and norm for each group, and a readout for each vertex.

    All groups are computed together: the stem is one product with the inputs, which groups share,
    and each layer of the blocks is one batched product. The norms have no gain or shift, which the
    next layers have. Dropout leaves out the same inputs and inner units for all groups, so that a
    group is trained as it would be alone.

    Attributes
    ----------
    trunk : Module or None
        Module from features to inputs, which all vertices share; without it, features are inputs.
    tower : Tower
        Stem and blocks; with 0 blocks there is no norm either.
    readout : Tensor (width, n_vertices)
        Weights of the readouts; 0 at first, so that the mean response is predicted.
    bias : Tensor (n_vertices,)
        Bias that removes the mean of the units from predictions.
    """

    axes: ClassVar[Axes] = {
        **Generator.axes,
        "readout": ("vertex", 1),
        "bias": ("vertex", 0),
        "film": ("group", 0),
    }

    def __init__(
        self,
        n_inputs: int,
        member: Tensor,
        width: int,
        blocks: int,
        dropout: float,
        trunk: nn.Module | None = None,
    ) -> None:
        super().__init__(member)
        self.dropout = nn.Dropout(dropout)
        self.tower = Tower(self.n_groups, n_inputs, width, blocks, dropout)
        self.readout = nn.Parameter(torch.zeros(width, len(member)))
        self.bias = nn.Parameter(torch.zeros(len(member)))
        self.trunk = trunk
        if trunk is not None:
            self.shared = ("trunk.",)

    @override
    def encode_pictures(self, features: Tensor) -> Tensor:
        return features if self.trunk is None else self.trunk(features)

    @override
    def make(self, inputs: Tensor) -> Tensor:
        units: Tensor = self.tower(self.dropout(inputs), self.tower.masks(len(inputs)))
        if self.tower.blocks:
            units = functional.layer_norm(units, units.shape[-1:])
        modulation = self.modulation()
        if modulation is not None:
            gain, shift = modulation[:, None].chunk(2, -1)
            units = units * (1 + gain) + shift
        return read_out(units, self.readout, self.bias + self.offset, self.member)

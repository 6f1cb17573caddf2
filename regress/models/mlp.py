"""Residual blocks for each group of vertices, and linear readouts."""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from regress.layers.readout import check_memory, check_whole, read_out
from regress.layers.tower import Tower
from regress.training import Network, TrainedModel


class Mlp(TrainedModel):
    """Residual blocks with dropout on any feature spaces, shared by the vertices of a group.

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
    **training
        The other parameters of `TrainedModel`.

    References
    ----------
    The models with residual blocks and dropout of "Exploration and comparison of deep learning
    architectures to predict brain response to realistic pictures" (Riccardo Chimisso et al., 2023,
    arXiv:2309.09983). The blocks are those of He, Zhang, Ren, Sun (2016). Identity mappings in deep
    residual networks. ECCV, equation 4.
    """

    def __init__(
        self,
        width: int = 64,
        blocks: int = 1,
        dropout: float = 0.3,
        lr: float = 1e-3,
        **training: Any,
    ) -> None:
        super().__init__(dropout=dropout, lr=lr, **training)
        self.width = width
        self.blocks = blocks

    def check_parameters(self) -> None:
        """Check the parameters; raise a ValueError that names the first wrong one."""
        super().check_parameters()
        check_whole(self.get_params(deep=False), {"width": 1, "blocks": 0})

    def make_network(self, n_features: int, member: Tensor) -> Network:
        """Make the trunks and readouts.

        Parameters
        ----------
        n_features : int
            Columns of the features.
        member : Tensor of int (n_vertices,)
            The group of each vertex.

        Returns
        -------
        Network
            Untrained network, which predicts the mean response.
        """
        width, n_groups = self.width, int(member.max()) + 1
        weights = width * (n_features + 1 + self.blocks * 2 * (width + 1))
        check_memory(n_groups, weights, self.batch * width * (1 + 4 * self.blocks))
        return MlpNetwork(n_features, member, width, self.blocks, self.dropout)


class MlpNetwork(Network):
    """Stem, residual blocks and norm for each group, and a readout for each vertex.

    All groups are computed together: the stem is one product with the features, which groups share,
    and each layer of the blocks is one batched product. The norms have no gain or shift, which the
    next layers have.

    Parameters
    ----------
    n_features : int
        Columns of the features.
    member : Tensor of int (n_vertices,)
        The group of each vertex.
    width : int
        Number of units of the stem, and of each layer.
    blocks : int
        Number of residual blocks; with 0 there is no norm either.
    dropout : float
        Share of features, and of inner units, that is left out at each step: the same ones for all
        groups, so that a group is trained as it would be alone.

    Attributes
    ----------
    tower : Tower
        Stem and blocks.
    readout : Tensor (width, n_vertices)
        Weights of the readouts; 0 at first, so that the mean response is predicted.
    bias : Tensor (n_vertices,)
        Bias that removes the mean of the units from predictions.
    """

    axes: ClassVar[dict[str, tuple[str, int]]] = {
        **Network.axes,
        **{f"tower.{name}": axis for name, axis in Tower.axes.items()},
        "readout": ("vertex", 1),
        "bias": ("vertex", 0),
    }

    def __init__(
        self, n_features: int, member: Tensor, width: int, blocks: int, dropout: float
    ) -> None:
        super().__init__(member)
        self.dropout = nn.Dropout(dropout)
        self.tower = Tower(self.n_groups, n_features, width, blocks, dropout)
        self.readout = nn.Parameter(torch.zeros(width, len(member)))
        self.bias = nn.Parameter(torch.zeros(len(member)))

    def forward(self, features: Tensor) -> Tensor:
        """Predict responses (n_images, n_vertices) from standardised features."""
        return self.read(self.units(features))

    def units(self, features: Tensor) -> Tensor:
        """Compute the units (n_groups, n_images, width) that vertices read."""
        n_images = len(features)
        units: Tensor = self.tower(self.dropout(features), self.tower.masks(n_images), slice(None))
        return functional.layer_norm(units, units.shape[-1:]) if self.tower.blocks else units

    def read(self, units: Tensor) -> Tensor:
        """Compute responses (n_images, n_vertices) from the units of each vertex' group."""
        return read_out(units, self.readout, self.bias + self.offset, self.member)

"""Network of picture and vertex position, shared by the vertices of a group."""

import logging
from collections.abc import Mapping
from typing import Any, ClassVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from regress.data.fsaverage_positions import SURFACES, describe, frames
from regress.data.position_grid import centred, sinusoids, to_grid
from regress.data.responses import Responses
from regress.data.several_subjects import Joint
from regress.layers.network import Axes
from regress.layers.readout import check_memory, repeat_per_group
from regress.layers.tower import Tower
from regress.training import Network, TrainedModel

log = logging.getLogger("regress")

# Buffers of the network with the positions of vertices.
PLACED = ("place", "box", "expansion")


class Positional(TrainedModel):
    """Network of picture and place, whose vertices share all weights.

    The prediction is the product of two vectors: one network computes a vector from the picture's
    features, another from the vertex's place. The only weight of a vertex is its mean.

    The other parameters are those of `Training`.

    Parameters
    ----------
    positions : array (n_vertices, 2 or 3)
        Position of each vertex, mm. `python -m regress` takes it from fsaverage.
    surface : str
        Surface of fsaverage: sphere, inflated, pial, white, or flat, which has two axes.
    expansion : float or str
        Cells of the grid per mm; vertices that share a cell get the same weights. "auto": the
        smallest number with one vertex of a group per cell, up to 16.
    frequencies : int
        Number of sines, and of cosines, along each axis.
    width : int
        Length of the two vectors, and number of units of all layers.
    blocks : int
        Residual blocks in each of the two networks. With 0 the picture's network is linear, and the
        place's has one hidden layer.
    dropout : float
        Share of features, and of the blocks' inner units, that is left out at each step. With a few
        hundred simulated pictures more than half was best, with 2000 a third.
    lr : float
        The learning rate.

    References
    ----------
    "Exploration and comparison of deep learning architectures to predict brain response to
    realistic pictures" (Riccardo Chimisso et al., 2023, arXiv:2309.09983): by its abstract, models
    of a single vertex from its 3-D position, and of several ROIs or a hemisphere, were tested, and
    a linear layer for each ROI was better. A network that takes picture and position side by side
    passes each pair through all its layers, and 9841 pictures x 39,548 vertices are 4e8 pairs.
    Here they are combined in a product after all other layers: one pass for each picture, one for
    each vertex, and a product that costs less than a linear layer on the features.
    """

    positions: Any = None
    surface: str = "sphere"
    expansion: float | str = "auto"
    frequencies: int = 16
    width: int = 64
    blocks: int = 0
    dropout: float = 0.6
    lr: float = 5e-4

    limits: ClassVar = {"frequencies": 1, "width": 1, "blocks": 0}

    @override
    def check_parameters(self) -> None:
        super().check_parameters()
        if self.surface not in SURFACES:
            raise ValueError(
                f"surface: found {self.surface!r}, expected one of {', '.join(SURFACES)}"
            )
        number = isinstance(self.expansion, int | float) and 0 < self.expansion < np.inf
        if not number and self.expansion != "auto":
            raise ValueError(
                f"expansion: found {self.expansion!r}, expected auto or a number above 0"
            )

    @override
    def make_template(
        self, responses: Responses | Joint, member: NDArray[np.int64]
    ) -> dict[str, NDArray]:
        expected = f"expected an array ({len(member)}, 2 or 3), the place of each vertex in mm"
        if self.positions is None:
            raise ValueError(f"positions: found None, {expected}; python -m regress gives it")
        places = np.array(self.positions, np.float32)
        if places.ndim != 2 or len(places) != len(member) or places.shape[1] not in (2, 3):
            raise ValueError(f"positions: found shape {places.shape}, {expected}")
        if not np.isfinite(places).all():
            raise ValueError("positions: found NaN or infinite values, expected numbers")
        grid = frames(torch.from_numpy(places), torch.from_numpy(member), self.expansion)
        log.info("%s", describe(grid))
        return {"place": places, "box": grid.boxes.numpy(), "expansion": grid.expansions.numpy()}

    @override
    def make_network(self, n_features: int, member: Tensor) -> Network:
        placed = {name: torch.from_numpy(np.array(self.template_[name])) for name in PLACED}
        width, n_groups = self.width, int(member.max()) + 1
        n_inputs = n_features + 2 * self.frequencies * placed["place"].shape[1]
        weights = width * (n_inputs + width + 3 + 4 * self.blocks * (width + 1))
        check_memory(n_groups, weights, self.batch * width * (1 + 4 * self.blocks))
        sizes = self.frequencies, width, self.blocks, self.dropout
        return PositionalNetwork(n_features, member, placed, *sizes)


class PositionalNetwork(Network):
    """Product of a picture's vector and a place's vector, from two networks.

    Attributes
    ----------
    place : Tensor (n_vertices, n_axes)
        Coordinates, mm.
    box : Tensor (n_groups, 2, n_axes)
        Bounding box of each group in training, mm, in which later vertices are placed too.
    expansion : Tensor (n_groups,)
        Cells per mm.
    moves : Tensor (n_vertices,)
        1, or 0 for a vertex that stays at its mean.
    head : Tensor (n_groups, width, width)
        Last layer of the place's network, with `head_bias` (n_groups, width); 0 at first.
    """

    axes: ClassVar[Axes] = {
        **Network.axes,
        **dict.fromkeys(("place", "moves"), ("vertex", 0)),
        **dict.fromkeys(("head", "head_bias", "box", "expansion"), ("group", 0)),
    }

    place: Tensor
    moves: Tensor
    box: Tensor
    expansion: Tensor

    def __init__(
        self,
        n_features: int,
        member: Tensor,
        placed: Mapping[str, Tensor],
        frequencies: int,
        width: int,
        blocks: int,
        dropout: float,
    ) -> None:
        super().__init__(member)
        for name, values in placed.items():
            self.register_buffer(name, values)
        self.register_buffer("moves", torch.ones(len(member)))
        self.frequencies = frequencies
        self.dropout = nn.Dropout(dropout)
        n_inputs = 2 * frequencies * self.place.shape[1]
        self.picture = Tower(self.n_groups, n_features, width, blocks, dropout)
        self.add_module("where", Tower(self.n_groups, n_inputs, width, blocks, dropout))
        self.head = repeat_per_group(torch.zeros(width, width), self.n_groups)
        self.head_bias = repeat_per_group(torch.zeros(width), self.n_groups)

    @property
    def place_tower(self) -> Tower:
        """Tower of the places; saved fits call it `where`."""
        return cast("Tower", self.get_submodule("where"))

    def forward(self, features: Tensor) -> Tensor:
        """Predict responses (n_images, n_vertices) from standardised features."""
        masks = self.picture.masks(len(features))
        pictures = self.picture(self.dropout(features), masks)
        masks = self.place_tower.masks(1)
        groups, counts = torch.unique_consecutive(self.member, return_counts=True)
        parts, stop = [], 0
        for group, count in zip(groups.tolist(), counts.tolist(), strict=True):
            start, stop = stop, stop + count
            weights = self.weights_of(group, slice(start, stop), masks)
            parts.append(torch.addmm(self.offset[start:stop], pictures[group], weights.T))
        return torch.cat(parts, dim=1)

    def weights_of(self, group: int, vertices: slice, masks: list[Tensor]) -> Tensor:
        """Compute the weights (n_some_vertices, width) of the picture vector for some vertices."""
        box, expansion = self.box[group], self.expansion[group]
        cells = centred(to_grid(self.place[vertices], box, expansion), box, expansion)
        hidden = self.place_tower(
            sinusoids(cells, self.frequencies), masks, slice(group, group + 1)
        )[0]
        weights = functional.gelu(hidden) @ self.head[group] + self.head_bias[group]
        return weights * self.moves[vertices, None]

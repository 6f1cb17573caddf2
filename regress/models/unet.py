"""U-Net from pictures to maps, of which each vertex reads a receptive field."""

from typing import ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from regress.adversarial import DownsampledPicture, Generative, Generator
from regress.errors import RegressError
from regress.layers.encoder_decoder import Maps
from regress.layers.network import Axes
from regress.layers.readout import check_memory
from regress.layers.receptive_fields import read_fields
from regress.parameter_checks import check_whole

# Pictures predicted at once; each has maps of some megabytes.
BLOCK = 64
# Stride of the first convolution: pictures are halved, grids of tokens are small already.
STRIDES = {"pixels": 2, "tokens": 1}


class UNet(Generative):
    """U-Net on pictures, which all vertices share; each reads places and channels of its maps.

    The decoder ends in maps of the picture, and a vertex has weights of places, which are its
    receptive field, and of channels. Vertices of early areas can learn a small receptive field,
    those of late areas a large one.

    The other parameters are those of `Training`, `Critics`, `Noise` and `SubjectVectors`.

    Parameters
    ----------
    width : int
        Number of maps that a vertex reads, and of the first level; twice as many at each further
        level.
    depth : int
        Number of times that maps are halved.
    grid : int
        Largest side of the grid of places that a vertex weighs, to which the last maps are
        averaged.
    over : str
        Layout of the columns: "pixels", a picture of 3 x side x side; or "tokens", features of a
        grid, components x places.
    places : int, optional
        Number of places, for tokens. `python -m regress` sets it.
    dropout : float
        Share of the last maps that is left out at each step, separately for each picture.
    lr : float
        The learning rate.
    batch : int
        Largest number of pictures in a batch; with several subjects, of each.

    References
    ----------
    The U-Net generator of "GANs to Understand How the Human Brain Makes Sense of Natural Scenes".
    Ronneberger, Fischer, Brox (2015). U-Net: convolutional networks for biomedical image
    segmentation. MICCAI. Klindt, Ecker, Euler, Bethge (2017). Neural system identification for
    large populations separating "what" and "where". NeurIPS.
    """

    width: int = 16
    depth: int = 3
    grid: int = 16
    over: str = "pixels"
    places: int | None = None
    dropout: float = 0.1
    lr: float = 1e-3
    batch: int = 64

    limits: ClassVar = {"width": 1, "depth": 0, "grid": 1}
    choices: ClassVar = {"over": tuple(STRIDES)}
    together = True
    block = BLOCK

    @override
    def make_network(self, n_features: int, member: Tensor) -> Generator:
        channels, side = self._shape(n_features)
        n_cells = side // STRIDES[self.over]
        # Each level has a quarter of the places, twice the channels, and some seven tensors.
        values = 14 * self.width * n_cells**2 * self.batch
        check_memory(1, 40 * (self.width * 2**self.depth) ** 2, values)
        maps = Maps(channels, self.width, self.depth, STRIDES[self.over], self.noise)
        grid = min(self.grid, n_cells)
        network = UNetGenerator((channels, side, grid), maps, member, self.dropout)
        return self.configure(network, sum(maps.blocks))

    @override
    def critic_view(self, n_features: int) -> tuple[nn.Module, int]:
        view = DownsampledPicture(*self._shape(n_features))
        return view, view.columns

    def _shape(self, n_features: int) -> tuple[int, int]:
        """Return channels and side of the picture in the columns."""
        if self.over == "pixels":
            channels, places = 3, n_features // 3
            expected = (
                f"3 x side x side: the {n_features} columns are no picture: --spaces pixels:64"
            )
        elif self.places is None:
            raise RegressError(
                "places: found None, expected how many places each picture has, since over='tokens'"
            )
        else:
            check_whole({"places": self.places}, {"places": 1})
            channels, places = n_features // self.places, self.places
            expected = f"components x {places} places, a square of them, not {n_features} columns"
        side = round(places**0.5)
        if side**2 != places or channels * places != n_features or not places:
            raise RegressError(f"over={self.over!r}: expected columns that are {expected}")
        n_cells, rest = divmod(side, STRIDES[self.over])
        if rest or n_cells % 2**self.depth:
            max_depth = 0 if rest else next(d for d in range(32) if n_cells % 2 ** (d + 1))
            hint = "" if rest else f", or --params.depth {max_depth}"
            raise RegressError(
                f"depth: found {self.depth}, with which a side of {side} would have to be a "
                f"multiple of {STRIDES[self.over] * 2**self.depth}; expected pictures of such a "
                f"side{hint}"
            )
        if n_cells > self.grid and n_cells % self.grid:
            raise RegressError(
                f"grid: found {self.grid}, expected a divisor of the {n_cells} places a side of "
                "the maps"
            )
        return channels, side


class UNetGenerator(Generator):
    """Maps that all vertices share, with weights of places and channels for each vertex.

    Its shape is the channels and the side of the pictures, and the side of the grid of places.

    Attributes
    ----------
    maps : Maps
        Shared by all vertices.
    where : Tensor (grid * grid, n_vertices)
        Weights of places, row by row from the top; equal at first, with sum 1.
    what : Tensor (width, n_vertices)
        Weights of channels; 0 at first, so that the mean response is predicted.
    bias : Tensor (n_vertices,)
        Bias that removes the mean of the maps from predictions.
    """

    axes: ClassVar[Axes] = {
        **Generator.axes,
        "where": ("vertex", 1),
        "what": ("vertex", 1),
        "bias": ("vertex", 0),
    }
    shared = ("maps.",)

    def __init__(
        self, shape: tuple[int, int, int], maps: Maps, member: Tensor, dropout: float
    ) -> None:
        super().__init__(member)
        self._shape, self.maps = shape, maps
        self.dropout = nn.Dropout1d(dropout)
        self.norm = nn.GroupNorm(1, maps.blocks[0], affine=False)
        grid, n_vertices = shape[-1], len(member)
        place_weights = nn.Parameter(torch.full((grid**2, n_vertices), 1 / grid**2))
        channel_weights = nn.Parameter(torch.zeros(maps.blocks[0], n_vertices))
        # The names that saved fits have.
        self.register_parameter("where", place_weights)
        self.register_parameter("what", channel_weights)
        self.bias = nn.Parameter(torch.zeros(n_vertices))

    @override
    def make(self, inputs: Tensor) -> Tensor:
        modulation, film = self.modulation(), None
        if modulation is not None:
            per_block = torch.split(modulation, [2 * width for width in self.maps.blocks])
            film = [(part[: len(part) // 2], part[len(part) // 2 :]) for part in per_block]
        channels, side, grid = self._shape
        flat, noise = torch.split(inputs, [channels * side**2, self._noise], 1)
        pictures = flat.reshape(-1, channels, side, side)
        pictures = pictures.contiguous(memory_format=torch.channels_last)
        maps = self.maps(pictures, noise if self._noise else None, film)
        maps = self.norm(functional.adaptive_avg_pool2d(maps, grid)).flatten(2)
        weights = cast("tuple[Tensor, Tensor]", (self.where, self.what))
        return read_fields(self.dropout(maps), *weights) + self.bias + self.offset

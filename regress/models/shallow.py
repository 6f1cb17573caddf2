"""A small generator on an embedding, which may be trained against critics."""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from regress.adversarial import Generative, Generator
from regress.trained.readout import check_memory, check_whole, read_out
from regress.trained.tower import Tower


class Model(Generative):
    """Residual blocks on any feature spaces, trained by a loss, by critics, or by both.

    Parameters
    ----------
    width : int
        Units that a group's vertices read.
    blocks : int
        Residual blocks.
    dropout : float
        The share of features, and of each block's inner units, that is left out at each step.
    **training
        The parameters of every generative model, as `Generative` has them.

    References
    ----------
    Goodfellow et al. (2014). Generative adversarial nets. NeurIPS. Mirza, Osindero (2014).
    Conditional generative adversarial nets. arXiv:1411.1784.
    """

    def __init__(
        self, width: int = 128, blocks: int = 1, dropout: float = 0.3, **training: Any
    ) -> None:
        super().__init__(dropout=dropout, **training)
        self.width = width
        self.blocks = blocks

    def check_parameters(self) -> None:
        """Refuse parameters that cannot be; a ValueError names the one."""
        super().check_parameters()
        check_whole(self.get_params(deep=False), {"width": 1, "blocks": 0})

    def make_network(self, n_features: int, member: Tensor) -> Generator:
        """Make trunks and readouts.

        Parameters
        ----------
        n_features : int
            Columns of the features.
        member : Tensor of int (n_vertices,)
            The group of each vertex.

        Returns
        -------
        Generator
            Which makes the mean response.
        """
        width, n_groups = self.width, int(member.max()) + 1
        weights = width * (n_features + self.noise + 1 + self.blocks * 2 * (width + 1))
        check_memory(n_groups, weights, self.batch * width * (1 + 4 * self.blocks))
        sizes = n_features + self.noise, width, self.blocks
        return Shallow(member, sizes, self.dropout, self.noise, self.samples)


class Shallow(Generator):
    """Stem and residual blocks for each group, and a readout for each vertex.

    Parameters
    ----------
    member : Tensor of int (n_vertices,)
        The group of each vertex.
    sizes : (int, int, int)
        Inputs, width and blocks.
    dropout : float
        The share of features, and of inner units, that is left out at each step.
    noise, samples : int
        As `Generator` has them.
    """

    axes: ClassVar[dict[str, tuple[str, int]]] = {
        **Generator.axes,
        **{f"tower.{name}": axis for name, axis in Tower.axes.items()},
        "readout": ("vertex", 1),
        "bias": ("vertex", 0),
    }

    def __init__(
        self,
        member: Tensor,
        sizes: tuple[int, int, int],
        dropout: float,
        noise: int,
        samples: int,
    ) -> None:
        super().__init__(member, noise, samples)
        n_inputs, width, blocks = sizes
        self.dropout = nn.Dropout(dropout)
        self.tower = Tower(self.n_groups, n_inputs, width, blocks, dropout)
        self.readout = nn.Parameter(torch.zeros(width, len(member)))
        self.bias = nn.Parameter(torch.zeros(len(member)))

    def make(self, inputs: Tensor) -> Tensor:
        """Make responses.

        Parameters
        ----------
        inputs : Tensor (n_images, n_features + noise)
            Features, standardised, and noise.

        Returns
        -------
        Tensor (n_images, n_vertices)
            Responses.
        """
        units = self.tower(self.dropout(inputs), self.tower.masks(len(inputs)), slice(None))
        units = functional.layer_norm(units, units.shape[-1:])
        return read_out(units, self.readout, self.bias + self.offset, self.member)

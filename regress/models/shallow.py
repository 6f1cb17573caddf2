"""Small generator on an embedding, optionally trained against critics."""

from typing import Any, ClassVar

from torch import Tensor

from regress.adversarial import Generative, Generator
from regress.layers.readout import check_memory, check_whole
from regress.models.mlp import MlpNetwork


class Shallow(Generative):
    """Residual blocks on any feature spaces, trained by a loss, by critics, or by both.

    Parameters
    ----------
    width : int
        Number of units that a group's vertices read.
    blocks : int
        Number of residual blocks.
    dropout : float
        Share of features, and of each block's inner units, that is left out at each step.
    **training
        The parameters of `Generative`.

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
        """Check the parameters; raise a ValueError that names the first wrong one."""
        super().check_parameters()
        check_whole(self.get_params(deep=False), {"width": 1, "blocks": 0})

    def make_network(self, n_features: int, member: Tensor) -> Generator:
        """Make the trunks and readouts.

        Parameters
        ----------
        n_features : int
            Columns of the features.
        member : Tensor of int (n_vertices,)
            The group of each vertex.

        Returns
        -------
        Generator
            Untrained network, which predicts the mean response.
        """
        width, n_groups = self.width, int(member.max()) + 1
        n_inputs = n_features + self.noise
        weights = width * (n_inputs + 1 + self.blocks * 2 * (width + 1))
        check_memory(n_groups, weights, self.batch * width * (1 + 4 * self.blocks))
        network = ShallowGenerator(n_inputs, member, width, self.blocks, self.dropout)
        return self.configure(network, width)


class ShallowGenerator(Generator, MlpNetwork):
    """Network of `mlp` with noise as further inputs, and units that subjects' vectors modulate."""

    axes: ClassVar[dict[str, tuple[str, int]]] = {
        **MlpNetwork.axes,
        **Generator.axes,
        "film": ("group", 0),
    }

    def make(self, inputs: Tensor) -> Tensor:
        """Compute responses (n_images, n_vertices) from standardised features and noise."""
        units, modulation = self.units(inputs), self.modulation()
        if modulation is not None:
            gain, shift = modulation[:, None].chunk(2, -1)
            units = units * (1 + gain) + shift
        return self.read(units)

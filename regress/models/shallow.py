"""Small generator on an embedding, optionally trained against critics."""

from typing import ClassVar

from torch import Tensor
from typing_extensions import override

from regress.adversarial import Generative, Generator
from regress.models.mlp import make_mlp


class Shallow(Generative):
    """Residual blocks on any feature spaces, trained by a loss, by critics, or by both.

    The other parameters are those of `Training`, `Critics`, `Noise` and `SubjectVectors`.

    Parameters
    ----------
    width : int
        Number of units that a group's vertices read.
    blocks : int
        Number of residual blocks.
    dropout : float
        Share of features, and of each block's inner units, that is left out at each step.

    References
    ----------
    Goodfellow et al. (2014). Generative adversarial nets. NeurIPS. Mirza, Osindero (2014).
    Conditional generative adversarial nets. arXiv:1411.1784.
    """

    width: int = 128
    blocks: int = 1
    dropout: float = 0.3

    limits: ClassVar = {"width": 1, "blocks": 0}

    @override
    def make_network(self, n_features: int, member: Tensor) -> Generator:
        return self.configure(make_mlp(self, n_features + self.noise, member), self.width)

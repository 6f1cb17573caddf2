"""Critics of generated responses, and what a generator learns from them."""

from regress.adversarial.adversary import Adversary
from regress.adversarial.critics import CRITICS, make_critics
from regress.adversarial.generative import Generative
from regress.adversarial.generator import Generator
from regress.adversarial.vertex_geometry import VertexGeometry
from regress.layers.downsample import DownsampledPicture

__all__ = [
    "CRITICS",
    "Adversary",
    "DownsampledPicture",
    "Generative",
    "Generator",
    "VertexGeometry",
    "make_critics",
]

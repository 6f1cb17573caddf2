"""Critics of generated responses, and what a generator learns from them."""

from regress.adversarial.adversary import Adversary
from regress.adversarial.critics import CRITICS, make_critics
from regress.adversarial.generative import Generative
from regress.adversarial.generator import Generator
from regress.adversarial.glance import Glance
from regress.adversarial.sheet import Sheet

__all__ = ["CRITICS", "Adversary", "Generative", "Generator", "Glance", "Sheet", "make_critics"]

"""Critics of generated responses, and what a generator learns from them."""

from regress.adversarial.adversary import Adversary
from regress.adversarial.critics import CRITICS, make_critics
from regress.adversarial.generative import Generative, Generator
from regress.adversarial.sheet import Sheet

__all__ = ["CRITICS", "Adversary", "Generative", "Generator", "Sheet", "make_critics"]

"""What the trained models share: the estimator, the loop on Lightning, losses, optimisers, files.

A trained model is a `Network` in a file of `regress/models`, and a subclass of `TrainedModel` that
makes it. Its weights say which vertices or groups they belong to; with that, many models are
trained in one pass, each stops on its own, and each is saved on its own.
"""

from regress.layers.network import Network
from regress.training.estimator import TrainedModel

__all__ = ["Network", "TrainedModel"]

"""Shared parts of the trained models: estimator, Lightning loop, losses, optimisers, files.

A trained model is a file of `regress/models` with a `Network`, and a subclass of `TrainedModel`
that makes it. The network declares which of its weights belong to vertices or to groups; so many
models are trained in one pass, and each stops and is saved on its own.
"""

from regress.layers.network import Network
from regress.training.estimator import TrainedModel

__all__ = ["Network", "TrainedModel"]

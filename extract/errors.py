"""What can be wrong with a network, its weights or the name of a feature space."""

from base import RoiridgeError


class ExtractError(RoiridgeError):
    """A feature space, network, layer, pooling or weights file that cannot be used."""

"""What can be wrong with a network or its weights."""

from base import RoiridgeError


class NetworkError(RoiridgeError):
    """A network that there is not, or weights that cannot be had, read or used."""

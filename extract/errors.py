"""Errors of feature spaces and their networks."""

from base import RoiridgeError


class ExtractError(RoiridgeError):
    """A feature space, network, layer, pooling, device or file of captions cannot be used."""

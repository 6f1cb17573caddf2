"""Errors of networks and their weights."""

from base import RoiridgeError


class NetworkError(RoiridgeError):
    """A network is unknown, or its weights cannot be found, read or used."""

"""The errors of this package."""

from base import RoiridgeError


class ExecuteError(RoiridgeError):
    """Work that could not be done where it was to be done."""

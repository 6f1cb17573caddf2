"""What can be wrong with a fit."""

from base import RoiridgeError


class RegressError(RoiridgeError):
    """A model, setting or data set that cannot be fitted."""

"""The error of stage 2."""

from base import RoiridgeError


class RegressError(RoiridgeError):
    """A model, setting or data set that cannot be fitted."""

"""The errors of this package."""

from base import RoiridgeError


class PlanError(RoiridgeError):
    """A run that cannot be done as it was asked for."""

"""The errors of this package."""

from base import RoiridgeError


class PlanError(RoiridgeError):
    """A request that cannot be carried out on this machine, or is not valid."""

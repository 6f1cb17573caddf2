"""The errors of this package."""

from base import RoiridgeError


class ExecuteError(RoiridgeError):
    """Work that failed, or that cannot run where it was asked to run."""

"""What can be wrong with a kept file."""

from base import RoiridgeError


class CacheError(RoiridgeError):
    """A kept file is damaged, missing, of another key, or does not hold what was asked for."""


class InUseError(RoiridgeError):
    """A kept file is being written by another program: it is no fault of the file's."""

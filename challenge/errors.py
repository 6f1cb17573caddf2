"""The one error of this folder."""

from base import RoiridgeError


class DataError(RoiridgeError):
    """A dataset that does not hold what it should; the message names the file and the fix."""

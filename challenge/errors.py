"""The error of this package, and the text of those of libraries."""

from base import RoiridgeError


class DataError(RoiridgeError):
    """A dataset has a fault; the message names the file and the fix."""


def reason(error: Exception) -> str:
    """Return the message of a library's error in one line, or its type if it has no message."""
    return " ".join(str(error).split()) or type(error).__name__

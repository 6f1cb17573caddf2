"""Giving memory back."""

import ctypes
import sys


def release() -> None:
    """Give the system back what was freed.

    glibc keeps freed blocks among those in use: a long run of a network then takes now some hundred
    MB more, now less. Elsewhere this does nothing.
    """
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)

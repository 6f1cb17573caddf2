"""Giving memory back."""

import ctypes
import sys


def release() -> None:
    """Give the system back what was freed.

    Before 2.38 glibc often does not use an aligned block again that was freed (its bug 14581), and
    torch's are all aligned: beside anything that lives on, the heap of a network grew from 1.05 GB
    to 1.6 GB over 20,000 pictures. Elsewhere this does nothing.
    """
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)

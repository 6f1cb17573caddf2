"""Keeping what a step has freed for the next step."""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from base import release

# Of glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
LARGE = 1 << 30
# What glibc begins with.
SMALL = 128 << 10


@contextmanager
def reuse_memory() -> Iterator[None]:
    """Have freed memory used again, instead of given back and asked for at each step.

    Each step makes and frees predictions and gradients. Blocks of more than 32 MB glibc asks of the
    system each time, page by page, which took as long as the matrix products themselves: a step of
    256 pictures x 512 features x 39,548 vertices took 0.66 s, and 0.35 s in memory that was used
    before. Elsewhere than on Linux this does nothing.

    Yields
    ------
    None
        While the block runs; afterwards what is free goes back to the system.
    """
    tune = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if tune is None:
        yield
        return
    tune(M_MMAP_THRESHOLD, LARGE)
    tune(M_TRIM_THRESHOLD, LARGE)
    try:
        yield
    finally:
        tune(M_MMAP_THRESHOLD, SMALL)
        tune(M_TRIM_THRESHOLD, SMALL)
        release()

"""The memory of the machine, and the release of freed memory to the system."""

import ctypes
import os
import sys
from contextlib import suppress
from pathlib import Path


def machine_memory() -> int:
    """Return the memory of this machine, or of the part that a container or a job may use.

    Returns
    -------
    int
        Bytes.
    """
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for file in ("memory.max", "memory/memory.limit_in_bytes"):
        # Without control groups there is no such file; "max" is no number.
        with suppress(OSError, ValueError):
            limits.append(int((Path("/sys/fs/cgroup") / file).read_text()))
    return min(limits)


def release() -> None:
    """Return freed memory to the system, on Linux.

    Before version 2.38, glibc often does not reuse an aligned block that was freed (its bug 14581),
    and torch's blocks are all aligned: without this call, the heap of a network grew from 1.05 GB
    to 1.6 GB over 20,000 pictures. On other systems this does nothing.
    """
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)

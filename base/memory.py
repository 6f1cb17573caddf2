"""The memory of the machine, its release, and counts and batches that fit into it."""

import ctypes
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from base.errors import RoiridgeError


def machine_memory() -> int:
    """Return the memory of this machine, or of the part that a container or a job may use.

    Returns
    -------
    int
        Bytes.

    Examples
    --------
    >>> budget = machine_memory() // 2
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


def check_count(option: str, value: int, largest: int, reason: str = "") -> None:
    """Check that a number of repetitions fits the machine, before anything is allocated.

    Parameters
    ----------
    option : str
        The option as the user types it, such as "--resamples".
    value : int
        The number that the user typed.
    largest : int
        The largest number that can be computed.
    reason : str
        The cause of the limit, such as "their means would need 8 PB of memory".

    Raises
    ------
    RoiridgeError
        If the number is larger.

    Examples
    --------
    >>> check_count("--resamples", 1000, largest=100_000)
    >>> check_count("--resamples", 10**9, largest=100_000)
    Traceback (most recent call last):
    base.errors.RoiridgeError: --resamples 1000000000: expected at most 100000
    """
    if value > largest:
        raise RoiridgeError(
            f"{option} {value}: expected at most {largest}" + (f"; {reason}" if reason else "")
        )


class Batches:
    """Consecutive slices of a range, which become half as long when memory runs out.

    The work on each slice is done in `with batches.attempt():`.

    Parameters
    ----------
    n : int
        The length of the range.
    size : int
        The length of a slice.
    report : callable
        Called with the two lengths when the slices are halved.
    divisible : bool
        Whether slices may be halved.

    Examples
    --------
    >>> batches = Batches(5, 2, print)
    >>> for rows in batches:
    ...     with batches.attempt():
    ...         print(rows.start, rows.stop)
    0 2
    2 4
    4 5
    """

    def __init__(
        self, n: int, size: int, report: Callable[[int, int], object], divisible: bool = True
    ) -> None:
        self.n, self.size, self.report, self.divisible = n, size, report, divisible
        self._start, self._is_full = 0, False

    def __iter__(self) -> Iterator[slice]:
        """Yield the next slice, or a shorter one from the same start if the last attempt failed."""
        while self._start < self.n:
            length = min(self.size, self.n - self._start)
            yield slice(self._start, self._start + length)
            # Only here is nothing left of the failed attempt, whose traceback held its arrays.
            if self._is_full:
                self._is_full, self.size = False, length // 2
                self.report(length, self.size)
            else:
                self._start += length

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Do the work on a slice inside a `with` block, which ends where memory runs out.

        Yields
        ------
        None
            Nothing.

        Raises
        ------
        MemoryError, torch.OutOfMemoryError
            If a slice of one item, or one that is not divisible, does not fit.
        """
        try:
            yield
        except (MemoryError, RuntimeError) as error:
            # torch's error is a RuntimeError; it is known by its name, since torch is not needed.
            is_full = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
            if not is_full or not self.divisible or min(self.size, self.n - self._start) == 1:
                raise
            self._is_full = True

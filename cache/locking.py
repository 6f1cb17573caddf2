"""The lock that the writer of a feature space holds, as others see it."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from base import say


def lock_of(path: Path) -> Path:
    """Name the lock of a feature space.

    Parameters
    ----------
    path : Path
        The space's file, or its folder of shards.

    Returns
    -------
    Path
        The file that its writer locks.
    """
    return path.with_suffix(".lock")


def is_held(lock: Path) -> bool:
    """Say whether a process writes the space now.

    Parameters
    ----------
    lock : Path
        The lock's file.

    Returns
    -------
    bool
        False also where there is no such file.
    """
    try:
        descriptor = os.open(lock, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


@contextmanager
def holding(lock: Path, wait: bool = True) -> Iterator[bool]:
    """Keep writers of a space out.

    Parameters
    ----------
    lock : Path
        The lock's file; made where missing.
    wait : bool
        Whether to wait for a writer to end.

    Yields
    ------
    bool
        Whether the lock is held: False only without `wait`, while a process writes the space.
    """
    descriptor = acquire(lock, wait)
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            os.close(descriptor)


def acquire(lock: Path, wait: bool = True) -> int | None:
    """Take the lock; close the descriptor to give it back.

    Parameters
    ----------
    lock : Path
        The lock's file; made where missing.
    wait : bool
        Whether to wait for a writer to end.

    Returns
    -------
    int or None
        A descriptor; None only without `wait`, while a process writes the space.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    told = False
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not wait:
                os.close(descriptor)
                return None
            if not told:
                say(f"{lock.stem}: another process is writing it; waiting")
                told = True
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        # A free lock may be removed (`prune`) between opening and locking: then it locks nothing.
        if lock.exists() and os.fstat(descriptor).st_ino == lock.stat().st_ino:
            return descriptor
        os.close(descriptor)

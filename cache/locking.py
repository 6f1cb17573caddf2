"""The lock that the writer of a feature space holds, as others see it.

Where a file system refuses locks, as those of clusters may, a claim takes its place: it says the
same, but a writer that died on another machine is known to be dead only when its lease has ended.
"""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from base import claiming, is_claimed, say

# What a file system without locks says.
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)


def lock_of(path: Path) -> Path:
    """Name the lock of a feature space."""
    return path.with_suffix(".lock")


def is_held(lock: Path) -> bool:
    """Say whether a process writes the space now."""
    try:
        descriptor = os.open(lock, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        return is_claimed(_claim(lock))
    finally:
        os.close(descriptor)
    return False


@contextmanager
def holding(lock: Path, wait: bool = True) -> Iterator[bool]:
    """Keep writers of a space out.

    Yields
    ------
    bool
        Whether the lock is held: False only without `wait`, while a process writes the space.
    """
    held = acquire(lock, wait)
    try:
        yield held is not None
    finally:
        if held is not None:
            held.close()


def acquire(lock: Path, wait: bool = True) -> ExitStack | None:
    """Take the lock; close what is returned to give it back.

    Returns
    -------
    ExitStack or None
        None only without `wait`, while a process writes the space.
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
        except OSError as error:
            os.close(descriptor)
            if error.errno not in NO_LOCKS:
                raise
            return _acquire_claim(lock, wait)
        # A free lock may be removed (`prune`) between opening and locking: then it locks nothing.
        if lock.exists() and os.fstat(descriptor).st_ino == lock.stat().st_ino:
            held = ExitStack()
            held.callback(os.close, descriptor)
            return held
        os.close(descriptor)


def _claim(lock: Path) -> Path:
    return lock.with_suffix(".claim")


def _acquire_claim(lock: Path, wait: bool) -> ExitStack | None:
    held = ExitStack()
    if held.enter_context(claiming(_claim(lock), wait)):
        return held
    return None

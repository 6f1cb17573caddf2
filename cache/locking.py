"""The lock that the writer of a feature space holds.

Where a file system refuses locks, as those of clusters may, a claim replaces the lock: with a
claim, a writer that died on another machine counts as dead only when its lease has ended.
"""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from base import claiming, say
from base.claims import is_claimed

# Errors of file systems without locks.
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)


def lock_path(path: Path) -> Path:
    """Return the lock file of a feature space."""
    return path.with_suffix(".lock")


def is_held(lock: Path) -> bool:
    """Return whether a process is writing the space."""
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
    """Hold the lock of a space; yield False without `wait` if a process is writing the space."""
    stack = acquire(lock, wait)
    try:
        yield stack is not None
    finally:
        if stack is not None:
            stack.close()


def acquire(lock: Path, wait: bool = True) -> ExitStack | None:
    """Acquire the lock, and return a stack whose `close` releases it.

    Return None without `wait` if a process is writing the space.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    is_reported = False
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not wait:
                os.close(descriptor)
                return None
            if not is_reported:
                say(f"{lock.stem}: another process is writing it; waiting")
                is_reported = True
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError as error:
            os.close(descriptor)
            if error.errno not in NO_LOCKS:
                raise
            return _acquire_claim(lock, wait)
        # `prune` may remove a free lock between opening and locking, which then locks nothing.
        if lock.exists() and os.fstat(descriptor).st_ino == lock.stat().st_ino:
            stack = ExitStack()
            stack.callback(os.close, descriptor)
            return stack
        os.close(descriptor)


def _claim(lock: Path) -> Path:
    return lock.with_suffix(".claim")


def _acquire_claim(lock: Path, wait: bool) -> ExitStack | None:
    stack = ExitStack()
    if stack.enter_context(claiming(_claim(lock), wait)):
        return stack
    return None

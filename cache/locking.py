"""The lock that the writer of a feature space holds.

Where a file system refuses locks, as those of clusters may, a claim replaces the lock: with a
claim, a writer that died on another machine counts as dead only when its lease has ended.
"""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import IO

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
        with lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        return is_claimed(_claim(lock))
    return False


@contextmanager
def holding(lock: Path, wait: bool = True) -> Iterator[bool]:
    """Hold the lock of a space; yield False without `wait` if a process is writing the space."""
    with ExitStack() as stack:
        try:
            file = _acquire(lock, wait)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            is_acquired = stack.enter_context(claiming(_claim(lock), wait))
        else:
            is_acquired = file is not None
            stack.enter_context(file or nullcontext())
        yield is_acquired


def _acquire(lock: Path, wait: bool) -> IO[bytes] | None:
    """Return the locked file, or None without `wait` if a process is writing the space."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    is_reported = False
    while True:
        with ExitStack() as stack:
            file = stack.enter_context(lock.open("ab"))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not wait:
                    return None
                if not is_reported:
                    say(f"{lock.stem}: another process is writing it; waiting")
                    is_reported = True
                fcntl.flock(file, fcntl.LOCK_EX)
            # `prune` may remove a free lock between opening and locking, which then locks nothing.
            if lock.exists() and os.fstat(file.fileno()).st_ino == lock.stat().st_ino:
                stack.pop_all()
                return file


def _claim(lock: Path) -> Path:
    return lock.with_suffix(".claim")

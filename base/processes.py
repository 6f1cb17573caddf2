"""Child processes that ignore Ctrl-C and end with their parent."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def signal_blocked(number: signal.Signals) -> Iterator[None]:
    """Block a signal, so that processes started inside the block never receive it.

    A terminal sends Ctrl-C to all processes of a command. This process receives it after the block
    at the latest, and stops the others.
    """
    # Children inherit blocked signals; unlike an ignored one, a blocked one is not lost here.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [number])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_with_parent() -> None:
    """End this process when its parent ends, even if the parent is killed."""
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)

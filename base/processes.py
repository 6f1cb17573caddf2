"""Processes that are started beside this one: deaf to Ctrl-C, and gone when this one is."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def unheard(number: signal.Signals) -> Iterator[None]:
    """Let processes that are started meanwhile be deaf to a signal.

    A terminal sends Ctrl-C to all of them; this one hears it, after the block at the latest, and
    stops the others.

    Parameters
    ----------
    number : Signals
        The signal.

    Yields
    ------
    None
        For a `with` block.
    """
    # What is blocked is inherited; unlike what is ignored, it is not lost to this process.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [number])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_with_parent() -> None:
    """Have this process end when the one that started it does; killed, it cannot tell this one."""
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)

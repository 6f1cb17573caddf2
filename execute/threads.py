"""How many threads a process has, where several share a machine."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import joblib

# What the libraries read when they are first imported, and joblib.
LIMITS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "LOKY_MAX_CPU_COUNT",
)


@contextmanager
def share_processors(n_processes: int) -> Iterator[None]:
    """Give processes that are started meanwhile an equal share of the processors as threads.

    What the user has set stands.

    Parameters
    ----------
    n_processes : int
        How many there are at a time.

    Yields
    ------
    None
        For a `with` block.
    """
    n_threads = str(max(1, joblib.cpu_count() // n_processes))
    new = [name for name in LIMITS if name not in os.environ] if n_processes > 1 else []
    os.environ.update(dict.fromkeys(new, n_threads))
    try:
        yield
    finally:
        for name in new:
            del os.environ[name]

"""The number of threads of a process, where several share a machine."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import joblib

# Variables that numerical libraries, at their first import, and joblib read.
LIMITS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "LOKY_MAX_CPU_COUNT",
)


@contextmanager
def share_processors(n_processes: int) -> Iterator[None]:
    """Set the threads of processes that are started meanwhile to an equal share of the processors.

    Variables that the user has set are left as they are.
    """
    n_threads = str(max(1, joblib.cpu_count() // n_processes))
    new = [name for name in LIMITS if name not in os.environ] if n_processes > 1 else []
    os.environ.update(dict.fromkeys(new, n_threads))
    try:
        yield
    finally:
        for name in new:
            del os.environ[name]

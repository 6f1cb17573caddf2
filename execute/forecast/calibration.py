"""Timing pieces of work, and those that all work is made of."""

import hashlib
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

from base import replacing

Values = dict[str, float]
SIDE = 1536
EIGH_SIDES = (128, 512, 1024)
BYTES = 128 << 20


def n_threads() -> int:
    """Count the threads of matrix products in this process.

    Returns
    -------
    int
        As OMP_NUM_THREADS, the batch system or the number of processors has it.
    """
    return max([1, *(library["num_threads"] for library in threadpool_info())])


def calibrate(folder: Path) -> Values:
    """Measure what all work is made of, in some seconds.

    Parameters
    ----------
    folder : Path
        On the disk whose speed is asked for; made if missing.

    Returns
    -------
    dict of str to float
        `float32` and `float64`, flop/s of matrix products; `eigh N`, seconds of a matrix of float64
        of that side; `memory`, bytes/s written anew while as many are read, and `gather`, row by
        row; `sha256`, bytes/s;
        `write`, bytes/s to the disk; `file`, seconds to create a small file that is flushed.
    """
    rng = np.random.default_rng(0)
    rates: Values = {}
    for name in ("float32", "float64"):
        A = rng.standard_normal((SIDE, SIDE)).astype(name)
        rates[name] = 2 * SIDE**3 / _time_threads(partial(np.matmul, A, A))
    for side in EIGH_SIDES:
        X = rng.standard_normal((2 * side, side))
        rates[f"eigh {side}"] = _time_threads(partial(np.linalg.eigh, X.T @ X))
    block = np.ones(BYTES // 4, np.float32)  # zeros would be one page
    rates["memory"] = BYTES / minimum_time(lambda: block + 1)
    rows, order = block.reshape(-1, 8192), rng.permutation(BYTES // 4 // 8192)
    rates["gather"] = BYTES / minimum_time(lambda: rows[order])
    rates["sha256"] = BYTES / minimum_time(lambda: hashlib.sha256(block.data))
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder, prefix=".disk-") as inside:
        file = Path(inside) / "file"
        rates["file"] = minimum_time(lambda: _write(file, b"0"), waits=True)
        rates["write"] = BYTES / minimum_time(
            lambda: _write(file, block.data.cast("B")), waits=True
        )
    return rates


def _time_threads(work: Callable[[], object]) -> float:
    """Time work of several threads; one alone is no quicker, but where others keep them waiting."""
    with threadpool_limits(1):
        alone = minimum_time(work)
    return min(alone, minimum_time(work)) if n_threads() > 1 else alone


def minimum_time(work: Callable[[], object], waits: bool = False, enough: float = 0.5) -> float:
    """Time some work as on a machine that nobody else uses: the least of several times.

    Parameters
    ----------
    work : callable
        What to time; it is run once before, and then thrice or more.
    waits : bool
        Whether it waits for the disk. What does not can take no longer than its processor time,
        which tells its own time from that of others on a busy machine.
    """
    work()
    times: list[float] = []
    first = time.perf_counter()
    while len(times) < 3 or (time.perf_counter() - first < enough and len(times) < 100):
        times.append(elapsed_time(work, waits))
    return min(times)


def elapsed_time(work: Callable[[], object], waits: bool = False) -> float:
    """Time some work once, as on a machine that nobody else uses."""
    began, before = time.perf_counter(), time.process_time()
    work()
    wall, processor = time.perf_counter() - began, time.process_time() - before
    return wall if waits else min(wall, processor)


def _write(path: Path, content: bytes | memoryview) -> None:
    with replacing(path) as temporary, temporary.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())

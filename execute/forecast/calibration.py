"""Timing of functions, and of the basic operations from which costs are computed."""

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
    """Return the number of threads of matrix products in this process."""
    return max([1, *(library["num_threads"] for library in threadpool_info())])


def calibrate(folder: Path) -> Values:
    """Measure the rates of basic operations, in some seconds.

    Parameters
    ----------
    folder : Path
        A folder on the disk to measure; created if missing.

    Returns
    -------
    dict of str to float
        `float32` and `float64`, flop/s of matrix products; `eigh N`, seconds for an (N, N) matrix
        of float64; `memory`, bytes/s read while as many are written, and `gather`, the same row by
        row in random order; `sha256`, bytes/s; `write`, bytes/s to the disk; `file`, seconds to
        create a small file and flush it.
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
    """Return the seconds of work with all threads, or with one thread if that is quicker.

    One thread is quicker only where other processes keep the threads waiting.
    """
    with threadpool_limits(1):
        alone = minimum_time(work)
    return min(alone, minimum_time(work)) if n_threads() > 1 else alone


def minimum_time(work: Callable[[], object], waits: bool = False, enough: float = 0.5) -> float:
    """Return the shortest of several times of some work, as on a machine that nobody else uses.

    Work that does not wait for the disk cannot take longer than its processor time, which excludes
    the time of other processes. It is called once before, and then for `enough` seconds.
    """
    work()
    times: list[float] = []
    first = time.perf_counter()
    while len(times) < 3 or (time.perf_counter() - first < enough and len(times) < 100):
        times.append(elapsed_time(work, waits))
    return min(times)


def elapsed_time(work: Callable[[], object], waits: bool = False) -> float:
    """Return the seconds of one call of some work, as on a machine that nobody else uses."""
    start, before = time.perf_counter(), time.process_time()
    work()
    wall, processor = time.perf_counter() - start, time.process_time() - before
    return wall if waits else min(wall, processor)


def _write(path: Path, content: bytes | memoryview) -> None:
    with replacing(path) as temporary, temporary.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())

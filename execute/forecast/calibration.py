"""The speed of the basic operations from which costs are computed."""

import hashlib
import os
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from threadpoolctl import threadpool_info

from base import replacing
from execute.forecast.measure import Values, minimum_time

SIDE, EIGH_SIDE = 1536, 1024
BYTES = 128 << 20


def n_threads() -> int:
    """Return the number of threads of matrix products in this process."""
    return max([1, *(library["num_threads"] for library in threadpool_info())])


def calibrate(folder: Path) -> Values:
    """Measure the rates of basic operations, in some seconds.

    Returned are `float32`, flop/s of matrix products; `eigh 1024`, seconds for such a matrix of
    float64; `memory`, bytes/s read while as many are written; `sha256`, bytes/s; `write`, bytes/s
    to the disk of the folder, and `file`, seconds to create a small file there.
    """
    A = np.random.default_rng(0).standard_normal((SIDE, SIDE), np.float32)
    rates = {"float32": 2 * SIDE**3 / minimum_time(lambda: A @ A)}
    X = np.asarray(A[:, :EIGH_SIDE], np.float64)
    rates[f"eigh {EIGH_SIDE}"] = minimum_time(partial(np.linalg.eigh, X.T @ X))
    block = np.ones(BYTES // 4, np.float32)  # zeros would be one page
    rates["memory"] = BYTES / minimum_time(lambda: block + 1)
    rates["sha256"] = BYTES / minimum_time(lambda: hashlib.sha256(block.data))
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder, prefix=".disk-") as inside:
        write = partial(_write, Path(inside) / "file")
        rates["file"] = minimum_time(partial(write, b"0"), waits=True)
        rates["write"] = BYTES / minimum_time(partial(write, block.data.cast("B")), waits=True)
    return rates


def _write(path: Path, content: bytes | memoryview) -> None:
    with replacing(path) as temporary, temporary.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())

"""Rows in an HDF5 file with checksums of their own.

HDF5's fletcher32 takes longer than the reading itself: rows are stored contiguously, with an xxh3
checksum of each block in a second data set. Sparse rows, as after a ReLU, are compressed with
filters that every HDF5 has; dense rows would gain nothing.
"""

from collections.abc import Iterator
from itertools import chain
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from xxhash import xxh3_64_intdigest

from cache.hdf5 import put

CHECK_BYTES = 1 << 20
# The share of zeros above which rows are compressed.
SPARSE_SHARE = 0.4
Rows = NDArray[Any]


def write_rows(group: h5py.Group, n_rows: int, blocks: Iterator[Rows]) -> int:
    """Write at most `n_rows` rows and their checksums, a block in memory at a time.

    Each block is an array (n_block, n_columns). Return the number of rows in `blocks`.
    """
    first = next(blocks, None)
    if first is None:
        return 0
    row_bytes = first.dtype.itemsize * int(np.prod(first.shape[1:]))
    step = max(1, CHECK_BYTES // max(1, row_bytes))
    shape, checksums, start = (n_rows, *first.shape[1:]), [], 0
    options: dict[str, Any] = {}
    if 0 not in shape and np.mean(first == 0) > SPARSE_SHARE:
        chunks = (min(step, n_rows), *shape[1:])
        options = {"chunks": chunks, "compression": "gzip", "compression_opts": 1, "shuffle": True}
    features = group.create_dataset("features", shape, first.dtype, **options)
    for rows in _regroup(chain([first], blocks), step):
        features[start : start + len(rows)] = rows[: n_rows - start]
        checksums.append(xxh3_64_intdigest(rows.data))
        start += len(rows)
    put(group, "checksums", np.array([step, *checksums], np.uint64))
    return start


def _regroup(blocks: Iterator[Rows], step: int) -> Iterator[Rows]:
    """Yield the rows in blocks of `step` rows; the last may have fewer."""
    pending: list[Rows] = []
    for block in blocks:
        pending.append(block)
        if sum(map(len, pending)) < step:
            continue
        rows = np.concatenate(pending)
        whole = len(rows) // step * step
        yield from (rows[start : start + step] for start in range(0, whole, step))
        pending = [rows[whole:]]
    remainder = np.concatenate(pending)
    if len(remainder):
        yield remainder


class CheckedRows:
    """Reader of the rows of `write_rows`, which verifies the checksum of every block it reads."""

    def __init__(self, group: h5py.Group) -> None:
        self._features = group["features"]
        step, *self._expected = group["checksums"][()].tolist()
        self.step = int(step)
        self.shape: tuple[int, int] = self._features.shape
        self.dtype = self._features.dtype

    def read(self, start: int, stop: int, buffer: Rows | None = None) -> Rows:
        """Read all blocks that contain the rows from `start` to `stop`, (n_block_rows, n_columns).

        They are read into `buffer`, the result of an earlier call, if it is large enough:
        allocating memory takes longer than filling it.
        """
        first, last = start // self.step, -(-stop // self.step)
        n_rows = min(last * self.step, self.shape[0]) - first * self.step
        if buffer is None or len(buffer) < n_rows:
            buffer = np.empty((n_rows, self.shape[1]), self.dtype)
        rows = buffer[:n_rows]
        if rows.size:
            start_row = first * self.step
            self._features.read_direct(rows, np.s_[start_row : start_row + len(rows)])
        for block in range(first, last):
            offset = (block - first) * self.step
            if xxh3_64_intdigest(rows[offset : offset + self.step].data) != self._expected[block]:
                raise OSError(f"the checksum of the rows from {block * self.step} on is wrong")
        return rows

    def blocks(self, n_bytes: int, rows: NDArray[np.int64] | None = None) -> Iterator[slice]:
        """Yield slices of whole blocks of at most `n_bytes`, which cover `rows` or all rows."""
        n_rows, n_columns = self.shape
        block_bytes = max(1, self.step * n_columns * self.dtype.itemsize)
        step = max(1, n_bytes // block_bytes) * self.step
        low, high = (0, n_rows) if rows is None else (int(rows.min()), int(rows.max()) + 1)
        for start in range(low // self.step * self.step, high, step):
            yield slice(start, min(start + step, n_rows))

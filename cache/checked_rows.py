"""Rows in an HDF5 file with checksums of their own.

HDF5's fletcher32 takes longer than the reading itself: rows lie as they are, in one piece, with an
xxh3 of each block of them beside. Rows that are largely zeros, as after a ReLU, are compressed, by
filters that every HDF5 has; dense ones would gain nothing.
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
# The share of zeros from which rows are compressed.
SPARSE = 0.4
Rows = NDArray[Any]


def write_rows(group: h5py.Group, n_rows: int, blocks: Iterator[Rows]) -> int:
    """Write rows and their checksums.

    Parameters
    ----------
    blocks : iterator of array (some, n_columns)
        The rows; no more than a block is in memory. At most `n_rows` are written.
    """
    first = next(blocks, None)
    if first is None:
        return 0
    row_bytes = first.dtype.itemsize * int(np.prod(first.shape[1:]))
    step = max(1, CHECK_BYTES // max(1, row_bytes))
    shape, found, start = (n_rows, *first.shape[1:]), [], 0
    options: dict[str, Any] = {}
    if 0 not in shape and np.mean(first == 0) > SPARSE:
        chunks = (min(step, n_rows), *shape[1:])
        options = {"chunks": chunks, "compression": "gzip", "compression_opts": 1, "shuffle": True}
    features = group.create_dataset("features", shape, first.dtype, **options)
    for rows in _regrouped(chain([first], blocks), step):
        features[start : start + len(rows)] = rows[: n_rows - start]
        found.append(_checksum(rows))
        start += len(rows)
    put(group, "checksums", np.array([step, *found], np.uint64))
    return start


def _checksum(rows: Any) -> int:
    return xxh3_64_intdigest(rows)


def _regrouped(blocks: Iterator[Rows], step: int) -> Iterator[Rows]:
    """Cut blocks anew, so that each but the last has so many rows."""
    waiting: list[Rows] = []
    for block in blocks:
        waiting.append(block)
        if sum(map(len, waiting)) < step:
            continue
        rows = np.concatenate(waiting)
        whole = len(rows) // step * step
        yield from (rows[start : start + step] for start in range(0, whole, step))
        waiting = [rows[whole:]]
    rest = np.concatenate(waiting)
    if len(rest):
        yield rest


class CheckedRows:
    """Read rows, verifying the checksum of every block that is touched.

    Parameters
    ----------
    group : h5py.Group
        Where `write_rows` wrote.
    """

    def __init__(self, group: h5py.Group) -> None:
        self._features = group["features"]
        step, *self._expected = group["checksums"][()].tolist()
        self.step = int(step)
        self.shape: tuple[int, int] = self._features.shape
        self.dtype = self._features.dtype

    def read(self, start: int, stop: int, room: Rows | None = None) -> Rows:
        """Read a run of rows.

        Parameters
        ----------
        start, stop : int
            From and to which row; both are moved out to where blocks begin and end.
        room : array (more, n_columns), optional
            What an earlier call gave, to read into if it is large enough: fresh memory takes
            longer to get than to fill.

        Returns
        -------
        array (some, n_columns)
            The rows of all blocks that these rows are in.
        """
        first, last = start // self.step, -(-stop // self.step)
        n_rows = min(last * self.step, self.shape[0]) - first * self.step
        if room is None or len(room) < n_rows:
            room = np.empty((n_rows, self.shape[1]), self.dtype)
        rows = room[:n_rows]
        if rows.size:
            place = first * self.step
            self._features.read_direct(rows, np.s_[place : place + len(rows)])
        for number in range(first, last):
            inside = (number - first) * self.step
            if _checksum(rows[inside : inside + self.step]) != self._expected[number]:
                raise OSError(f"the checksum of rows {number * self.step} on is another")
        return rows

    def blocks(self, n_bytes: int, wanted: NDArray[np.int64] | None = None) -> Iterator[slice]:
        """Divide the rows into runs of whole blocks.

        Parameters
        ----------
        wanted : array of int, optional
            Only runs between the first and the last of these rows.
        """
        n_rows, n_columns = self.shape
        each = max(1, self.step * n_columns * self.dtype.itemsize)
        step = max(1, n_bytes // each) * self.step
        low, high = (0, n_rows) if wanted is None else (int(wanted.min()), int(wanted.max()) + 1)
        for start in range(low // self.step * self.step, high, step):
            yield slice(start, min(start + step, n_rows))

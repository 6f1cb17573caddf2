"""Files of feature rows: one row per picture, named by the sha256 of the picture's file.

A published space and each of its shards are such files. A published file is never changed.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from base import run_hint
from cache.checked_rows import CheckedRows, write_rows
from cache.errors import CacheError
from cache.hdf5 import check_schema, creating, get_json, put, put_json, put_schema, reading
from cache.key import canonical, digest

BLOCK_BYTES = 32 << 20
# Bytes read at once when rows are gathered in any order: they stay in the processor's cache.
GATHER_BYTES = 2 << 20
Part = tuple[NDArray[np.bytes_], Iterator[NDArray[Any]]]


def write_table(path: Path, meta: Mapping[str, Any], parts: Sequence[Part]) -> None:
    """Write a file of rows atomically, a block in memory at a time.

    A part is names as bytes of 64 hexadecimal digits, (n,), and an iterator over blocks
    (n_block, n_columns) that together have n rows.
    """
    names = np.concatenate([part_names for part_names, _ in parts])
    with creating(path) as file:
        put_schema(file, "features")
        put_json(file, "meta", meta)
        put(file, "pictures", names)
        n_rows = write_rows(file, len(names), chain.from_iterable(rows for _, rows in parts))
        if n_rows != len(names):
            raise CacheError(f"{path}: {len(names)} pictures were named and {n_rows} rows given")


def read_table_meta(path: Path, key: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Read the meta and sizes of a file of rows; check that it has the expected key, if any."""
    with reading(path) as file:
        check_schema(file, path, "features")
        meta = get_json(file, "meta")
        features = file["features"]
        meta.update(rows=features.shape[0], columns=features.shape[1], dtype=str(features.dtype))
        n_names = len(file["pictures"])
    meta["bytes"] = path.stat().st_size
    if n_names != meta["rows"]:
        raise CacheError(f"{path}: {n_names} pictures are named and {meta['rows']} rows stored")
    if key is not None and canonical(meta["key"]) != canonical(key):
        raise CacheError(
            f"{path}: holds features of another key ({digest(meta['key'])}, expected "
            f"{digest(key)}): it was renamed or copied here; delete it and extract again"
        )
    return meta


def row_names(path: Path) -> NDArray[np.bytes_]:
    """Read the sha256 of each row's picture, as hexadecimal bytes of shape (n_rows,)."""
    with reading(path) as file:
        check_schema(file, path, "features")
        names: NDArray[np.bytes_] = file["pictures"][()]
        return names


def all_rows(path: Path, keep: NDArray[np.bool_] | None = None) -> Iterator[NDArray[Any]]:
    """Yield the rows of a file, or those to keep, in verified blocks (n_block, n_columns)."""
    with reading(path) as file:
        features = CheckedRows(file)
        for run in features.blocks(BLOCK_BYTES):
            block = features.read(run.start, run.stop)
            yield block if keep is None else block[keep[run]]


def take_rows(path: Path, digests: Sequence[str]) -> NDArray[Any]:
    """Read the rows (n_images, n_columns) of pictures, in any order and with repeats."""
    # Names and rows are read from one opened file: a writer may replace the file at any time.
    with reading(path) as file:
        rows = _find_rows(file["pictures"][()], digests)
        absent = int((rows < 0).sum())
        if absent:
            meta = get_json(file, "meta")
            fix = f"run `{run_hint('features', spaces=[meta['name']])}` for these pictures"
            if "imported" in meta["key"]:
                fix = "import it again with rows for all pictures"
            raise CacheError(f"{path}: has no row for {absent} of {len(rows)} pictures: {fix}")
        return _gather(CheckedRows(file), rows)


def _find_rows(names: NDArray[np.bytes_], digests: Sequence[str]) -> NDArray[np.int64]:
    """Return the row of each picture, -1 if it has none."""
    requested = np.array(digests, "S64")
    if len(requested) == len(names) and bool((requested == names).all()):
        return np.arange(len(names))
    # Sorting and searching are several times faster for hashes than for the long names.
    if not len(names):
        return np.full(len(requested), -1)
    hashes = _hashes(names)
    order = np.argsort(hashes)
    positions = np.searchsorted(hashes, _hashes(requested), sorter=order)
    candidates = order[positions.clip(max=len(names) - 1)]
    return np.where(names[candidates] == requested, candidates, -1)


def _hashes(names: NDArray[np.bytes_]) -> NDArray[np.uint64]:
    words = np.ascontiguousarray(names).view(np.uint64).reshape(len(names), 8)
    numbers = np.random.default_rng(0).integers(0, 2**63, 8, np.uint64)
    odd_numbers = numbers * np.uint64(2) + np.uint64(1)
    hashes: NDArray[np.uint64] = (words * odd_numbers).sum(1, dtype=np.uint64)
    return hashes


def _gather(features: CheckedRows, rows: NDArray[np.int64]) -> NDArray[Any]:
    """Read rows in any order from whole blocks, far faster than by HDF5's lists of indices."""
    if len(rows) and bool((np.diff(rows) == 1).all()):
        block = features.read(int(rows[0]), int(rows[-1]) + 1)
        start = int(rows[0]) % features.step
        return block[start : start + len(rows)]
    order = np.argsort(rows, kind="stable")
    ascending = rows[order]
    gathered = np.empty((len(rows), features.shape[1]), features.dtype)
    buffer = None
    for run in features.blocks(GATHER_BYTES, rows) if len(rows) else ():
        low, high = np.searchsorted(ascending, (run.start, run.stop))
        if low < high:
            block = buffer = features.read(run.start, run.stop, buffer)
            gathered[order[low:high]] = block[ascending[low:high] - run.start]
    return gathered

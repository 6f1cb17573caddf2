"""A file of feature rows: one row per picture, named by the sha256 of the picture's file.

A published space and each of its shards are such files. A published file is never appended to.
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
# Of rows in any order, so much is read at once: it stays in the processor's cache.
GATHER_BYTES = 2 << 20
Part = tuple[NDArray[np.bytes_], Iterator[NDArray[Any]]]


def write_table(path: Path, meta: Mapping[str, Any], parts: Sequence[Part]) -> None:
    """Write a file of rows out of parts, whole or not at all; no more than a block is in memory.

    Parameters
    ----------
    path : Path
        The file; an older one is replaced in one step.
    parts : sequence of (names, blocks)
        Names as bytes of 64 hexadecimal digits, (n,), and an iterator over blocks of rows of
        shape (some, n_columns) that together are n rows.
    """
    names = np.concatenate([part_names for part_names, _ in parts])
    with creating(path) as opened:
        put_schema(opened, "features")
        put_json(opened, "meta", meta)
        put(opened, "pictures", names)
        given = write_rows(opened, len(names), chain.from_iterable(rows for _, rows in parts))
        if given != len(names):
            raise CacheError(f"{path}: {len(names)} pictures were named and {given} rows given")


def read_table_meta(path: Path, key: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Read what a file of rows is; check that it is of the key that its name says.

    Parameters
    ----------
    key : mapping, optional
        The key that is expected; by default any that fits the file's name.
    """
    with reading(path) as opened:
        check_schema(opened, path, "features")
        meta = get_json(opened, "meta")
        features = opened["features"]
        meta.update(rows=features.shape[0], columns=features.shape[1], dtype=str(features.dtype))
        named = len(opened["pictures"])
    meta["bytes"] = path.stat().st_size
    if named != meta["rows"]:
        raise CacheError(f"{path}: {named} pictures are named and {meta['rows']} rows stored")
    if key is not None and canonical(meta["key"]) != canonical(key):
        raise CacheError(
            f"{path}: holds features of another key ({digest(meta['key'])}, expected "
            f"{digest(key)}): it was renamed or copied here; delete it and extract again"
        )
    return meta


def row_names(path: Path) -> NDArray[np.bytes_]:
    """Read which pictures a file has rows of.

    Returns
    -------
    array of bytes (n_rows,)
        The sha256 of each row's picture, in hexadecimal.
    """
    with reading(path) as opened:
        check_schema(opened, path, "features")
        names: NDArray[np.bytes_] = opened["pictures"][()]
        return names


def all_rows(path: Path, keep: NDArray[np.bool_] | None = None) -> Iterator[NDArray[Any]]:
    """Go through the rows of a file in blocks, verifying the checksums.

    Parameters
    ----------
    keep : array of bool (n_rows,), optional
        Leave out the rows where it is false.

    Yields
    ------
    array (some, n_columns)
        Rows, in the file's order.
    """
    with reading(path) as opened:
        features = CheckedRows(opened)
        for run in features.blocks(BLOCK_BYTES):
            block = features.read(run.start, run.stop)
            yield block if keep is None else block[keep[run]]


def take_rows(path: Path, digests: Sequence[str]) -> NDArray[Any]:
    """Read the rows of pictures, in any order and with repeats.

    Returns
    -------
    array (n, n_columns)
        In the order asked for.
    """
    # Names and rows from one opening: a writer may put another file here at any time.
    with reading(path) as opened:
        rows = _places(opened["pictures"][()], digests)
        absent = int((rows < 0).sum())
        if absent:
            meta = get_json(opened, "meta")
            fix = f"run `{run_hint('features', spaces=[meta['name']])}` for these pictures"
            if "imported" in meta["key"]:
                fix = "import it again with rows for all pictures"
            raise CacheError(f"{path}: has no row for {absent} of {len(rows)} pictures: {fix}")
        return _gather(CheckedRows(opened), rows)


def _places(names: NDArray[np.bytes_], digests: Sequence[str]) -> NDArray[np.int64]:
    """Find the row of each picture; -1 where there is none."""
    wanted = np.array(digests, "S64")
    if len(wanted) == len(names) and bool((wanted == names).all()):
        return np.arange(len(names))
    # Names are long: mixed to a number each they are sorted and found some times faster.
    numbers = _mixed(names)
    order = np.argsort(numbers)
    at = np.searchsorted(numbers, _mixed(wanted), sorter=order).clip(max=max(0, len(names) - 1))
    found = order[at] if len(names) else np.full(len(wanted), -1)
    same = names[found] == wanted if len(names) else np.zeros(len(wanted), bool)
    return np.where(same, found, -1)


def _mixed(names: NDArray[np.bytes_]) -> NDArray[np.uint64]:
    words = np.ascontiguousarray(names).view(np.uint64).reshape(len(names), 8)
    odd = np.random.default_rng(0).integers(0, 2**63, 8, np.uint64) * np.uint64(2) + np.uint64(1)
    mixed: NDArray[np.uint64] = (words * odd).sum(1, dtype=np.uint64)
    return mixed


def _gather(features: CheckedRows, rows: NDArray[np.int64]) -> NDArray[Any]:
    """Read rows in any order, in whole blocks in the file's: HDF5's index lists are far slower."""
    if len(rows) and bool((np.diff(rows) == 1).all()):
        block = features.read(int(rows[0]), int(rows[-1]) + 1)
        start = int(rows[0]) % features.step
        return block[start : start + len(rows)]
    order = np.argsort(rows, kind="stable")
    ascending = rows[order]
    taken = np.empty((len(rows), features.shape[1]), features.dtype)
    room = None
    for run in features.blocks(GATHER_BYTES, rows) if len(rows) else ():
        low, high = np.searchsorted(ascending, (run.start, run.stop))
        if low < high:
            block = room = features.read(run.start, run.stop, room)
            taken[order[low:high]] = block[ascending[low:high] - run.start]
    return taken

"""A file of feature rows: one row per picture, named by the sha256 of the picture's file.

A published space and each of its shards are such files. A published file is never appended to.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from cache.errors import CacheError
from cache.hdf5 import check_schema, creating, get_json, put, put_json, put_schema, reading
from cache.key import canonical, digest

BLOCK_BYTES = 32 << 20
# The share of zeros from which rows are compressed.
SPARSE = 0.4
Part = tuple[NDArray[np.bytes_], Iterator[NDArray[Any]]]


def write_table(path: Path, meta: Mapping[str, Any], parts: Sequence[Part]) -> None:
    """Write a file of rows out of parts, whole or not at all; no more than a block is in memory.

    Rows that are largely zeros, as after a ReLU, are compressed; dense ones would gain nothing.

    Parameters
    ----------
    path : Path
        The file; an older one is replaced in one step.
    meta : mapping
        With at least `name` and `key`.
    parts : sequence of (names, blocks)
        Names as bytes of 64 hexadecimal digits, (n,), and an iterator over blocks of rows of
        shape (some, n_columns) that together are n rows.

    Raises
    ------
    CacheError
        If there are fewer or more rows than names.
    """
    names = np.concatenate([part_names for part_names, _ in parts])
    with creating(path) as opened:
        put_schema(opened, "features")
        put_json(opened, "meta", meta)
        put(opened, "pictures", names)
        start, features = 0, None
        for _, blocks in parts:
            for block in blocks:
                if features is None:
                    sparse = bool(np.mean(block == 0) > SPARSE)
                    features = put(opened, "features", block, len(names), compress=sparse)
                features[start : start + len(block)] = block
                start += len(block)
        if start != len(names):
            raise CacheError(f"{path}: {len(names)} pictures were named and {start} rows given")


def read_table_meta(path: Path, key: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Read what a file of rows is; check that it is of the key that its name says.

    Parameters
    ----------
    path : Path
        The file.
    key : mapping, optional
        The key that is expected; by default any that fits the file's name.

    Returns
    -------
    dict
        The meta, with `rows`, `columns`, `dtype` and `bytes` added.

    Raises
    ------
    CacheError
        If the file is damaged or of another key.
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

    Parameters
    ----------
    path : Path
        The file.

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
    path : Path
        The file.
    keep : array of bool (n_rows,), optional
        Leave out the rows where it is false.

    Yields
    ------
    array (some, n_columns)
        Rows, in the file's order.
    """
    with reading(path) as opened:
        features = opened["features"]
        for start, stop in _blocks(features):
            block = features[start:stop]
            yield block if keep is None else block[keep[start:stop]]


def take_rows(path: Path, digests: Sequence[str]) -> NDArray[Any]:
    """Read the rows of pictures, in any order and with repeats.

    Parameters
    ----------
    path : Path
        The file.
    digests : sequence of str
        The sha256 of each picture's file.

    Returns
    -------
    array (n, n_columns)
        In the order asked for.

    Raises
    ------
    CacheError
        If a picture has no row, or the file is damaged.
    """
    # Names and rows from one opening: a writer may put another file here at any time.
    with reading(path) as opened:
        index = {name: row for row, name in enumerate(opened["pictures"][()])}
        rows = np.array([index.get(d.encode(), -1) for d in digests], dtype=np.int64)
        absent = int((rows < 0).sum())
        if absent:
            raise CacheError(
                f"{path}: has no row for {absent} of {len(rows)} pictures: run "
                f'`make features SPACES="{get_json(opened, "meta")["name"]}"` for these pictures'
            )
        features = opened["features"]
        taken = np.empty((len(rows), features.shape[1]), features.dtype)
        order = np.argsort(rows, kind="stable")
        ordered = rows[order]
        # Whole blocks in the file's order: HDF5's own index lists are far slower.
        for start, stop in _blocks(features):
            first, last = np.searchsorted(ordered, [start, stop])
            if first < last:
                low, high = int(ordered[first]), int(ordered[last - 1]) + 1
                taken[order[first:last]] = features[low:high][ordered[first:last] - low]
        return taken


def _blocks(features: h5py.Dataset) -> Iterator[tuple[int, int]]:
    n_rows, n_columns = features.shape
    chunk = features.chunks[0] if features.chunks else max(1, n_rows)
    step = max(1, BLOCK_BYTES // max(1, chunk * n_columns * features.dtype.itemsize)) * chunk
    for start in range(0, n_rows, step):
        yield start, min(start + step, n_rows)

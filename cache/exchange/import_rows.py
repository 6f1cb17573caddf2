"""Numbers computed elsewhere become a feature space: checked, keyed by what they are, stored."""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from base import provenance, say, sha256_files
from cache.errors import CacheError
from cache.exchange.row_source import Source, naming
from cache.feature_store import Entry, FeatureStore
from cache.key_fields import some
from cache.locking import holding, lock_of

# What is kept as it is; other numbers become float32.
KEPT = ("float16", "float32", "uint8")
# Names are written beside one another with spaces, "+" and ","; a network's have a ":" or "/".
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,99}")


def check_name(name: str) -> None:
    """Refuse a name that a feature space of imported numbers cannot have."""
    if not NAME.fullmatch(name):
        raise CacheError(
            f"{name!r} cannot be the name of a feature space: expected a letter, then at most 99 "
            "letters, digits, _ . or -"
        )


def import_rows(
    store: FeatureStore, name: str, source: Source, digests: Sequence[str], replace: bool = False
) -> tuple[Path, int]:
    """Store the rows of a file as a feature space.

    Parameters
    ----------
    replace : bool
        Remove other imported numbers of that name, once these are whole.

    Returns
    -------
    path : Path
        The space's file. Other numbers have another key, and so another file.
    added : int
        How many rows were stored; the others were there already.
    """
    check_name(name)
    kept = _kept(source)
    marks = list(_marks(source, kept))
    rows = _distinct(source, digests, marks)
    key = {"schema": 1, "imported": {"name": name, "digest": _digest(rows)}, "dtype": str(kept)}
    about = {
        "origin": f"imported from {source.path.name}",
        "source": {"file": source.path.name, "sha256": sha256_files([source.path])[0]},
        **({"column_names": list(source.column_names)} if source.column_names else {}),
        "provenance": provenance(),
    }
    path = store.path(name, key)
    others = _others(store, name, path, replace)
    added = 0
    with store.writer(name, key, about) as writer:
        done = set(writer.stored())
        for numbers, block in _numbered(source, kept, marks):
            # A picture's first row; further ones are the same.
            places = {digest: n for n, digest in reversed(list(enumerate(digests[numbers])))}
            new = {digest: n for digest, n in places.items() if digest not in done}
            if new:
                writer.add(list(new), block[list(new.values())])
            done.update(new)
            added += len(new)
    for other in others:
        with holding(lock_of(other.path)):
            other.path.unlink()
        say(f"{other.path.stem}: replaced, and removed")
    return path, added


def _others(store: FeatureStore, name: str, path: Path, replace: bool) -> list[Entry]:
    """Find the spaces that have the name already; refuse those that may not be replaced."""
    others = [entry for entry in store.named(name) if entry.path != path]
    for entry in others:
        origin = entry.meta.get("origin", "unknown")
        if "imported" not in entry.meta["key"]:
            raise CacheError(
                f"{entry.path}: computed features have the name {name!r} (weights: {origin}); "
                "expected a name of its own for what is imported: choose another"
            )
        if not replace:
            raise CacheError(
                f"{entry.path}: other numbers have the name {name!r} ({origin}); give --replace to "
                "put these in their place, or another name"
            )
    return others


def _kept(source: Source) -> np.dtype:
    if source.dtype.name in KEPT:
        return np.dtype(source.dtype.name)
    if source.dtype.kind not in "biuf":
        raise CacheError(
            f"{source.path}: features of type {source.dtype}, expected real numbers: save them "
            "with array.astype('float32')"
        )
    return np.dtype(np.float32)


def _converted(source: Source, kept: np.dtype) -> Iterator[NDArray[Any]]:
    """Go through the rows as they will be kept."""
    seen = 0
    with naming(source.path, "the rows that its beginning announces"):
        for block in source.blocks():
            with np.errstate(over="ignore"):
                rows = np.ascontiguousarray(block, kept)
            bad = np.argwhere(~np.isfinite(rows))
            if len(bad):
                row, column = bad[0]
                raise CacheError(
                    _not_finite(source, len(bad), seen + row, column, block[row, column])
                )
            yield rows
            seen += len(rows)
    if seen != source.shape[0]:
        raise CacheError(
            f"{source.path}: {seen} rows, expected {source.shape[0]}, one for each name: the file "
            "was cut short or changed while it was read; save it again"
        )


def _not_finite(source: Source, count: int, row: int, column: int, value: object) -> str:
    called = repr(source.column_names[column]) if source.column_names else str(column)
    return (
        f"{source.path}: {count} values are missing, not finite or beyond float32 (first: {value} "
        f"for picture {source.names[row]}, column {called}); expected finite numbers: remove these "
        "rows, or fill them in"
    )


def _mark(row: NDArray[Any]) -> bytes:
    return hashlib.sha256(row.tobytes()).digest()


def _marks(source: Source, kept: np.dtype) -> Iterator[bytes]:
    for block in _converted(source, kept):
        yield from map(_mark, block)


def _numbered(
    source: Source, kept: np.dtype, marks: Sequence[bytes]
) -> Iterator[tuple[slice, NDArray[Any]]]:
    """Go through the rows again; a row that has changed meanwhile is never stored."""
    start = 0
    for block in _converted(source, kept):
        numbers = slice(start, start + len(block))
        if [_mark(row) for row in block] != list(marks[numbers]):
            raise CacheError(f"{source.path}: changed while it was read: import it again")
        yield numbers, block
        start += len(block)


def _distinct(
    source: Source, digests: Sequence[str], marks: Sequence[bytes]
) -> Mapping[str, bytes]:
    """Take one row of each picture: several names may be of the same, with the same numbers."""
    rows: dict[str, bytes] = {}
    differing = []
    for name, digest, mark in zip(source.names, digests, marks, strict=True):
        if rows.setdefault(digest, mark) != mark:
            differing.append(name)
    if differing:
        raise CacheError(
            f"{source.path}: {len(differing)} rows are of pictures that have a row with other "
            f"numbers before ({some(differing)}); expected one row for each picture: remove one"
        )
    if len(rows) < len(digests):
        say(
            f"{source.path}: {len(digests) - len(rows)} rows are of pictures that have another row "
            "with the same numbers under another name; each is stored once"
        )
    return rows


def _digest(rows: Mapping[str, bytes]) -> str:
    """Digest rows, in whatever order they came."""
    total = hashlib.sha256()
    for digest, mark in sorted(rows.items()):
        total.update(digest.encode() + mark)
    return total.hexdigest()[:32]

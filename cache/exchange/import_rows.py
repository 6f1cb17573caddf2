"""Import features computed elsewhere as a feature space, keyed by the digest of their rows."""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from base import provenance, say, sha256_files
from cache.errors import CacheError
from cache.exchange.array_files import read_npy, read_npz
from cache.exchange.row_source import Source, translate_errors
from cache.exchange.table_files import read_csv, read_parquet
from cache.feature_store import Entry, FeatureStore
from cache.key import first_names
from cache.locking import holding, lock_path

# Types that are stored unchanged; other numbers become float32.
STORED_DTYPES = ("float16", "float32", "uint8")
# Names are joined with spaces, "+" and "," elsewhere; those of networks have a ":" or "/".
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,99}")
READERS: dict[str, Callable[[Path], Source]] = {
    ".npy": read_npy,
    ".npz": read_npz,
    ".csv": read_csv,
    ".parquet": read_parquet,
}


def check_name(name: str) -> None:
    """Check that a name is valid for a feature space of imported numbers."""
    if not NAME.fullmatch(name):
        raise CacheError(
            f"{name!r} cannot be the name of a feature space: expected a letter, then at most 99 "
            "letters, digits, _ . or -"
        )


def open_source(path: Path) -> Source:
    """Open a file of rows, by its suffix; errors while reading are `CacheError` with its name."""
    if path.suffix not in READERS:
        raise CacheError(f"{path}: suffix {path.suffix!r}, expected one of {', '.join(READERS)}")
    if not path.is_file():
        raise CacheError(f"{path}: there is no such file")
    source = READERS[path.suffix](path)
    if len(source.names) != source.shape[0]:
        raise CacheError(
            f"{path}: {source.shape[0]} rows and {len(source.names)} names of pictures, expected "
            "one name for each row: correct one of them"
        )
    duplicates = sorted(name for name, count in Counter(source.names).items() if count > 1)
    if duplicates:
        raise CacheError(
            f"{path}: {len(duplicates)} pictures have more than one row "
            f"({first_names(duplicates)}); expected one each: remove the others"
        )
    return source


def import_rows(
    store: FeatureStore, name: str, source: Source, digests: Sequence[str], replace: bool = False
) -> tuple[Path, int]:
    """Store the rows of a file as a feature space; return its file and the number of new rows.

    With `replace`, other imported numbers of that name are removed once these are stored. The key
    is that of the numbers, so that other numbers have another file.
    """
    check_name(name)
    dtype = _stored_dtype(source)
    row_digests = [_row_digest(row) for block in _convert(source, dtype) for row in block]
    rows = _unique_rows(source, digests, row_digests)
    # It does not depend on the order of the rows.
    total = hashlib.sha256()
    for digest, row_digest in sorted(rows.items()):
        total.update(digest.encode() + row_digest)
    identity = {"name": name, "digest": total.hexdigest()[:32]}
    key = {"schema": 1, "imported": identity, "dtype": str(dtype)}
    details = {
        "origin": f"imported from {source.path.name}",
        "source": {"file": source.path.name, "sha256": sha256_files([source.path])[0]},
        **({"column_names": list(source.column_names)} if source.column_names else {}),
        "provenance": provenance(),
    }
    path = store.path(name, key)
    replaced = _entries_to_replace(store, name, path, replace)
    added = 0
    with store.writer(name, key, details) as writer:
        stored_digests = set(writer.stored_digests())
        for span, block in _read_again(source, dtype, row_digests):
            # The first row of each picture; further rows of it are equal.
            positions = {digest: n for n, digest in reversed(list(enumerate(digests[span])))}
            new = {digest: n for digest, n in positions.items() if digest not in stored_digests}
            if new:
                writer.add(list(new), block[list(new.values())])
            stored_digests.update(new)
            added += len(new)
    for entry in replaced:
        with holding(lock_path(entry.path)):
            entry.path.unlink()
        say(f"{entry.path.stem}: replaced, and removed")
    return path, added


def _entries_to_replace(store: FeatureStore, name: str, path: Path, replace: bool) -> list[Entry]:
    """Return the other spaces of a name, after checking that they may be replaced."""
    entries = [entry for entry in store.entries_named(name) if entry.path != path]
    for entry in entries:
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
    return entries


def _stored_dtype(source: Source) -> np.dtype:
    if source.dtype.name in STORED_DTYPES:
        return np.dtype(source.dtype.name)
    if source.dtype.kind not in "biuf":
        raise CacheError(
            f"{source.path}: features of type {source.dtype}, expected real numbers: save them "
            "with array.astype('float32')"
        )
    return np.dtype(np.float32)


def _convert(source: Source, dtype: np.dtype) -> Iterator[NDArray[Any]]:
    """Yield blocks of rows, of the type in which they are stored, after checking their values."""
    n_rows = 0
    with translate_errors(source.path, "the rows that its beginning announces"):
        for block in source.blocks():
            with np.errstate(over="ignore"):
                rows = np.ascontiguousarray(block, dtype)
            bad = np.argwhere(~np.isfinite(rows))
            if len(bad):
                row, column = bad[0]
                label = repr(source.column_names[column]) if source.column_names else column
                raise CacheError(
                    f"{source.path}: {len(bad)} values are missing, not finite or beyond float32 "
                    f"(first: {block[row, column]} for picture {source.names[n_rows + row]}, "
                    f"column {label}); expected finite numbers: remove these rows, or fill them in"
                )
            yield rows
            n_rows += len(rows)
    if n_rows != source.shape[0]:
        raise CacheError(
            f"{source.path}: {n_rows} rows, expected {source.shape[0]}, one for each name: the "
            "file was cut short or changed while it was read; save it again"
        )


def _row_digest(row: NDArray[Any]) -> bytes:
    return hashlib.sha256(row.tobytes()).digest()


def _read_again(
    source: Source, dtype: np.dtype, row_digests: Sequence[bytes]
) -> Iterator[tuple[slice, NDArray[Any]]]:
    """Yield the rows again with their positions; a row that has changed meanwhile is an error."""
    start = 0
    for block in _convert(source, dtype):
        span = slice(start, start + len(block))
        if [_row_digest(row) for row in block] != list(row_digests[span]):
            raise CacheError(f"{source.path}: changed while it was read: import it again")
        yield span, block
        start += len(block)


def _unique_rows(
    source: Source, digests: Sequence[str], row_digests: Sequence[bytes]
) -> Mapping[str, bytes]:
    """Return the row digest of each picture; several rows of a picture must be equal."""
    rows: dict[str, bytes] = {}
    differing = []
    for name, digest, row_digest in zip(source.names, digests, row_digests, strict=True):
        if rows.setdefault(digest, row_digest) != row_digest:
            differing.append(name)
    if differing:
        raise CacheError(
            f"{source.path}: {len(differing)} rows are of pictures that have a row with other "
            f"numbers before ({first_names(differing)}); expected one row for each picture: remove "
            "one"
        )
    if len(rows) < len(digests):
        say(
            f"{source.path}: {len(digests) - len(rows)} rows are of pictures that have another row "
            "with the same numbers under another name; each is stored once"
        )
    return rows

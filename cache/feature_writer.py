"""Writers of a feature space: shards published by rename, merged at the end, kept after a kill."""

import errno
import re
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from base import say
from cache.errors import CacheError
from cache.feature_table import Part, all_rows, read_table_meta, row_names, write_table
from cache.locking import holding, lock_path

# A shard is published at this number of rows or bytes, or this time after the previous one.
SHARD_ROWS = 256
SHARD_BYTES = 64 << 20
SHARD_SECONDS = 60.0
# Errors of the system for a folder that can only be read.
READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)


class ShardWriter:
    """Writer of shards of a space that another process has open."""

    def __init__(self, path: Path, meta: Mapping[str, Any]) -> None:
        self.path = path
        self.meta = dict(meta)
        self.shards = path.with_suffix(".shards")
        self._names: list[str] = []
        # Memory for a shard, allocated once: rows between the blocks that a network allocates and
        # frees would fragment the heap, which then grows.
        self._buffer: NDArray[Any] = np.empty(0)
        self._published = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def add(self, digests: Sequence[str], rows: NDArray[Any]) -> None:
        """Add finite rows (n, n_columns) of pictures that have none yet, named by their sha256."""
        if len(digests) != len(rows) or not all(re.fullmatch("[0-9a-f]{64}", d) for d in digests):
            raise CacheError(f"{self.path}: rows must be named by one sha256 each")
        bad = ~np.isfinite(rows).all(axis=1)
        if bad.any():
            raise CacheError(
                f"{self.path}: the features of {int(bad.sum())} pictures are not finite (first: "
                f"sha256 {digests[int(np.argmax(bad))]}): nothing was stored for them; with mixed "
                "precision, try --precision float32"
            )
        rows = np.ascontiguousarray(rows)
        self._prepare_buffer(rows)
        if len(rows) >= len(self._buffer):
            self._write(digests, rows)
            return
        self._buffer[len(self._names) : len(self._names) + len(rows)] = rows
        self._names.extend(digests)
        is_due = time.monotonic() - self._published >= SHARD_SECONDS
        if is_due or len(self._names) == len(self._buffer):
            self._publish()

    def _prepare_buffer(self, rows: NDArray[Any]) -> None:
        row, buffer_row = rows[:0], self._buffer[:0]
        fits = (row.shape, row.dtype) == (buffer_row.shape, buffer_row.dtype)
        if not fits or len(rows) > len(self._buffer) - len(self._names):
            self._publish()
        if not fits:
            n_rows = max(1, min(SHARD_ROWS, SHARD_BYTES // max(1, rows[:1].nbytes)))
            self._buffer = np.empty((n_rows, *rows.shape[1:]), rows.dtype)

    def _publish(self) -> None:
        if self._names:
            self._write(self._names, self._buffer[: len(self._names)])
            self._names = []
        self._published = time.monotonic()

    def _write(self, names: Sequence[str], rows: NDArray[Any]) -> None:
        part: Part = (np.array(names, dtype="S64"), iter([rows]))
        write_table(self.shards / f"shard-{uuid4().hex[:12]}.h5", self.meta, [part])

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # After Ctrl-C or a bad picture, the rows computed so far are stored too; on a full disk
        # this would only fail again.
        if not isinstance(error, OSError):
            self._publish()


class FeatureWriter(ShardWriter):
    """Writer of a space, a context manager; its meta has `name`, `key`, and the origin.

    Rows are published in shards of some hundreds, so that a kill loses at most the last of them;
    leaving the block merges the shards and the older file into one new file. Only one process
    writes a space at a time, alone or with `ShardWriter` in its child processes: a second one
    waits, and then finds the rows stored.
    """

    def __init__(self, path: Path, meta: Mapping[str, Any]) -> None:
        super().__init__(path, meta)
        self._lock = ExitStack()
        self._write_error: OSError | None = None

    def __enter__(self) -> Self:
        try:
            self._lock.enter_context(holding(lock_path(self.path)))
        except OSError as error:
            if error.errno not in READ_ONLY or not self.path.exists():
                raise
            # A cache that can only be read is enough if it has every row.
            self._write_error = error
            return self
        self.shards.mkdir(exist_ok=True)
        self._remove_leftovers()
        return self

    def add(self, digests: Sequence[str], rows: NDArray[Any]) -> None:
        """Add rows as `ShardWriter` does; raise an OSError if the cache can only be read."""
        if self._write_error is not None:
            raise self._write_error
        super().add(digests, rows)

    def stored_digests(self) -> set[str]:
        """Return the sha256 of the pictures that have a row, in the file or in a shard.

        A damaged shard is deleted with a message, and its pictures are not returned, so that they
        are computed again.
        """
        digests = self._verified_digests(self.path) if self.path.exists() else set()
        # In a cache that can only be read, shards cannot be merged.
        for shard in self._shard_files() if self._write_error is None else ():
            try:
                digests |= self._verified_digests(shard)
            except CacheError as error:
                say(f"{error}; its pictures are computed again")
                shard.unlink()
        return digests

    def _verified_digests(self, path: Path) -> set[str]:
        read_table_meta(path, self.meta["key"])
        # Without this, a damaged row would be noticed only when a model is fitted on it.
        for _ in all_rows(path):
            pass
        return {name.decode() for name in row_names(path)}

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            super().__exit__(kind, error, trace)
            if kind is None and self._write_error is None:
                self._merge()
        finally:
            self._lock.close()

    def _merge(self) -> None:
        shards = self._shard_files()
        sources = [self.path, *shards] if self.path.exists() else shards
        merged: set[bytes] = set()
        parts: list[Part] = []
        for source in sources:
            names = row_names(source)
            # After a kill between the merge and the removal of shards, a row is in both.
            new = np.array([name not in merged for name in names], dtype=bool)
            merged.update(names)
            parts.append((names[new], all_rows(source, new)))
        if shards:
            write_table(self.path, self.meta, parts)
        shutil.rmtree(self.shards)

    def _shard_files(self) -> list[Path]:
        return sorted(self.shards.glob("shard-*.h5"))

    def _remove_leftovers(self) -> None:
        # This process holds the lock, so temporary files are those of killed writers. Temporary
        # shards may also be those of running jobs, unless they are an hour old.
        for leftover in self.shards.glob(".shard-*.h5"):
            if time.time() - leftover.stat().st_mtime > 3600:
                leftover.unlink()
        for leftover in self.path.parent.glob(f".{self.path.stem}-*.h5"):
            leftover.unlink()

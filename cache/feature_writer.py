"""Writing a feature space: shards published by rename, merged at the end, resumed after a kill."""

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
from cache.locking import acquire, lock_of

# A shard is published when it holds so much, or so many seconds after the one before it.
SHARD_ROWS = 256
SHARD_BYTES = 64 << 20
SHARD_SECONDS = 60.0
# What the system says where nothing may be written.
READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)


class ShardWriter:
    """Add rows to a space that another process has open, in shards of its own.

    Parameters
    ----------
    path : Path
        The space's file.
    meta : mapping
        With `name`, `key`, and what the features were made from.
    """

    def __init__(self, path: Path, meta: Mapping[str, Any]) -> None:
        self.path = path
        self.meta = dict(meta)
        self.shards = path.with_suffix(".shards")
        self._names: list[str] = []
        # Room for a shard, made once: rows that live on among the blocks that a network takes and
        # frees would break up the heap, which then grows.
        self._room: NDArray[Any] = np.empty(0)
        self._published = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def add(self, digests: Sequence[str], rows: NDArray[Any]) -> None:
        """Add rows of pictures that have none yet.

        Parameters
        ----------
        digests : sequence of str
            The sha256 of each picture's file.
        rows : array (n, n_columns)
            Their features, finite.

        Raises
        ------
        CacheError
            If a value is not finite, or a name is not a sha256.
        """
        if len(digests) != len(rows) or not all(re.fullmatch("[0-9a-f]{64}", d) for d in digests):
            raise CacheError(f"{self.path}: rows must be named by one sha256 each")
        bad = ~np.isfinite(rows).all(axis=1)
        if bad.any():
            raise CacheError(
                f"{self.path}: the features of {int(bad.sum())} pictures are not finite (first: "
                f"sha256 {digests[int(np.argmax(bad))]}): nothing was stored for them; with mixed "
                "precision, try --precision float32"
            )
        self._make_room(rows)
        if len(rows) >= len(self._room):
            self._write(digests, rows)
            return
        self._room[len(self._names) : len(self._names) + len(rows)] = rows
        self._names.extend(digests)
        late = time.monotonic() - self._published >= SHARD_SECONDS
        if late or len(self._names) == len(self._room):
            self._publish()

    def _make_room(self, rows: NDArray[Any]) -> None:
        kind = (rows.shape[1:], rows.dtype)
        same = kind == (self._room.shape[1:], self._room.dtype)
        if not same or len(rows) > len(self._room) - len(self._names):
            self._publish()
        if not same:
            n_rows = max(1, min(SHARD_ROWS, SHARD_BYTES // max(1, rows[:1].nbytes)))
            self._room = np.empty((n_rows, *kind[0]), kind[1])

    def _publish(self) -> None:
        if self._names:
            self._write(self._names, self._room[: len(self._names)])
            self._names = []
        self._published = time.monotonic()

    def _write(self, names: Sequence[str], rows: NDArray[Any]) -> None:
        part: Part = (_encode(names), iter([rows]))
        write_table(self.shards / f"shard-{uuid4().hex[:12]}.h5", self.meta, [part])

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # After Ctrl-C or a bad picture, what was computed so far is kept too; a full disk
        # would only fail again.
        if not isinstance(error, OSError):
            self._publish()


class FeatureWriter(ShardWriter):
    """Add rows to a space; use it as a context manager.

    Rows are published in shards of some hundreds as they come, so that a kill loses at most the
    last of them; leaving the block merges shards and the older file into one new file. Only one
    process writes a space at a time, alone or with `ShardWriter` in processes that it started: a
    second one waits, and then finds the work done.

    Parameters
    ----------
    path : Path
        The space's file.
    meta : mapping
        With `name`, `key`, and what the features were made from.
    """

    def __init__(self, path: Path, meta: Mapping[str, Any]) -> None:
        super().__init__(path, meta)
        self._lock: ExitStack | None = None
        self._refused: OSError | None = None

    def __enter__(self) -> Self:
        try:
            self._lock = acquire(lock_of(self.path))
        except OSError as error:
            if error.errno not in READ_ONLY or not self.path.exists():
                raise
            # A cache that others may only read serves where it has every row.
            self._refused = error
            return self
        self.shards.mkdir(exist_ok=True)
        self._remove_leftovers()
        return self

    def add(self, digests: Sequence[str], rows: NDArray[Any]) -> None:
        """Add rows of pictures that have none yet.

        Parameters
        ----------
        digests : sequence of str
            The sha256 of each picture's file.
        rows : array (n, n_columns)
            Their features, finite.

        Raises
        ------
        OSError
            If the cache can only be read.
        """
        if self._refused is not None:
            raise self._refused
        super().add(digests, rows)

    def stored(self) -> set[str]:
        """Say which pictures have a row already, in the file or in a shard.

        Returns
        -------
        set of str
            Their sha256 digests. A damaged shard is deleted with a word, and its pictures are
            not among them: they will be computed again.

        Raises
        ------
        CacheError
            If the file is damaged, or of another key.
        """
        found: set[str] = set()
        if self.path.exists():
            read_table_meta(self.path, self.meta["key"])
            # A damaged row would be found only when it is fitted on, after the work is done.
            for _ in all_rows(self.path):
                pass
            found.update(_decode(row_names(self.path)))
        # Shards that nobody can merge are of no use.
        for shard in self._shard_files() if self._refused is None else ():
            try:
                read_table_meta(shard, self.meta["key"])
                for _ in all_rows(shard):
                    pass
                found.update(_decode(row_names(shard)))
            except CacheError as error:
                say(f"{error}; its pictures are computed again")
                shard.unlink()
        return found

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            super().__exit__(kind, error, trace)
            if kind is None and self._refused is None:
                self._merge()
        finally:
            if self._lock is not None:
                self._lock.close()

    def _merge(self) -> None:
        shards = self._shard_files()
        sources = [self.path, *shards] if self.path.exists() else shards
        seen: set[bytes] = set()
        parts: list[Part] = []
        for source in sources:
            names = row_names(source)
            # Killed between the rename and the removal of shards, a row stands in both.
            new = np.array([name not in seen for name in names], dtype=bool)
            seen.update(names)
            parts.append((names[new], all_rows(source, new)))
        if shards:
            write_table(self.path, self.meta, parts)
        shutil.rmtree(self.shards)

    def _shard_files(self) -> list[Path]:
        return sorted(self.shards.glob("shard-*.h5"))

    def _remove_leftovers(self) -> None:
        # Temporary files of writers that were killed: this process holds the lock. Shards are also
        # written by jobs of a command that has ended; an hour old, nobody writes them.
        for left in self.shards.glob(".shard-*.h5"):
            if time.time() - left.stat().st_mtime > 3600:
                left.unlink()
        for left in self.path.parent.glob(f".{self.path.stem}-*.h5"):
            left.unlink()


def _encode(names: Sequence[str]) -> NDArray[np.bytes_]:
    return np.array(names, dtype="S64")


def _decode(names: NDArray[np.bytes_]) -> list[str]:
    return [name.decode() for name in names]

"""HDF5 files with checksums on data and metadata, and with errors that name the file."""

import errno
import fcntl
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from base import DocumentError, parse_json, replacing
from cache.errors import CacheError, InUseError

# The schema of each kind of file.
SCHEMAS = {"features": 2, "artifact": 1}
CHUNK_BYTES = 1 << 20
# From 1.10 on, HDF5 keeps checksums of its own metadata; fletcher32 adds those of the data.
FORMAT = ("v110", "v110")


class _GuardedFile:
    """A file for HDF5 that hides failures of writing from HDF5, and keeps the first in `error`.

    HDF5 keeps data that it could not write, as on a full disk, tries again at exit, and then
    crashes the process. Here all data after the first failure are discarded, and the caller raises
    the error when HDF5 has closed the file.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("w+b", buffering=0)
        self.error: OSError | None = None
        self.seek, self.tell, self.read = self._file.seek, self._file.tell, self._file.read
        self.readinto, self.close = self._file.readinto, self._file.close

    def write(self, block: Any) -> int:
        view = memoryview(block).cast("B")
        size = len(view)
        while len(view) and self.error is None:
            view = view[self._try(self._file.write, view) :]
        return size

    def truncate(self, size: int) -> None:
        self._try(self._file.truncate, size)

    def flush(self) -> None:
        """Return at once, since writes are not buffered."""

    def _try(self, work: Callable[[Any], int | None], argument: Any) -> int:
        if self.error is None:
            try:
                return work(argument) or 0
            except OSError as error:
                self.error = error
        return 0


@contextmanager
def creating(path: Path) -> Iterator[h5py.File]:
    """Open a new file for writing, which appears under its name only when it is complete."""
    with replacing(path) as temporary:
        guarded = _GuardedFile(temporary)
        try:
            with h5py.File(guarded, "w", libver=FORMAT) as file:
                yield file
        finally:
            guarded.close()
            if guarded.error is not None:
                raise guarded.error


@contextmanager
def reading(
    path: Path, fix: str = "delete it and run the command that made it again"
) -> Iterator[h5py.File]:
    """Open a file for reading, and translate errors while reading into a `CacheError`."""
    try:
        # locking=False: published files never change, and some file systems refuse locks.
        with h5py.File(path, "r", locking=False) as file:
            yield file
    except FileNotFoundError:
        raise CacheError(f"{path}: there is no such file") from None
    except (OSError, KeyError, RuntimeError, ValueError, TypeError, DocumentError) as error:
        if _is_locked(path):
            raise InUseError(
                f"{path}: is in use: another program has it open for writing; close it there (a "
                "notebook, a viewer, h5py.File with 'a' or 'r+'), and run the command again"
            ) from error
        if "already open for write" in str(error):
            raise InUseError(
                f"{path}: is in use on another machine, or the program that had it open for "
                "writing was killed: close it there; if no program has it open any more, "
                f"`h5clear --status {path}` (of HDF5's tools) or a copy of it helps, or {fix}"
            ) from error
        raise CacheError(
            f"{path}: damaged or cut short ({str(error)[:120]}); expected a whole HDF5 file with "
            f"valid checksums: {fix}"
        ) from error


def _is_locked(path: Path) -> bool:
    """Return whether a program holds the lock that HDF5 takes for writing."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        # Other errors are those of file systems without locks.
        return error.errno in (errno.EAGAIN, errno.EACCES)
    return False


def put(group: h5py.Group, name: str, array: NDArray[Any]) -> h5py.Dataset:
    """Write an array in chunks of whole rows, with checksums."""
    array = np.asarray(array)
    shape = array.shape
    if not shape:
        return _put_number(group, name, array)
    if 0 in shape:
        return group.create_dataset(name, shape=shape, dtype=array.dtype)
    row_bytes = max(1, array.dtype.itemsize * int(np.prod(shape[1:])))
    chunks = (max(1, min(shape[0], CHUNK_BYTES // row_bytes)), *shape[1:])
    return group.create_dataset(
        name, shape=shape, dtype=array.dtype, data=array, chunks=chunks, fletcher32=True
    )


def _put_number(group: h5py.Group, name: str, number: NDArray[Any]) -> h5py.Dataset:
    # A single number cannot be chunked: it is stored in the metadata, which have checksums.
    compact = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    compact.set_layout(h5py.h5d.COMPACT)
    kind, space = h5py.h5t.py_create(number.dtype), h5py.h5s.create(h5py.h5s.SCALAR)
    dataset = h5py.Dataset(h5py.h5d.create(group.id, name.encode(), kind, space, compact))
    dataset[()] = number
    return dataset


def put_json(group: h5py.Group, name: str, value: Mapping[str, Any]) -> None:
    """Write a mapping as JSON text, with a checksum."""
    text = json.dumps(value, sort_keys=True, allow_nan=False).encode()
    put(group, name, np.frombuffer(text, np.uint8))


def get_json(group: h5py.Group, name: str) -> dict[str, Any]:
    """Read a mapping that `put_json` wrote."""
    value: dict[str, Any] = parse_json(group[name][()].tobytes(), name)
    return value


def put_schema(file: h5py.File, kind: str) -> None:
    """Write the kind and schema of a file as attributes."""
    # Text of fixed length: that of variable length is in a heap without a checksum, where one
    # flipped byte sends HDF5 into an endless loop.
    file.attrs.update(kind=np.bytes_(kind), schema=SCHEMAS[kind])


def check_schema(file: h5py.File, path: Path, kind: str) -> None:
    """Check that this version of the program wrote a file, and that it is of some kind."""
    header = file.attrs.get("kind"), file.attrs.get("schema")
    if header != (kind.encode(), SCHEMAS[kind]):
        raise CacheError(
            f"{path}: found kind {_text(header[0])} with schema {header[1]}, expected kind {kind} "
            f"with schema {SCHEMAS[kind]}: it is not from this version of roiridge; delete it and "
            "make it again"
        )


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)

"""Sources of features computed elsewhere: files of rows, which are read in blocks."""

import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from cache.errors import CacheError

BLOCK_BYTES = 64 << 20
PICTURE = "picture"
# Errors of NumPy, pandas, pyarrow and zipfile for a damaged file.
FAULTS = (EOFError, KeyError, OSError, RuntimeError, TypeError, ValueError, BadZipFile, zlib.error)


@dataclass(frozen=True)
class Source:
    """A file of rows."""

    path: Path
    names: tuple[str, ...]  # the picture of each row, as named in the file
    shape: tuple[int, int]  # (n_rows, n_columns)
    dtype: np.dtype
    # Returns an iterator over blocks of rows, (n_block, n_columns), in order. It can be called
    # several times, so that the whole file is never in memory.
    blocks: Callable[[], Iterator[NDArray[Any]]]
    column_names: tuple[str, ...] = ()  # empty if the file has none


def table_shape(path: Path, shape: Sequence[int]) -> tuple[int, int]:
    """Return the shape of an array as (n_rows, n_columns)."""
    if len(shape) not in {1, 2} or 0 in shape:
        raise CacheError(
            f"{path}: features of shape {tuple(shape)}, expected (n_rows, n_columns) with at least "
            "one of each: save an array as array.reshape(n_rows, -1)"
        )
    return shape[0], shape[1] if len(shape) == 2 else 1


@contextmanager
def translate_errors(path: Path, expected: str) -> Iterator[None]:
    """Translate errors while a file is read into a `CacheError` with the expected content."""
    try:
        yield
    except FAULTS as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # Errors of the system name the file, or the full disk, themselves.
        reason = " ".join(str(error).split())[:160]
        raise CacheError(
            f"{path}: cannot be read ({reason}); expected {expected}: save it again"
        ) from error


def block_ranges(shape: tuple[int, int], itemsize: int) -> Iterator[tuple[int, int]]:
    """Yield the first and last row (exclusive) of each block."""
    step = max(1, BLOCK_BYTES // max(1, shape[1] * itemsize))
    for start in range(0, shape[0], step):
        yield start, min(start + step, shape[0])

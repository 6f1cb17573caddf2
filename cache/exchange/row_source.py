"""Numbers computed elsewhere: rows of pictures in a file, to be gone through in blocks."""

import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cache.errors import CacheError

BLOCK_BYTES = 64 << 20
PICTURE = "picture"
# What NumPy, pandas, pyarrow and zipfile make of a file that is not what it should be.
FAULTS = (
    EOFError,
    KeyError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)


@dataclass(frozen=True)
class Source:
    """A file of rows.

    Attributes
    ----------
    path : Path
        The file.
    names : tuple of str
        The picture of each row, as the file has it.
    shape : tuple of int
        (n_rows, n_columns).
    dtype : np.dtype
        Of the numbers in the file.
    blocks : callable
        Starts an iterator over blocks of rows, (some, n_columns), in order; more than one can be
        started, so that nothing of the file's size is held in memory.
    column_names : tuple of str
        What the columns are called; empty where the file does not say.
    """

    path: Path
    names: tuple[str, ...]
    shape: tuple[int, int]
    dtype: np.dtype
    blocks: Callable[[], Iterator[NDArray[Any]]]
    column_names: tuple[str, ...] = ()


def two_dimensional(path: Path, shape: Sequence[int]) -> tuple[int, int]:
    """Take an array's shape as rows and columns."""
    if len(shape) not in {1, 2} or 0 in shape:
        raise CacheError(
            f"{path}: features of shape {tuple(shape)}, expected (n_rows, n_columns) with at least "
            "one of each: save an array as array.reshape(n_rows, -1)"
        )
    return shape[0], shape[1] if len(shape) == 2 else 1


@contextmanager
def naming(path: Path, expected: str) -> Iterator[None]:
    """Turn what goes wrong while a file is read into one clear error."""
    try:
        yield
    except FAULTS as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # It names the file, or a full disk.
        found = " ".join(str(error).split())[:160]
        raise CacheError(
            f"{path}: cannot be read ({found}); expected {expected}: save it again"
        ) from error


def steps(shape: tuple[int, int], itemsize: int) -> Iterator[tuple[int, int]]:
    """Divide rows into blocks."""
    step = max(1, BLOCK_BYTES // max(1, shape[1] * itemsize))
    for start in range(0, shape[0], step):
        yield start, min(start + step, shape[0])

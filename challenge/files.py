"""Read responses, other arrays and pickles of plain data, and never run code that is in them.

The challenge stores the names of its regions in pickles, and some files of trained weights are
pickles too. A pickle is a program, which `np.load(allow_pickle=True)` would run. The unpickler here
admits only the functions with which NumPy rebuilds arrays; dicts, lists, numbers and text need
none.
"""

import pickle
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from challenge.errors import DataError, reason
from challenge.layout import pictures_folder, vertices_file

_BLOCK_BYTES = 64 * 2**20
# NumPy 2 moved numpy.core to numpy._core; files of either age are read.
_CORES = ("numpy.core.multiarray", "numpy._core.multiarray")
ALLOWED = frozenset(
    {("numpy", "ndarray"), ("numpy", "dtype")}
    | {(core, name) for core in _CORES for name in ("_reconstruct", "scalar")}
)


def open_array(file: Path) -> np.memmap:
    """Open an array as a memory map, without reading its values."""
    try:
        return npy.open_memmap(file, mode="r")
    except FileNotFoundError:
        raise DataError(
            f"{file}: missing; unpack the subject's zip again, or copy the file into place"
        ) from None
    except Exception as error:  # a header is parsed as Python: TokenError, SyntaxError, …
        raise DataError(
            f"{file}: not read as a NumPy array ({reason(error)}); "
            "expected a .npy file of plain numbers; it may be cut short: copy it again"
        ) from error


def read_vector(file: Path, length: int | None, meaning: str) -> np.ndarray:
    """Read an array of one finite number per vertex; `meaning` says what `length` counts."""
    values = np.array(open_array(file))
    if values.dtype.kind not in "biuf":
        raise DataError(
            f"{file}: {values.dtype} values, expected a number for each vertex: copy the file again"
        )
    expected = "n" if length is None else length
    if values.ndim != 1 or length not in (None, values.size):
        raise DataError(
            f"{file}: shape {values.shape}, expected ({expected},), {meaning}; the files may be of "
            "two subjects or hemispheres: copy all of this subject's again"
        )
    if n_invalid := int((~np.isfinite(values)).sum()):
        raise DataError(
            f"{file}: holds NaN or infinite values, {n_invalid} of {values.size}; expected a "
            "number for each vertex; write 0 where there is none"
        )
    return values


def check_finite(values: np.ndarray, file: Path) -> None:
    """Check, in blocks of rows, that all values (n_images, n_vertices) are finite."""
    rows = max(1, _BLOCK_BYTES // max(1, values[:1].nbytes))
    count, first = 0, ""
    for start in range(0, len(values), rows):
        invalid = np.argwhere(~np.isfinite(values[start : start + rows]))
        if len(invalid) and not count:
            row, column = invalid[0] + (start, 0)
            first = f"row {row}, column {column} ({values[row, column]})"
        count += len(invalid)
    if count:
        raise DataError(
            f"{file}: {count} values are NaN or infinite, the first at {first}, counting from 0; "
            "expected finite responses: copy the file again, or leave out these vertices or "
            "pictures from the responses and the masks alike"
        )


def open_responses(file: Path) -> np.memmap:
    """Open a file of responses without reading its values."""
    values = open_array(file)
    if values.dtype != np.float32 or values.ndim != 2:
        raise DataError(
            f"{file}: {values.dtype} of shape {values.shape}, expected float32, "
            "images x vertices: copy the file again, or convert it with .astype('float32')"
        )
    return values


def row_fault(file: Path, values: np.ndarray, folder: Path, split: str, n_images: int) -> str:
    """Return a message if the number of rows is wrong, else an empty text."""
    if values.shape[0] == n_images:
        return ""
    return (
        f"{file}: {values.shape[0]} rows, expected {n_images}, one for each picture in "
        f"{pictures_folder(folder, split)}: copy both again"
    )


def column_fault(
    file: Path, values: np.ndarray, folder: Path, hemisphere: str, n_vertices: int
) -> str:
    """Return a message if the number of columns is wrong, else an empty text."""
    if values.shape[1] == n_vertices:
        return ""
    mask = vertices_file(folder, hemisphere)
    meaning = "as many as the other responses have"
    if mask.is_file():
        meaning = f"one for each nonzero value in {mask.name}"
    return (
        f"{file}: {values.shape[1]} columns, expected {n_vertices}, {meaning}: one of them is of "
        "another subject or hemisphere, copy both again"
    )


class SafeUnpickler(pickle.Unpickler):  # noqa: S301 - it admits no code
    """An unpickler that admits NumPy's array reconstruction and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        """Return a function that rebuilds arrays; all other names are refused."""
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return super().find_class(module, name)


def load_allowlisted(file: Path) -> Any:
    """Read a pickle, or a `.npy` file of objects, that holds only plain data and NumPy arrays."""
    file = Path(file)
    try:
        with file.open("rb") as stream:
            _skip_npy_header(stream)
            return SafeUnpickler(stream).load()
    except FileNotFoundError:
        raise DataError(f"{file}: missing; copy it again from where the data came") from None
    except Exception as error:
        # A damaged pickle may raise nearly anything, MemoryError and KeyError among others.
        raise DataError(
            f"{file}: not read: {reason(error)}; expected a pickle of plain data "
            "and NumPy arrays; nothing in it was run. Get the file again from where the data came"
        ) from error


def _skip_npy_header(stream: IO[bytes]) -> None:
    # The pickle begins where the header ends; a plain pickle has none.
    if stream.read(len(npy.MAGIC_PREFIX)) != npy.MAGIC_PREFIX:
        stream.seek(0)
        return
    stream.seek(0)
    read_header = (
        npy.read_array_header_1_0 if npy.read_magic(stream) == (1, 0) else npy.read_array_header_2_0
    )
    dtype = read_header(stream)[2]
    if dtype != np.dtype(object):
        raise pickle.UnpicklingError(f"it is an array of {dtype}, not of objects")

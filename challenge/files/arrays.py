"""Read .npy files without ever loading a pickle."""

from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap

from challenge.errors import DataError, reason

_BLOCK_BYTES = 64 * 2**20


def open_array(file: Path) -> np.memmap:
    """Open an array as a memory map, without reading its values."""
    try:
        return open_memmap(file, mode="r")
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

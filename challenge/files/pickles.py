"""Read pickles of plain data: what would run anything else is refused before it runs.

The challenge keeps the names of its regions in pickles, and so do some files of trained weights.
A pickle is a program, and `np.load(allow_pickle=True)` would run it. Here an unpickler knows only
the few names with which NumPy rebuilds arrays; dicts, lists, numbers and text need none.
"""

import pickle
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from challenge.errors import DataError, reason

# NumPy 2 moved numpy.core to numpy._core; files of either age are read.
_CORES = ("numpy.core.multiarray", "numpy._core.multiarray")
ALLOWED = frozenset(
    {("numpy", "ndarray"), ("numpy", "dtype")}
    | {(core, name) for core in _CORES for name in ("_reconstruct", "scalar")}
)


class SafeUnpickler(pickle.Unpickler):  # noqa: S301 - it admits no code
    """An unpickler that admits NumPy's array reconstruction and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        """Give the few names that arrays are rebuilt with."""
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return super().find_class(module, name)


def load_allowlisted(file: Path) -> Any:
    """Read a pickle, or an object array in an npy file, that holds plain data and arrays.

    Parameters
    ----------
    file : Path
        A pickle, or a `.npy` file of an object array.

    Returns
    -------
    object
        What it holds: dicts, lists, numbers, text and NumPy arrays.
    """
    file = Path(file)
    try:
        with file.open("rb") as opened:
            _skip_npy_header(opened)
            return SafeUnpickler(opened).load()
    except FileNotFoundError:
        raise DataError(f"{file}: missing; copy it again from where the data came") from None
    except Exception as error:
        # A damaged pickle may raise nearly anything, MemoryError and KeyError among others.
        raise DataError(
            f"{file}: not read: {reason(error)}; expected a pickle of plain data "
            "and NumPy arrays; nothing in it was run. Get the file again from where the data came"
        ) from error


def _skip_npy_header(opened: IO[bytes]) -> None:
    # The pickle begins where the header ends; a plain pickle has none.
    if opened.read(len(npy.MAGIC_PREFIX)) != npy.MAGIC_PREFIX:
        opened.seek(0)
        return
    opened.seek(0)
    read = (
        npy.read_array_header_1_0 if npy.read_magic(opened) == (1, 0) else npy.read_array_header_2_0
    )
    dtype = read(opened)[2]
    if dtype != np.dtype(object):
        raise pickle.UnpicklingError(f"it is an array of {dtype}, not of objects")

"""Read pickles of plain data safely: pickles that would run other code are refused.

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

# NumPy 2 moved numpy.core to numpy._core; files of either age are read.
_CORES = ("numpy.core.multiarray", "numpy._core.multiarray")
ALLOWED = frozenset(
    {("numpy", "ndarray"), ("numpy", "dtype")}
    | {(core, name) for core in _CORES for name in ("_reconstruct", "scalar")}
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

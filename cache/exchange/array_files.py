"""Readers of rows in NumPy's own files; no pickle is ever loaded."""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from cache.errors import CacheError
from cache.exchange.row_source import PICTURE, Source, block_ranges, table_shape, translate_errors
from cache.exchange.table_files import read_column

NPY = "a whole npy file of plain numbers"
NPZ = "a whole npz file of plain arrays, names as np.array(names, dtype=str)"


def read_npy(path: Path) -> Source:
    """Open an npy file of shape (n_rows, n_columns) or (n_rows,).

    The names of its pictures are the lines of the `.txt` file of the same name, or else the column
    `picture` of the `.csv` file.
    """
    with translate_errors(path, NPY):
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    if not isinstance(array, np.ndarray):
        raise CacheError(f"{path}: is an archive of arrays, expected {NPY}: call it .npz")
    shape = table_shape(path, array.shape)

    def blocks() -> Iterator[NDArray[Any]]:
        for start, stop in block_ranges(shape, array.dtype.itemsize):
            yield np.array(array[start:stop]).reshape(-1, shape[1])

    return Source(path, _read_names(path), shape, array.dtype, blocks)


def read_npz(path: Path) -> Source:
    """Open an npz file with the arrays `pictures` and `features`."""
    if not zipfile.is_zipfile(path):
        raise CacheError(f"{path}: is no npz archive, or was cut short; save it again")
    with translate_errors(path, NPZ), zipfile.ZipFile(path) as archive:
        array_names = [name.removesuffix(".npy") for name in archive.namelist()]
        absent = [name for name in ("pictures", "features") if name not in array_names]
        if absent:
            raise CacheError(
                f"{path}: has no array {', '.join(absent)} (it has {', '.join(array_names)}); save "
                "it with np.savez(FILE, pictures=names, features=rows)"
            )
        with archive.open("pictures.npy") as file:
            names = np.lib.format.read_array(file, allow_pickle=False)
    if names.dtype.kind not in "US" or names.ndim != 1:
        raise CacheError(
            f"{path}: pictures is {names.dtype} of shape {names.shape}, expected one text for each "
            "row: save it as np.array(names, dtype=str)"
        )
    texts = tuple(n.decode("utf-8", "replace") if isinstance(n, bytes) else str(n) for n in names)
    with translate_errors(path, NPZ), _member(path) as (_, stored_shape, dtype, _):
        shape = table_shape(path, stored_shape)

    def blocks() -> Iterator[NDArray[Any]]:
        with _member(path) as (file, _, dtype, fortran):
            if fortran:
                # In Fortran order, the values of a row are spread over the whole file.
                content = file.read()
                yield np.frombuffer(content, dtype).reshape(shape[::-1]).T
                return
            for start, stop in block_ranges(shape, dtype.itemsize):
                size = (stop - start) * shape[1] * dtype.itemsize
                content = file.read(size)
                if len(content) < size:
                    raise ValueError(f"ends within row {start}")
                yield np.frombuffer(content, dtype).reshape(-1, shape[1])
            file.read(1)  # At its end, zipfile compares the checksum.

    return Source(path, texts, shape, dtype, blocks)


@contextmanager
def _member(path: Path) -> Iterator[tuple[IO[bytes], tuple[int, ...], np.dtype, bool]]:
    """Open the features of an npz after their header; yield the file, shape, order and dtype."""
    with zipfile.ZipFile(path) as archive, archive.open("features.npy") as file:
        version = np.lib.format.read_magic(file)
        if version not in {(1, 0), (2, 0)}:
            raise ValueError(f"npy format {version}")
        header = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        shape, fortran, dtype = header(file)
        if dtype.hasobject:
            raise ValueError("Python objects")
        yield file, shape, dtype, fortran


def _read_names(path: Path) -> tuple[str, ...]:
    """Read the names of the pictures from the file next to an npy file."""
    lines, table = path.with_suffix(".txt"), path.with_suffix(".csv")
    if lines.is_file():
        with translate_errors(lines, "text in UTF-8, the name of a picture a line"):
            return tuple(lines.read_text("utf-8-sig").removesuffix("\n").split("\n"))
    if table.is_file():
        return read_column(table)
    raise CacheError(
        f"{path}: neither {lines.name} nor {table.name} is beside it; expected the name of each "
        f"row's picture: a line each in the .txt, or the column {PICTURE!r} of the .csv"
    )

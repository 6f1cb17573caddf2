"""Export a feature space to a file that other programs read: npy, npz, CSV or Parquet.

Rows are sorted by the pictures' names, whatever the order in which they were computed, so that the
rows of two spaces of the same pictures match.
"""

import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from base import replacing
from cache.errors import CacheError
from cache.exchange.row_source import PICTURE
from cache.feature_store import Entry
from cache.feature_table import row_names, take_rows

# Bytes of rows in memory at once; the whole file is read for each block.
BLOCK_BYTES = 256 << 20
# Enough significant digits that float32, which a CSV is read as, restores every number exactly.
DIGITS = {"float16": "%.9g", "float32": "%.9g"}


@dataclass(frozen=True)
class Rows:
    """The rows to export: names of pictures and columns, dtype, and blocks with their names."""

    names: Sequence[str]
    columns: Sequence[str]
    dtype: np.dtype
    blocks: Iterator[tuple[list[str], NDArray[Any]]]  # (n_block,), (n_block, n_columns)


def export_rows(entry: Entry, path: Path, pictures: dict[str, Path] | None = None) -> list[Path]:
    """Write a feature space to a file of the format of its suffix, and return the written files.

    The names for an npy file are written to a `.txt` file, a line each. `pictures` names pictures
    by their sha256; one without a name is named by its sha256, and comes after those with names.
    """
    if path.suffix not in WRITERS:
        raise CacheError(f"{path}: suffix {path.suffix!r}, expected one of {', '.join(WRITERS)}")
    paths = [path, path.with_suffix(".txt")] if path.suffix == ".npy" else [path]
    for file in paths:
        if file.exists():
            raise CacheError(f"{file}: is there already; remove it, or give another name")
    picture_names = {digest: name.as_posix() for digest, name in (pictures or {}).items()}
    stored = [name.decode() for name in row_names(entry.path)]
    digests = sorted(
        stored, key=lambda key: (key not in picture_names, picture_names.get(key, key))
    )
    names = [picture_names.get(digest, digest) for digest in digests]
    n_columns = int(entry.meta["columns"])
    columns = entry.meta.get("column_names") or [f"f{number}" for number in range(n_columns)]
    dtype = np.dtype(entry.meta["dtype"])
    rows = Rows(names, columns, dtype, _read_ordered(entry, digests, names))
    with replacing(path) as temporary:
        WRITERS[path.suffix](temporary, rows)
        if len(paths) > 1:
            with replacing(paths[1]) as names_file:
                names_file.write_text("\n".join(names) + "\n", encoding="utf-8")
    return paths


def _read_ordered(
    entry: Entry, digests: Sequence[str], names: list[str]
) -> Iterator[tuple[list[str], NDArray[Any]]]:
    """Yield the names and rows of pictures in blocks."""
    row_bytes = int(entry.meta["columns"]) * np.dtype(entry.meta["dtype"]).itemsize
    step = max(1, BLOCK_BYTES // max(1, row_bytes))
    for start in range(0, len(digests), step):
        block = slice(start, start + step)
        yield names[block], take_rows(entry.path, digests[block])


def _write_npy(path: Path, rows: Rows) -> None:
    with path.open("wb") as file:
        _write_array(file, rows)


def _write_npz(path: Path, rows: Rows) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        with archive.open("pictures.npy", "w", force_zip64=True) as member:
            np.lib.format.write_array(member, np.array(rows.names, dtype=str), allow_pickle=False)
        with archive.open("features.npy", "w", force_zip64=True) as member:
            _write_array(member, rows)


def _write_array(file: IO[bytes], rows: Rows) -> None:
    header = {
        "shape": (len(rows.names), len(rows.columns)),
        "fortran_order": False,
        "descr": np.lib.format.dtype_to_descr(rows.dtype),
    }
    np.lib.format.write_array_header_1_0(file, header)
    for _, block in rows.blocks:
        file.write(np.ascontiguousarray(block).tobytes())


def _write_csv(path: Path, rows: Rows) -> None:
    # pandas takes half a second to import.
    import pandas as pd

    digits = DIGITS.get(rows.dtype.name)
    with path.open("w", encoding="utf-8", newline="") as file:
        for number, (names, block) in enumerate(rows.blocks):
            numbers = block.astype(np.float64) if block.dtype.kind == "f" else block
            table = pd.DataFrame(numbers, names, list(rows.columns))
            table.to_csv(
                file,
                header=not number,
                index_label=PICTURE,
                float_format=digits,
                lineterminator="\n",
            )


def _write_parquet(path: Path, rows: Rows) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    kind = pa.from_numpy_dtype(rows.dtype)
    schema = pa.schema([(PICTURE, pa.string()), *((name, kind) for name in rows.columns)])
    with parquet.ParquetWriter(path, schema) as writer:
        for names, block in rows.blocks:
            columns = [pa.array(np.ascontiguousarray(column)) for column in block.T]
            pictures = pa.array(names, pa.string())
            writer.write_table(pa.Table.from_arrays([pictures, *columns], schema=schema))


WRITERS: dict[str, Callable[[Path, Rows], None]] = {
    ".npy": _write_npy,
    ".npz": _write_npz,
    ".csv": _write_csv,
    ".parquet": _write_parquet,
}

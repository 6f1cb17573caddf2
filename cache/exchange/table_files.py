"""Readers of rows in tables: CSV and Parquet, with the column `picture` and numeric columns."""

import csv
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from base import say
from cache.errors import CacheError
from cache.exchange.row_source import BLOCK_BYTES, PICTURE, Source, table_shape, translate_errors
from cache.key import first_names

CSV = "CSV in UTF-8 with a header, commas and decimal points"
PARQUET = "a whole Parquet file"
# Without the byte-order mark that Excel writes before the first column's name.
ENCODING = "utf-8-sig"
# Names that pandas gives to the index of a table when it writes it as a column.
UNNAMED = re.compile(r"|Unnamed: \d+|__index_level_\d+__")
INDEX = re.compile(rf"index|level_\d+|{UNNAMED.pattern}")


def read_csv(path: Path) -> Source:
    """Open a CSV file with a header."""
    # pandas takes half a second to import.
    import pandas as pd

    header = _header(path)
    columns = _feature_columns(path, header)
    names = read_column(path)
    for name in filter(INDEX.fullmatch, list(columns)):
        with translate_errors(path, CSV):
            position = header.index(name)
            values = pd.read_csv(path, usecols=[position], dtype=str, encoding=ENCODING).iloc[:, 0]
        if _is_index(path, name, values.tolist()):
            columns.remove(name)
    shape = table_shape(path, (len(names), len(columns)))
    # Text takes several times the memory of its numbers while it is parsed.
    rows = max(1, BLOCK_BYTES // (32 * len(columns)))

    def blocks() -> Iterator[NDArray[Any]]:
        with pd.read_csv(path, dtype={PICTURE: str}, chunksize=rows, encoding=ENCODING) as chunks:
            for chunk in chunks:
                for name in columns:
                    if not pd.api.types.is_numeric_dtype(chunk[name]):
                        values = chunk[name].dropna()
                        texts = values[pd.to_numeric(values, errors="coerce").isna()]
                        example = str(texts.iloc[0] if len(texts) else "nothing")
                        raise CacheError(_not_numbers_message(path, name, repr(example[:40])))
                yield chunk[columns].to_numpy(np.float64)

    return Source(path, names, shape, np.dtype(np.float64), blocks, tuple(columns))


def _not_numbers_message(path: Path, name: str, content: str) -> str:
    return (
        f"{path}: column {name!r} holds {content}, expected numbers: remove the column or write "
        "numbers for its values"
    )


def read_column(path: Path) -> tuple[str, ...]:
    """Read the names of pictures from a CSV file."""
    import pandas as pd

    _feature_columns(path, _header(path))
    with translate_errors(path, CSV):
        # A picture may be called "NA".
        table = pd.read_csv(
            path, usecols=[PICTURE], dtype=str, keep_default_na=False, encoding=ENCODING
        )
    return tuple(str(name) for name in table[PICTURE])


def _header(path: Path) -> list[str]:
    with translate_errors(path, CSV), path.open(encoding=ENCODING, newline="") as file:
        lines = csv.reader(file)
        header = next(lines, [])
        first = next(lines, header)
    if len(header) == 1 and (";" in header[0] or "\t" in header[0]):
        raise CacheError(
            f"{path}: its first line is {header[0][:40]!r}; expected {CSV}: save it with commas"
        )
    if len(first) != len(header):
        # pandas would silently take the first column for names of rows.
        raise CacheError(
            f"{path}: {len(header)} columns are named and the first row has {len(first)}; expected "
            "a name for each column: correct the header"
        )
    return header


def _feature_columns(path: Path, header: Sequence[str]) -> list[str]:
    if PICTURE not in header:
        raise CacheError(
            f"{path}: has no column {PICTURE!r} (its columns: {first_names(header)}); expected "
            "one, with the name of each row's picture: rename yours"
        )
    if len(set(header)) < len(header):
        duplicates = sorted({name for name in header if header.count(name) > 1})
        raise CacheError(
            f"{path}: several columns are named {', '.join(duplicates[:5])}; expected a name of "
            "its own for each: rename them"
        )
    return [name for name in header if name != PICTURE]


def _is_index(path: Path, name: str, values: Sequence[object]) -> bool:
    """Return whether a column only numbers the rows, as the index of a pandas table does."""
    whole = [str(value).removesuffix(".0") for value in values]
    if all(text.isdecimal() for text in whole) and len(set(whole)) == len(whole):
        say(f"{path}: column {name!r} numbers the rows, as an index of pandas does: left out")
        return True
    if UNNAMED.fullmatch(name):
        raise CacheError(
            f"{path}: column {name!r} has no name of its own, and does not number the rows; "
            "expected features with names: name it, or remove it (index=False leaves an index out)"
        )
    return False


def read_parquet(path: Path) -> Source:
    """Open a Parquet file."""
    import pyarrow as pa
    from pyarrow import parquet

    with translate_errors(path, PARQUET), parquet.ParquetFile(path) as file:
        schema = file.schema_arrow
        index = _pandas_index(schema.metadata or {})
        columns = [name for name in _feature_columns(path, schema.names) if name not in index]
        stored = file.read(columns=[PICTURE])[PICTURE].to_pylist()
        for name in filter(INDEX.fullmatch, list(columns)):
            if _is_index(path, name, file.read(columns=[name])[name].to_pylist()):
                columns.remove(name)
    left_out = [name for name in schema.names if name in index and name != PICTURE]
    if left_out:
        say(f"{path}: {first_names(left_out)}: the index of a pandas table, left out")
    for name in columns:
        kind = schema.field(name).type
        if not (
            pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
        ):
            raise CacheError(_not_numbers_message(path, name, str(kind)))
    names = tuple("" if name is None else str(name) for name in stored)
    shape = table_shape(path, (len(names), len(columns)))
    dtype = np.result_type(*(schema.field(name).type.to_pandas_dtype() for name in columns))
    rows = max(1, BLOCK_BYTES // (8 * len(columns)))

    def blocks() -> Iterator[NDArray[Any]]:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(rows, columns=columns):
                yield np.column_stack(
                    [batch[name].to_numpy(zero_copy_only=False) for name in columns]
                )

    return Source(path, names, shape, dtype, blocks, tuple(columns))


def _pandas_index(metadata: Mapping[bytes, bytes]) -> set[str]:
    """Return the columns of a Parquet file that hold the index of a pandas table."""
    try:
        record = json.loads(metadata.get(b"pandas", b"{}"))
        columns = record.get("index_columns", [])
        return {name for name in columns if isinstance(name, str)}
    except (ValueError, AttributeError, TypeError, RecursionError):
        return set()

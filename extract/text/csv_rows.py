"""Reader of CSV files in UTF-8, with or without a byte-order mark."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from extract.errors import ExtractError


def read_header(path: Path) -> list[str]:
    """Read the names of a CSV's columns, without surrounding spaces; empty for an empty file."""
    for _, fields in _lines(path):
        return [name.strip() for name in fields]
    return []


def read_columns(path: Path, names: Sequence[str]) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield the line number and some columns of each row of a CSV."""
    header = read_header(path)
    positions = [header.index(name) for name in names]
    lines = _lines(path)
    next(lines)
    for line, fields in lines:
        if len(fields) != len(header):
            raise ExtractError(
                f"{path}: line {line} has {len(fields)} fields, expected {len(header)} "
                f"({','.join(header)}): put texts that hold commas into double quotes"
            )
        yield line, tuple(fields[position] for position in positions)


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            # Without `strict`, an unclosed quote would silently include the rest of the file.
            reader = csv.reader(file, strict=True)
            for fields in reader:
                if fields:
                    yield reader.line_num, fields
    except UnicodeDecodeError as error:
        raise ExtractError(
            f"{path}: not UTF-8 (byte {error.object[error.start]:#04x}): save it again as UTF-8"
        ) from error
    except csv.Error as error:
        raise ExtractError(
            f"{path}: line {reader.line_num} cannot be read as CSV ({error}); expected fields "
            "with commas between, and double quotes around texts that hold commas"
        ) from error

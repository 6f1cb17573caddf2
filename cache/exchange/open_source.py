"""Open a file of rows computed elsewhere, by its suffix."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from cache.errors import CacheError
from cache.exchange.array_files import read_npy, read_npz
from cache.exchange.row_source import Source
from cache.exchange.table_files import read_csv, read_parquet
from cache.key_fields import first_names

READERS: dict[str, Callable[[Path], Source]] = {
    ".npy": read_npy,
    ".npz": read_npz,
    ".csv": read_csv,
    ".parquet": read_parquet,
}


def open_source(path: Path) -> Source:
    """Open a file of rows, by its suffix; errors while reading are `CacheError` with its name."""
    if path.suffix not in READERS:
        raise CacheError(f"{path}: suffix {path.suffix!r}, expected one of {', '.join(READERS)}")
    if not path.is_file():
        raise CacheError(f"{path}: there is no such file")
    source = READERS[path.suffix](path)
    if len(source.names) != source.shape[0]:
        raise CacheError(
            f"{path}: {source.shape[0]} rows and {len(source.names)} names of pictures, expected "
            "one name for each row: correct one of them"
        )
    duplicates = sorted(name for name, count in Counter(source.names).items() if count > 1)
    if duplicates:
        raise CacheError(
            f"{path}: {len(duplicates)} pictures have more than one row "
            f"({first_names(duplicates)}); expected one each: remove the others"
        )
    return source

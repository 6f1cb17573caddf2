"""Load records, and check the type of every field."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints
from typing import is_typeddict as is_record

from cache.artifact import read_meta
from cache.errors import CacheError

Record = TypeVar("Record", bound=Mapping[str, Any])
# Longest text of a value in a message.
LONGEST = 60


def load_record(record: type[Record], path: Path, fix: str) -> Record:
    """Read the meta of an artifact as a record.

    Parameters
    ----------
    record : type
        One of the records of this package.
    path : Path
        The artifact.
    fix : str
        What to do about a file that is no such record, as the end of a message.

    Returns
    -------
    dict
        The record.

    Raises
    ------
    CacheError
        If the file is damaged, or a field is missing or of another type.
    """
    return check_record(record, path, read_meta(path), fix)


def check_record(record: type[Record], path: Path, meta: Mapping[str, Any], fix: str) -> Record:
    """Check the fields of meta that was read from a file.

    Parameters
    ----------
    record : type
        One of the records of this package.
    path : Path
        The file, for the message.
    meta : mapping
        The meta of the file.
    fix : str
        What to do about a file that is no such record.

    Returns
    -------
    dict
        The same meta, as a record.

    Raises
    ------
    CacheError
        If a field is missing or of another type.
    """
    for name, value, hint in _faults(meta, record, ""):
        (kind,) = get_args(get_type_hints(record)["kind"])
        content = "nothing" if value is ... else repr(value)
        content = content if len(content) <= LONGEST else f"{content[: LONGEST - 1]}…"
        reason = f"{name}: found {content}, expected {_describe(hint)}"
        raise CacheError(f"{path}: is not a {kind} file ({reason}): {fix}")
    return cast(Record, meta)


def _faults(value: Any, hint: Any, name: str) -> Iterator[tuple[str, Any, Any]]:
    """Yield the name, value and type of each field that is not of its type."""
    arguments = get_args(hint)
    if is_record(hint) and isinstance(value, Mapping):
        prefix = f"{name}." if name else ""
        for field, field_hint in get_type_hints(hint).items():
            if field in value or field in hint.__required_keys__:
                yield from _faults(value.get(field, ...), field_hint, f"{prefix}{field}")
    elif get_origin(hint) is list and isinstance(value, list):
        for number, item in enumerate(value):
            yield from _faults(item, arguments[0], f"{name}[{number}]")
    elif get_origin(hint) is dict and isinstance(value, dict):
        for key, item in value.items():
            yield from _faults(item, arguments[1], f"{name}.{key}")
    elif not _is_of_type(value, hint):
        yield name, value, hint


def _is_of_type(value: Any, hint: Any) -> bool:
    if get_origin(hint) in (Union, UnionType):
        return any(next(_faults(value, choice, ""), None) is None for choice in get_args(hint))
    if get_origin(hint) is Literal:
        return value in get_args(hint)
    if hint is Any:
        return value is not ...
    if isinstance(value, bool):
        return hint is bool
    expected = (int, float) if hint is float else get_origin(hint) or hint
    return not is_record(hint) and isinstance(value, expected)


def _describe(hint: Any) -> str:
    """Return a type in words, such as "list of str"."""
    if is_record(hint) or get_origin(hint) is dict:
        return "names and values"
    if get_origin(hint) is list:
        return f"list of {_describe(get_args(hint)[0])}"
    if get_origin(hint) in (Union, UnionType):
        return " or ".join(map(_describe, get_args(hint)))
    if get_origin(hint) is Literal:
        return " or ".join(map(repr, get_args(hint)))
    return "a value" if hint is Any else "none" if hint is NoneType else hint.__name__

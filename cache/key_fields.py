"""The fields of a key or of a meta as text: dotted paths, and values short enough to read."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

MAX_LENGTH = 100
N_LISTED = 5


def is_leaf(value: object) -> bool:
    """Return whether a value is a number, a text, a list of them, or an empty container."""
    if isinstance(value, Mapping):
        return not value
    return not isinstance(value, list) or not any(isinstance(v, Mapping | list) for v in value)


def flatten(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the leaves of nested mappings and lists, with their dotted paths."""
    if is_leaf(value):
        yield path, value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from flatten(inner, extend_path(path, name))
    else:
        for number, inner in enumerate(value):
            yield from flatten(inner, extend_path(path, number))


def extend_path(path: str, step: str | int) -> str:
    """Return a dotted path extended by the name of a field, or by an index of a list."""
    if isinstance(step, int):
        return f"{path}[{step}]"
    return f"{path}.{step}" if path else step


def format_value(value: object, whole: bool = False) -> str:
    """Return a value as text; digests and long values are cut with "…" unless `whole`."""
    if value is None:
        return "none"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if whole:
        return text
    if re.fullmatch("[0-9a-f]{16,}", text):
        return f"{text[:8]}…"
    return text if len(text) <= MAX_LENGTH else f"{text[: MAX_LENGTH - 1]}…"


def first_names(names: Sequence[str]) -> str:
    """Return the first few names as text, or "none"."""
    return ", ".join([*names[:N_LISTED], *(["…"] if len(names) > N_LISTED else [])]) or "none"

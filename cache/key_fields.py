"""The fields of a key or of a meta in words: by dotted path, values short enough to read."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

LONGEST = 100
LISTED = 5


def is_leaf(value: object) -> bool:
    """Say whether a value is shown whole: a number, a text, a list of them, or nothing.

    Returns
    -------
    bool
        False for mappings and for lists of mappings or lists, unless they are empty.
    """
    if isinstance(value, Mapping):
        return not value
    return not isinstance(value, list) or not any(isinstance(v, Mapping | list) for v in value)


def flatten(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Go through nested mappings and lists, leaf by leaf."""
    if is_leaf(value):
        yield path, value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from flatten(inner, below(path, name))
    else:
        for number, inner in enumerate(value):
            yield from flatten(inner, below(path, number))


def below(path: str, step: str | int) -> str:
    """Extend a dotted path.

    Parameters
    ----------
    step : str or int
        The name of a field, or a place in a list.
    """
    if isinstance(step, int):
        return f"{path}[{step}]"
    return f"{path}.{step}" if path else step


def in_words(value: object, whole: bool = False) -> str:
    """Write a value for reading.

    Returns
    -------
    str
        Texts without quotes, digests cut to eight digits, what is long cut with "…".
    """
    if value is None:
        return "none"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if whole:
        return text
    if re.fullmatch("[0-9a-f]{16,}", text):
        return f"{text[:8]}…"
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def some(names: Sequence[str]) -> str:
    """List the first few names.

    Returns
    -------
    str
        At most five, with "…" where there are more; "none" where there are none.
    """
    return ", ".join([*names[:LISTED], *(["…"] if len(names) > LISTED else [])]) or "none"

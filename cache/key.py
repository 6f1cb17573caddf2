"""The key of a stored array: canonical JSON of all settings that change its numbers.

The key is a contract. It holds the network, the digest of the weights, layers, pooling, projection
and its seed, preprocessing and precision; it does not hold the device, the batch size or the
folder. Equal keys therefore mean equal features, on any machine.

The fields of keys and metas are named by dotted paths.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from base import canonical as canonical
from base import digest as digest

MAX_LENGTH = 100
N_LISTED = 5
# The value of a field that one of two keys lacks.
ABSENT = object()


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


def differences(left: Mapping[str, Any], right: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return both values of each differing field, by its dotted path; `ABSENT` for missing fields.

    The result is empty exactly if both keys have the same digest.
    """
    # As in JSON, 1 and 1.0 are different, and a tuple and a list are equal.
    plain = (json.loads(canonical(left)), json.loads(canonical(right)))
    return dict(_differences(*plain, ""))


def _differences(left: Any, right: Any, path: str) -> Iterator[tuple[str, tuple[Any, Any]]]:
    if isinstance(left, dict) and isinstance(right, dict):
        for name in sorted({*left, *right}):
            values = left.get(name, ABSENT), right.get(name, ABSENT)
            yield from _differences(*values, extend_path(path, name))
    elif _holds_mappings(left) and _holds_mappings(right):
        for number, items in enumerate(zip_longest(left, right, fillvalue=ABSENT)):
            yield from _differences(*items, extend_path(path, number))
    elif left is ABSENT or right is ABSENT or json.dumps(left) != json.dumps(right):
        yield path, (left, right)


def _holds_mappings(value: object) -> bool:
    return isinstance(value, list) and any(isinstance(item, dict) for item in value)

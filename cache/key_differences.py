"""Differences between two keys, field by field."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from cache.key import canonical
from cache.key_fields import extend_path

ABSENT = object()


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
        for number in range(max(len(left), len(right))):
            left_item, right_item = (_item(side, number) for side in (left, right))
            yield from _differences(left_item, right_item, extend_path(path, number))
    elif left is ABSENT or right is ABSENT or json.dumps(left) != json.dumps(right):
        yield path, (left, right)


def _item(items: list[Any], number: int) -> Any:
    return items[number] if number < len(items) else ABSENT


def _holds_mappings(value: object) -> bool:
    return isinstance(value, list) and any(isinstance(item, dict) for item in value)

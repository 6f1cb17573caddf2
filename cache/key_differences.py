"""Two keys compared, field by field."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from cache.key import canonical
from cache.key_fields import below

ABSENT = object()


def differences(here: Mapping[str, Any], there: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Compare two keys field by field.

    Returns
    -------
    dict of str to (object, object)
        Both values of each field that differs, by its dotted path; `ABSENT` where a side has no
        such field. Empty exactly where both have the same digest.
    """
    # As JSON has them: 1 and 1.0 are two keys, a tuple and a list are one.
    plain = (json.loads(canonical(here)), json.loads(canonical(there)))
    return dict(_differences(*plain, ""))


def _differences(here: Any, there: Any, path: str) -> Iterator[tuple[str, tuple[Any, Any]]]:
    if isinstance(here, dict) and isinstance(there, dict):
        for name in sorted({*here, *there}):
            values = here.get(name, ABSENT), there.get(name, ABSENT)
            yield from _differences(*values, below(path, name))
    elif _holds_mappings(here) and _holds_mappings(there):
        for number in range(max(len(here), len(there))):
            first, second = (_item(side, number) for side in (here, there))
            yield from _differences(first, second, below(path, number))
    elif here is ABSENT or there is ABSENT or json.dumps(here) != json.dumps(there):
        yield path, (here, there)


def _item(items: list[Any], number: int) -> Any:
    return items[number] if number < len(items) else ABSENT


def _holds_mappings(value: object) -> bool:
    return isinstance(value, list) and any(isinstance(item, dict) for item in value)

"""Short descriptions of the differences between runs of the same model and spaces."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cache.records import FitRecord

# Of longer lists only the first and last items are shown.
LONGEST = 6


def differences(records: Sequence[FitRecord]) -> list[str]:
    """Describe the settings and features by which each run differs from the others.

    `records` are those of any one model of each run. The texts are such as "alphas=[1, 10],
    seed=3".
    """
    flat = [dict(_settings(record)) for record in records]
    names = dict.fromkeys(name for settings in flat for name in settings)
    differ = [name for name in names if _differs(name, flat)]
    return [_join(differ, settings) for settings in flat]


def _differs(name: str, flat: Sequence[Mapping[str, Any]]) -> bool:
    return len({json.dumps(settings.get(name), sort_keys=True) for settings in flat}) > 1


def _join(names: Sequence[str], settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={_short(settings.get(name))}" for name in names)


def _settings(record: FitRecord) -> Iterator[tuple[str, Any]]:
    settings: dict[str, Any] = dict(record.get("settings", {}))
    # A parameter that is set to its default equals one that was left out.
    yield from (settings.pop("defaults", {}) | (settings.pop("parameters", {}) or {})).items()
    yield from settings.items()
    for space, key in record.get("keys", {}).items():
        yield f"features of {space}", key


def _short(value: Any) -> str:
    if isinstance(value, list):
        items = [_short(item) for item in value]
        if len(items) <= LONGEST:
            return f"[{', '.join(items)}]"
        return f"[{items[0]} … {items[-1]}, {len(items)} values]"
    if isinstance(value, float):
        return f"{value:g}"
    if value is None or value == "":
        return "default" if value is None else "none"
    return str(value) if len(str(value)) <= 24 else f"{str(value)[:12]}…"

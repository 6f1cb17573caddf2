"""Short descriptions of the differences between runs of the same model and spaces."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

# Of longer lists only the first and last items are shown.
LONGEST = 6


def differences(metas: Sequence[Mapping[str, Any]]) -> list[str]:
    """Describe, for each run, the settings and features by which it differs from the others.

    `metas` are the meta of any one model of each run. The texts are such as "alphas=[1, 10],
    seed=3".
    """
    flat = [dict(_settings(meta)) for meta in metas]
    names = dict.fromkeys(name for settings in flat for name in settings)
    values = {n: {json.dumps(s.get(n), sort_keys=True) for s in flat} for n in names}
    differ = [name for name in names if len(values[name]) > 1]
    return [", ".join(f"{n}={_short(settings.get(n))}" for n in differ) for settings in flat]


def _settings(meta: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    settings = dict(meta.get("settings", {}))
    # A parameter that is set to its default equals one that was left out.
    yield from (settings.pop("defaults", {}) | settings.pop("parameters", {})).items()
    yield from settings.items()
    for space, key in meta.get("keys", {}).items():
        yield f"features of {space}", key


def _short(value: Any) -> str:
    if value is None:
        return "default"
    if isinstance(value, list):
        items = [_short(item) for item in value]
        if len(items) <= LONGEST:
            return f"[{', '.join(items)}]"
        return f"[{items[0]} … {items[-1]}, {len(items)} values]"
    if isinstance(value, float):
        return f"{value:g}"
    if value == "":
        return "none"
    return str(value) if len(str(value)) <= 24 else f"{str(value)[:12]}…"

"""What differs between runs of the same model and spaces, in a few words."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

# Longer lists are shown by their ends.
LONGEST = 6


def differences(metas: Sequence[Mapping[str, Any]]) -> list[str]:
    """Find the settings and features by which runs differ.

    Parameters
    ----------
    metas : sequence of mapping
        What stage 2 wrote of each run, in any of its fits.

    Returns
    -------
    list of str
        For each run, such as "alphas=[1, 10], seed=3"; empty where its fits do not tell.
    """
    flat = [dict(_settings(meta)) for meta in metas]
    names = dict.fromkeys(name for settings in flat for name in settings)
    differ = [
        n
        for n in names
        if len({json.dumps(settings.get(n), sort_keys=True) for settings in flat}) > 1
    ]
    return [", ".join(f"{n}={_short(settings.get(n))}" for n in differ) for settings in flat]


def _settings(meta: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    settings = dict(meta.get("settings", {}))
    # Given or left at the default makes no difference, and what is absent is not told.
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

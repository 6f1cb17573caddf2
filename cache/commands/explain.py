"""Explain a cache miss: which fields of a key differ from those of the stored features."""

from collections.abc import Mapping, Sequence
from typing import Any

from base import plural
from cache.feature_store import Entry
from cache.key import ABSENT, differences, digest, format_value

MAX_SPACES = 3

# The meaning of a difference, by the last name of the field's path, or else by the first.
MEANING = {
    "autocast": "computed in another precision",
    "captions": "other captions",
    "dtype": "kept in another type of number",
    "family": "another family of networks",
    "imported": "other numbers were imported",
    "interpolation": "pictures are resized another way",
    "layer": "another layer",
    "layers": "other layers",
    "model": "another network",
    "pooling": "pooled another way",
    "preprocessing": "pictures are prepared another way",
    "projection": "made narrower another way",
    "schema": "keys of another version of roiridge",
    "size": "the network gets pictures of another size",
    "untrained": "weights of one side are random",
    "weights": "other weights",
}


def explain(key: Mapping[str, Any], entries: Sequence[Entry], name: str | None = None) -> list[str]:
    """Explain why none of the stored feature spaces has a key.

    For each space of that name, or for at most three with the most similar keys, there is a line
    with the number of fields that differ, then a line for each field, with the values of `key`
    ("here") and of the stored space ("there").
    """
    if not entries:
        return ["no other feature space is kept: there is nothing to compare with"]
    identical = [entry for entry in entries if entry.digest == digest(key)]
    if identical:
        return [f"{entry.path.stem}: has this very key, so it is no miss" for entry in identical]
    same_name = [entry for entry in entries if entry.name == name]
    # Keys of computed and of imported features have hardly a field in common.
    is_imported = "imported" in key
    entries = [e for e in entries if ("imported" in e.meta["key"]) is is_imported] or entries
    candidates = [(differences(key, entry.meta["key"]), entry) for entry in same_name or entries]
    candidates.sort(key=lambda pair: (len(pair[0]), pair[1].path.name))
    fewest = len(candidates[0][0])
    lines: list[str] = []
    for fields, entry in candidates:
        if not same_name and (len(fields) > fewest or len(lines) >= MAX_SPACES * (fewest + 1)):
            break
        count = f"{plural(len(fields), 'field')} of the key"
        verb = "differs" if len(fields) == 1 else "differ"
        lines.append(f"{entry.path.stem}: {'' if same_name else 'the nearest; '}{count} {verb}")
        lines += [
            f"  {path}: {_format_difference(path, *values)}" for path, values in fields.items()
        ]
    return lines


def _format_difference(path: str, key_value: Any, stored_value: Any) -> str:
    values = key_value, stored_value
    short = [_value_text(value) for value in values]
    if short[0] == short[1]:
        short = [_value_text(value, whole=True) for value in values]
    names = [step.partition("[")[0] for step in path.split(".")]
    meaning = MEANING.get(names[-1]) or MEANING.get(names[0])
    return f"{short[0]} here, {short[1]} there" + (f" ({meaning})" if meaning else "")


def _value_text(value: object, whole: bool = False) -> str:
    return "absent" if value is ABSENT else format_value(value, whole)

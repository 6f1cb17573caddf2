"""A cache miss in words: which fields of a key differ from those of the features that are kept."""

from collections.abc import Mapping, Sequence
from typing import Any

from cache.feature_store import Entry
from cache.key import digest
from cache.key_differences import ABSENT, differences
from cache.key_fields import in_words

__all__ = ["ABSENT", "differences", "explain"]

NEAREST = 3

# What a difference means, by the last name of the field's path, or else by the first.
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


def explain(
    wanted: Mapping[str, Any], entries: Sequence[Entry], name: str | None = None
) -> list[str]:
    """Say why none of the kept feature spaces has the key that is wanted.

    Parameters
    ----------
    wanted : mapping
        The key that is about to be computed, or was looked for.
    entries : sequence of Entry
        The spaces that are kept.
    name : str, optional
        What the wanted space is called: spaces of this name are compared, if there are any.

    Returns
    -------
    list of str
        For each space of that name, else for the nearest, at most three: a line with the number
        of fields that differ, then a line for each, with the values wanted ("here") and kept
        ("there").
    """
    if not entries:
        return ["no other feature space is kept: there is nothing to compare with"]
    same = [entry for entry in entries if entry.digest == digest(wanted)]
    if same:
        return [f"{entry.path.stem}: has this very key, so it is no miss" for entry in same]
    named = [entry for entry in entries if entry.name == name]
    # Computed features and imported ones have next to no field in common.
    kind = "imported" in wanted
    entries = [e for e in entries if ("imported" in e.meta["key"]) is kind] or entries
    compared = [(differences(wanted, entry.meta["key"]), entry) for entry in named or entries]
    compared.sort(key=lambda pair: (len(pair[0]), pair[1].path.name))
    fewest = len(compared[0][0])
    lines: list[str] = []
    for found, entry in compared:
        if not named and (len(found) > fewest or len(lines) >= NEAREST * (fewest + 1)):
            break
        count = f"{len(found)} {'field' if len(found) == 1 else 'fields'} of the key"
        verb = "differs" if len(found) == 1 else "differ"
        lines.append(f"{entry.path.stem}: {'' if named else 'the nearest; '}{count} {verb}")
        lines += [f"  {path}: {_told(path, *values)}" for path, values in found.items()]
    return lines


def _told(path: str, here: Any, there: Any) -> str:
    short = _side(here), _side(there)
    if short[0] == short[1]:
        short = _side(here, whole=True), _side(there, whole=True)
    names = [step.partition("[")[0] for step in path.split(".")]
    meaning = MEANING.get(names[-1]) or MEANING.get(names[0])
    return f"{short[0]} here, {short[1]} there" + (f" ({meaning})" if meaning else "")


def _side(value: object, whole: bool = False) -> str:
    return "absent" if value is ABSENT else in_words(value, whole)

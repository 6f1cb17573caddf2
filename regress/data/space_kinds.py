"""Which feature spaces keep the places of a picture, for models that take them as such."""

import re
from collections.abc import Sequence

from base import run_hint
from cache import Entry, FeatureStore
from regress.errors import RegressError

EXAMPLE = "alexnet@conv5#grid4~0"


def places_in(entry: Entry) -> set[int]:
    """Count the places that the layers of a space keep.

    A grid that is not projected holds each component at each place, places varying fastest; so do
    several layers of one grid side by side.

    Returns
    -------
    set of int
        The count of each layer, 0 for one that keeps none: vectors, class tokens, means over all
        places, projections, and columns that were imported. What "flatten" kept is not said in the
        cache.
    """
    layers = entry.meta["key"].get("layers") or [{}]
    grids = [re.fullmatch(r"grid(\d+)", str(layer.get("pooling"))) for layer in layers]
    return {
        int(grid[1]) ** 2 if grid and int(grid[1]) > 1 and not layer.get("projection") else 0
        for layer, grid in zip(layers, grids, strict=True)
    }


def find_places(store: FeatureStore, entries: Sequence[Entry]) -> int:
    """Count the places of spaces that lie side by side."""
    for entry in entries:
        if 0 in places_in(entry):
            raise RegressError(
                f"--params.over tokens: {entry.name} does not keep the places of a picture, which "
                f"a grid does that is not projected; {_others(store)}"
            )
    counts = {count for entry in entries for count in places_in(entry)}
    if len(counts) > 1:
        found = "; ".join(
            f"{entry.name} {' and '.join(map(str, sorted(places_in(entry))))}" for entry in entries
        )
        raise RegressError(
            f"--params.over tokens: found different numbers of places, {found}; expected one grid "
            f"for all, for example {EXAMPLE}"
        )
    return counts.pop()


def check_pixels(store: FeatureStore, entries: Sequence[Entry]) -> None:
    """Refuse spaces that are no pictures, for models that learn from pictures."""
    if len(entries) != 1 or not _is_pixels(entries[0]):
        there = sorted({entry.name for entry in store.readable_entries() if _is_pixels(entry)})
        found = " and ".join(entry.name for entry in entries)
        fix = f"such as {', '.join(there)}" if there else run_hint("features", spaces=["pixels:64"])
        if not any(0 in places_in(entry) for entry in entries):
            fix += "; or --params.over tokens"
        raise RegressError(
            f"--params.over pixels: found {found}, expected one space of pixels alone, {fix}"
        )


def _is_pixels(entry: Entry) -> bool:
    return bool(entry.meta["key"].get("family") == "pixels")


def _others(store: FeatureStore) -> str:
    those = [(entry.name, places_in(entry)) for entry in store.readable_entries()]
    named = sorted({f"{name} ({max(counts)} places)" for name, counts in those if 0 not in counts})
    if named:
        return f"those in {store.folder} are: {', '.join(named)}"
    return f"none in {store.folder} does: {run_hint('features', spaces=[EXAMPLE])}"

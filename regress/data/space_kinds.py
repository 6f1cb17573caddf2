"""Check that feature spaces suit models that learn from places of a picture, or from pixels."""

import re
from collections.abc import Sequence

from base import run_hint
from cache import Entry, FeatureStore
from regress.errors import RegressError

EXAMPLE = "alexnet@conv5#grid4~0"


def count_places(entry: Entry) -> set[int]:
    """Count the places of a picture that each layer of a space keeps.

    A grid that is not projected holds each component at each place, places varying fastest; so do
    several layers of one grid side by side.

    Returns
    -------
    set of int
        The counts of the layers; 0 for vectors, class tokens, means over places, projections and
        imported columns, and for "flatten", whose places the cache does not record.
    """
    layers = entry.meta["key"].get("layers") or [{}]
    grids = [re.fullmatch(r"grid(\d+)", str(layer.get("pooling"))) for layer in layers]
    return {
        int(grid[1]) ** 2 if grid and int(grid[1]) > 1 and not layer.get("projection") else 0
        for layer, grid in zip(layers, grids, strict=True)
    }


def common_place_count(store: FeatureStore, entries: Sequence[Entry]) -> int:
    """Return the number of places of each space, which must be the same for all."""
    for entry in entries:
        if 0 in count_places(entry):
            raise RegressError(
                f"--params.over tokens: {entry.name} does not keep the places of a picture; "
                f"expected a grid that is not projected; {_suggest_spaces(store)}"
            )
    counts = {count for entry in entries for count in count_places(entry)}
    if len(counts) > 1:
        summary = "; ".join(
            f"{entry.name} {' and '.join(map(str, sorted(count_places(entry))))}"
            for entry in entries
        )
        raise RegressError(
            f"--params.over tokens: found different numbers of places, {summary}; expected one "
            f"grid for all, for example {EXAMPLE}"
        )
    return counts.pop()


def check_pixels(store: FeatureStore, entries: Sequence[Entry]) -> None:
    """Check that a model that learns from pictures gets one space of pixels alone."""
    if len(entries) != 1 or not _is_pixels(entries[0]):
        pixel_spaces = sorted(
            {entry.name for entry in store.readable_entries() if _is_pixels(entry)}
        )
        names = " and ".join(entry.name for entry in entries)
        fix = (
            f"such as {', '.join(pixel_spaces)}"
            if pixel_spaces
            else run_hint("features", spaces=["pixels:64"])
        )
        if not any(0 in count_places(entry) for entry in entries):
            fix += "; or --params.over tokens"
        raise RegressError(
            f"--params.over pixels: found {names}, expected one space of pixels alone, {fix}"
        )


def _is_pixels(entry: Entry) -> bool:
    return bool(entry.meta["key"].get("family") == "pixels")


def _suggest_spaces(store: FeatureStore) -> str:
    spaces = [(entry.name, count_places(entry)) for entry in store.readable_entries()]
    descriptions = sorted(
        {f"{name} ({max(counts)} places)" for name, counts in spaces if 0 not in counts}
    )
    if descriptions:
        return f"such spaces in {store.folder}: {', '.join(descriptions)}"
    return f"there is none in {store.folder}: {run_hint('features', spaces=[EXAMPLE])}"

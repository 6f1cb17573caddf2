"""Values to colours: what a map looks like, and the pictures of it.

Colours are those of the bar beside the map, never shaded: perceptually even scales (matplotlib's
inferno, viridis, cividis) that any colour vision can read, dark where low. What may be negative has
a diverging scale, white at 0: blue is below, red above. Cortex that was not measured is grey.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import matplotlib as mpl
import numpy as np
from matplotlib.colors import to_rgb
from numpy.typing import NDArray

from challenge import HEMISPHERES
from evaluate.maps.camera import Picture
from evaluate.maps.outlines import outlines
from evaluate.maps.values import Known, Sides
from evaluate.tables.scores_figure import COLOURS

STEPS = 256
# Vertices whose ceiling is 0 have no score: they are neither dark nor grey.
EXCLUDED = (0.42, 0.50, 0.56)
LINE, HALO = (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Map:
    """One map: values, and how they are coloured.

    Attributes
    ----------
    name : str
        Short, for file names: "score", "unique-alexnet".
    title : str
        What stands above it.
    unit : str
        What stands at its bar.
    values : dict of str to array (n_mesh_vertices,), float64
        By hemisphere; NaN is not shown. With `categories`, their numbers.
    high : float
        The value of the last colour of the scale.
    scale : str
        matplotlib's name of the colours.
    mark : float, optional
        The mean ceiling in the map's own unit, marked on the bar.
    categories : tuple of str
        Names, where the values are numbers of categories.
    strength : dict of str to array (n_mesh_vertices,), float64
        With categories, how bright each vertex is, 0..1.
    source : str
        Of which model and pictures, where that is not the run that is shown.
    low : float
        The value of the first colour.
    """

    name: str
    title: str
    unit: str
    values: Sides
    high: float
    scale: str = "inferno"
    mark: float | None = None
    categories: tuple[str, ...] = ()
    strength: Sides = field(default_factory=dict)
    source: str = ""
    low: float = 0


def maps_of(known: Known, limits: Sequence[Known] | None = None) -> list[Map]:
    """List the maps of a subject.

    Parameters
    ----------
    limits : sequence of Known, optional
        All that are to be compared, which share the colours' limits; `known` alone by default.

    Returns
    -------
    list of Map
        Score and ceiling where there are ceilings, r, the best space and unique parts where spaces
        can be told apart.
    """
    every = limits or [known]
    found = []
    if _any(known.score):
        found.append(Map("score", "Noise-normalised score", "% of the ceiling", known.score, 100,
                         mark=100))  # fmt: skip
    root = {h: np.sqrt(values) for h, values in known.ceiling.items()}
    high = _upper([one.r for one in every], [{h: np.sqrt(c) for h, c in one.ceiling.items()}
                                             for one in every])  # fmt: skip
    found.append(
        Map("r", "Pearson's r", "r", known.r, high, "viridis", mark=_average(root))
    )  # fmt: skip
    if _any(known.ceiling):
        high = _upper([one.ceiling for one in every])
        found.append(Map("ceiling", "Noise ceiling", "explainable share of the variance",
                         known.ceiling, high, "cividis"))  # fmt: skip
    if len(known.alone) > 1:
        found.append(_best(known, every))
    parts = [sides for one in every for sides in one.unique.values()]
    high = _upper([{h: np.abs(values) for h, values in sides.items()} for sides in parts])
    found += [
        Map(f"unique-{space}", f"Unique to {space}", "part of R² that no other space explains",
            sides, high, "RdBu_r", source=known.source, low=-high)
        for space, sides in known.unique.items()
    ]  # fmt: skip
    return found


def best_space(alone: dict[str, Sides]) -> tuple[Sides, Sides]:
    """Find the space that predicts each vertex best.

    Parameters
    ----------
    alone : dict of str to dict of str to array (n_mesh_vertices,)
        For each space, r of a model on it alone, by hemisphere.

    Returns
    -------
    which, r : dict of str to array (n_mesh_vertices,), float64
        By hemisphere, the number of the space and its r, which may be negative; NaN where no space
        has an r.
    """
    which, best = {}, {}
    for h in HEMISPHERES:
        each = np.stack([sides[h] for sides in alone.values()])
        each = np.where(np.isnan(each), -np.inf, each)
        known = np.isfinite(each.max(0))
        which[h] = np.where(known, each.argmax(0), np.nan)
        best[h] = np.where(known, each.max(0), np.nan)
    return which, best


def _best(known: Known, every: Sequence[Known]) -> Map:
    which, best = best_space(known.alone)
    high = _upper([sides for one in every for sides in one.alone.values()])
    return Map(
        "best-space",
        "Space that predicts best alone",
        "darker where its r is lower",
        which,
        high,
        categories=tuple(known.alone),
        source=known.source,
        strength={h: np.clip(values / high, 0, 1) for h, values in best.items()},
    )


def _any(sides: Sides) -> bool:
    return any(np.isfinite(values).any() for values in sides.values())


def _average(sides: Sides) -> float | None:
    values = np.concatenate(list(sides.values()))
    return float(np.nanmean(values)) if np.isfinite(values).any() else None


def _upper(*groups: Sequence[Sides]) -> float:
    """Round the greatest of nearly all values up to a tenth of one, or of a tenth."""
    tops = [
        np.nanpercentile(values, 99.5)
        for sides in groups
        for side in sides
        for values in side.values()
        if np.isfinite(values).any()
    ]
    top = max(tops, default=1.0)
    step = 0.1 if top > 0.1 else 0.01
    return float(max(step, np.ceil(round(top / step, 6)) * step))


def colours(shown: Map, hemisphere: str) -> NDArray[np.float64]:
    """Colour every vertex of the mesh.

    Returns
    -------
    array (n_mesh_vertices, 4), float64
        Red, green, blue, and whether there is a value.
    """
    values = shown.values[hemisphere]
    there = np.isfinite(values)
    if shown.categories:
        table = np.array([to_rgb(COLOURS[i % len(COLOURS)]) for i in range(len(shown.categories))])
        strength = shown.strength[hemisphere][:, None]
        rgb = table[np.nan_to_num(values).astype(int)] * (0.15 + 0.85 * np.nan_to_num(strength))
    else:
        table = mpl.colormaps[shown.scale](np.linspace(0, 1, STEPS))[:, :3]
        place = (np.nan_to_num(values) - shown.low) / (shown.high - shown.low)
        place = np.clip(place, 0, 1)
        rgb = table[np.round(place * (STEPS - 1)).astype(int)]
    return np.concatenate([rgb, there[:, None]], axis=1)


def paint(picture: Picture, shown: Map, known: Known, outlined: bool = True) -> NDArray[np.uint8]:
    """Paint one view.

    Parameters
    ----------
    known : Known
        Whose ROIs are outlined, and whose ceilings of 0 are marked.

    Returns
    -------
    array (height, width, 4), uint8
        Red, green, blue and opacity; transparent beside the brain.
    """
    h, vertex = picture.hemisphere, picture.vertex
    rgb = np.repeat((picture.grey * picture.light)[..., None], 3, axis=2)
    coloured = colours(shown, h)[vertex]
    if shown.name == "score":
        rgb[np.isfinite(known.r[h][vertex])] = EXCLUDED
    there = coloured[..., 3] > 0
    rgb[there] = coloured[there, :3]
    if outlined:
        halo, line = outlines(picture, known.labels[h])
        rgb[halo], rgb[line] = HALO, LINE
    opaque = (vertex >= 0).astype(rgb.dtype)
    return (np.dstack([rgb * opaque[..., None], opaque]) * 255).round().astype(np.uint8)

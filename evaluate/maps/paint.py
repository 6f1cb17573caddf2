"""Colours of maps, and their pictures.

Colours are those of the bar beside the map, never shaded: perceptually even scales (matplotlib's
inferno, viridis, cividis) that any colour vision can read, dark where low. Values that may be
negative have a diverging scale, white at 0: blue is below, red above. Cortex that was not
measured is grey.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import matplotlib as mpl
import numpy as np
from matplotlib.colors import to_rgb
from numpy.typing import NDArray

from challenge import HEMISPHERES
from evaluate.arrays import Floats
from evaluate.maps.camera import RenderedView
from evaluate.maps.outlines import find_borders
from evaluate.maps.values import Sides, SubjectValues, map_sides
from evaluate.tables.scores_figure import COLOURS

STEPS = 256
# Vertices whose ceiling is 0 have no score, and a colour that is on no scale.
EXCLUDED = (0.42, 0.50, 0.56)
LINE, HALO = (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Map:
    """Values of a map, and their colours."""

    name: str  # short, for file names: "score", "unique-alexnet"
    title: str  # title above the map
    unit: str  # label of the colour bar
    # (n_mesh_vertices,): values by hemisphere; NaN is not shown. With `categories`, numbers of
    # categories.
    values: Sides
    high: float  # the value of the last colour of the scale
    scale: str = "inferno"  # name of a matplotlib colormap
    mark: float | None = None  # the mean ceiling in the map's own unit, marked on the bar
    categories: tuple[str, ...] = ()  # names of the categories, if values are categories
    # (n_mesh_vertices,): with categories, the brightness of each vertex, 0..1.
    strength: Sides = field(default_factory=dict)
    source: str = ""  # model and pictures of the values, if they are not of the run that is shown
    low: float = 0  # the value of the first colour


def maps_of(subject: SubjectValues, limits: Sequence[SubjectValues] | None = None) -> list[Map]:
    """Return the maps of a subject: score and ceiling, r, best space and unique parts.

    Maps without values are left out. The colours' limits are shared by the subjects in `limits`.
    """
    subjects = limits or [subject]
    maps = []
    if _has_values(subject.score):
        maps.append(Map("score", "Noise-normalised score", "% of the ceiling", subject.score, 100,
                         mark=100))  # fmt: skip
    root = map_sides(np.sqrt, subject.ceiling)
    roots = [map_sides(np.sqrt, compared.ceiling) for compared in subjects]
    high = _upper_limit([compared.r for compared in subjects], roots)
    maps.append(Map("r", "Pearson's r", "r", subject.r, high, "viridis", mark=_average(root)))
    if _has_values(subject.ceiling):
        high = _upper_limit([compared.ceiling for compared in subjects])
        maps.append(Map("ceiling", "Noise ceiling", "explainable share of the variance",
                         subject.ceiling, high, "cividis"))  # fmt: skip
    if len(subject.alone) > 1:
        maps.append(_best_space_map(subject, subjects))
    parts = [sides for compared in subjects for sides in compared.unique.values()]
    high = _upper_limit([map_sides(np.abs, sides) for sides in parts])
    maps += [
        Map(f"unique-{space}", f"Unique to {space}", "part of R² that no other space explains",
            sides, high, "RdBu_r", source=subject.source, low=-high)
        for space, sides in subject.unique.items()
    ]  # fmt: skip
    return maps


def best_space(alone: dict[str, Sides]) -> tuple[Sides, Sides]:
    """Return, by hemisphere, the number of the space with the greatest r at each vertex, and its r.

    Both are arrays (n_mesh_vertices,), NaN where no space has an r; `alone` has r by space and
    hemisphere.
    """
    index, best = {}, {}
    for h in HEMISPHERES:
        r = np.stack([sides[h] for sides in alone.values()])
        r = np.where(np.isnan(r), -np.inf, r)
        is_finite = np.isfinite(r.max(0))
        index[h] = np.where(is_finite, r.argmax(0), np.nan)
        best[h] = np.where(is_finite, r.max(0), np.nan)
    return index, best


def _best_space_map(subject: SubjectValues, subjects: Sequence[SubjectValues]) -> Map:
    index, best = best_space(subject.alone)
    high = _upper_limit([sides for compared in subjects for sides in compared.alone.values()])
    return Map(
        "best-space",
        "Space that predicts best alone",
        "darker where its r is lower",
        index,
        high,
        categories=tuple(subject.alone),
        source=subject.source,
        strength={h: np.clip(values / high, 0, 1) for h, values in best.items()},
    )


def _has_values(sides: Sides) -> bool:
    return any(np.isfinite(values).any() for values in sides.values())


def _average(sides: Sides) -> float | None:
    values = np.concatenate(list(sides.values()))
    return float(np.nanmean(values)) if np.isfinite(values).any() else None


def _upper_limit(*groups: Sequence[Sides]) -> float:
    """Return the 99.5th percentile, rounded up to a multiple of 0.1, or of 0.01 below 0.1."""
    sides = [side for group in groups for side in group]
    arrays = [values for side in sides for values in side.values() if np.isfinite(values).any()]
    percentiles = [np.nanpercentile(values, 99.5) for values in arrays]
    top = max(percentiles, default=1.0)
    step = 0.1 if top > 0.1 else 0.01
    return float(max(step, np.ceil(round(top / step, 6)) * step))


def vertex_colours(brain_map: Map, hemisphere: str) -> Floats:
    """Return red, green, blue, and 1 where there is a value, as an array (n_mesh_vertices, 4)."""
    values = brain_map.values[hemisphere]
    has_value = np.isfinite(values)
    if brain_map.categories:
        table = np.array(
            [to_rgb(COLOURS[i % len(COLOURS)]) for i in range(len(brain_map.categories))]
        )
        strength = brain_map.strength[hemisphere][:, None]
        rgb = table[np.nan_to_num(values).astype(int)] * (0.15 + 0.85 * np.nan_to_num(strength))
    else:
        table = mpl.colormaps[brain_map.scale](np.linspace(0, 1, STEPS))[:, :3]
        fraction = (np.nan_to_num(values) - brain_map.low) / (brain_map.high - brain_map.low)
        fraction = np.clip(fraction, 0, 1)
        rgb = table[np.round(fraction * (STEPS - 1)).astype(int)]
    return np.concatenate([rgb, has_value[:, None]], axis=1)


def paint(
    view: RenderedView, brain_map: Map, subject: SubjectValues, outlined: bool = True
) -> NDArray[np.uint8]:
    """Paint one view of a map, with the outlines of the subject's regions.

    The array (height, width, 4) has red, green, blue and opacity; it is transparent outside the
    brain.
    """
    h, vertex = view.hemisphere, view.vertex
    rgb = np.repeat((view.grey * view.light)[..., None], 3, axis=2)
    coloured = vertex_colours(brain_map, h)[vertex]
    if brain_map.name == "score":
        rgb[np.isfinite(subject.r[h][vertex])] = EXCLUDED
    has_value = coloured[..., 3] > 0
    rgb[has_value] = coloured[has_value, :3]
    if outlined:
        halo, line = find_borders(view, subject.labels[h])
        rgb[halo], rgb[line] = HALO, LINE
    opaque = (vertex >= 0).astype(rgb.dtype)
    return (np.dstack([rgb * opaque[..., None], opaque]) * 255).round().astype(np.uint8)

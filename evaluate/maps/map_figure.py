"""A map for a paper: all views of both hemispheres, with its colour bar."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke

from evaluate.maps.camera import VIEWS, RenderedView
from evaluate.maps.outlines import place_names
from evaluate.maps.paint import EXCLUDED, Map, paint
from evaluate.maps.values import SubjectValues
from evaluate.tables.scores_figure import COLOURS

# The flat maps are the largest.
LAYOUT: Any = [
    [f"lh {view}", f"rh {view}", "lh flat", "rh flat"] for view in VIEWS if view != "flat"
]
# SVGs of equal maps have equal bytes, and their text stays text.
SETTINGS: Any = {"svg.hashsalt": "roiridge", "svg.fonttype": "none"}


def draw_map(
    brain_map: Map,
    subject: SubjectValues,
    views: Sequence[RenderedView],
    outlined: str,
    about: str,
    paths: Sequence[Path],
) -> None:
    """Draw one map as PNG or SVG, by the suffixes of `paths`, with the line `about` as subtitle.

    In an SVG the brain is pixels, and the rest text.
    """
    figure = Figure(figsize=(12, 5.6), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplot_mosaic(LAYOUT, width_ratios=(1, 1, 1.7, 1.7), height_ratios=(7, 7, 4))
    for view in views:
        axes = grid[f"{view.hemisphere} {view.view}"]
        axes.imshow(paint(view, brain_map, subject))
        axes.set_axis_off()
        if view.view in {"lateral", "flat"}:
            axes.set_title({"lh": "left", "rh": "right"}[view.hemisphere], fontsize=10)
        if view.view == "flat":
            _name_regions(axes, view, subject, subject.regions)
    _draw_bar(figure, grid, brain_map)
    title = {"ha": "left", "x": 0.01}
    figure.suptitle(f"{brain_map.title}\n\n", fontsize=13, **title)
    figure.text(0.01, 0.93, about, fontsize=8.5, color="0.35", va="top")
    with mpl.rc_context(SETTINGS):
        for path in paths:
            # Without date and version, equal maps have equal bytes.
            metadata: Any = {"Date": None} if path.suffix == ".svg" else {"Software": None}
            figure.savefig(path, metadata=metadata, facecolor="white", dpi=300)


def _name_regions(
    axes: Axes, view: RenderedView, subject: SubjectValues, names: Sequence[str]
) -> None:
    places = place_names(view, subject.labels[view.hemisphere], names)
    for name, (x, y) in places.items():
        axes.text(x, y, name, fontsize=7, ha="center", va="center", color="white",
                  path_effects=[withStroke(linewidth=1.6, foreground="black")])  # fmt: skip


def _draw_bar(figure: Figure, grid: Mapping[str, Axes], brain_map: Map) -> None:
    if brain_map.categories:
        patches = [Patch(color=COLOURS[i % len(COLOURS)], label=name)
                   for i, name in enumerate(brain_map.categories)]  # fmt: skip
        title = f"{brain_map.unit} (brightest: {brain_map.high:g})"
        figure.legend(handles=patches, loc="outside lower center", ncols=len(patches), title=title,
                      frameon=False)  # fmt: skip
        return
    bar = figure.colorbar(
        ScalarMappable(Normalize(brain_map.low, brain_map.high), mpl.colormaps[brain_map.scale]),
        ax=list(grid.values()), orientation="horizontal", shrink=0.4, aspect=40, pad=0.02,
    )  # fmt: skip
    bar.set_label(brain_map.unit, fontsize=9)
    if brain_map.mark is not None and np.isfinite(brain_map.mark):
        x = min(brain_map.mark, brain_map.high)
        bar.ax.axvline(x, color="#e00", linewidth=2)
        label = "ceiling" if brain_map.name == "score" else f"mean ceiling {brain_map.mark:.2f}"
        bar.ax.annotate(label, (x, 1), (0, 2), fontsize=8, ha="center",
                        xycoords=("data", "axes fraction"), textcoords="offset points")  # fmt: skip
    if brain_map.name == "score":
        figure.legend(handles=[Patch(color=EXCLUDED, label="ceiling 0: no score")],
                      loc="outside lower right", frameon=False, fontsize=8)  # fmt: skip

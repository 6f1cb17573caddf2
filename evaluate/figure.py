"""The figure beside scores.csv, for print: a panel per ROI class, a point per ROI and fit."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from base import plural, replacing
from evaluate.predicted import ENSEMBLE
from evaluate.rows import class_order
from evaluate.table import Model, measure, models_of, overall

# Okabe and Ito's colours, told apart with any colour vision; black is the ensemble's.
COLOURS = ("#E69F00", "#56B4E9", "#009E73", "#CC79A7", "#D55E00", "#0072B2", "#F0E442")
HATCHES = ("", "///", "...", "xxx")
# Shapes tell fits apart where the print has no colours.
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
# More are no longer told apart; those of the highest means are drawn.
MOST_FITS = 8
# Inches: of a page, of what a panel has beside its points, of the most and least for a point.
WIDTH, HEIGHT, AROUND = 7.5, 10.0, 0.45
WIDEST, NARROWEST = 0.11, 0.05
COLUMNS = 2
# Text of a PDF stays text, and equal figures have equal bytes.
SETTINGS: Any = {"pdf.fonttype": 42, "font.size": 8, "axes.linewidth": 0.6}
METADATA: dict[str, Any] = {
    ".png": {"Software": None},
    ".pdf": {"Creator": None, "Producer": None, "CreationDate": None},
}


def draw_all(frame: pd.DataFrame, sidecar: Mapping[str, Any], paths: Sequence[Path]) -> None:
    """Draw the means per ROI over all subjects and both hemispheres.

    Parameters
    ----------
    frame : DataFrame
        Rows of scores.csv.
    sidecar : mapping
        What scores.json says of them.
    paths : sequence of Path
        The files, whose suffixes say what they are: .png or .pdf. Their bytes depend on nothing
        but the arguments.
    """
    with mpl.rc_context(SETTINGS):
        figure = _figure(overall(frame), sidecar, measure(frame))
        for path in paths:
            with replacing(path) as temporary:
                figure.savefig(temporary, dpi=200, metadata=METADATA[path.suffix])


def _figure(whole: pd.DataFrame, sidecar: Mapping[str, Any], shown: str) -> Figure:
    models, n_left_out = _drawn(whole, models_of(whole, sidecar), shown)
    rois = whole[(whole["roi"] != "all") & whole["fit"].isin([model.fit for model in models])]
    classes = class_order(rois["roi_class"])
    columns = [classes[i::COLUMNS] for i in range(COLUMNS)]
    n_lines = rois.groupby("roi_class")["roi"].nunique() * (len(models) + 1)
    notes = 0.2 * (len(models) // 2 + 3)
    line = min(
        (HEIGHT - notes - AROUND * len(column)) / n_lines[column].sum()
        for column in columns
        if column
    )
    line = float(np.clip(line, NARROWEST, WIDEST))
    heights = {name: AROUND + line * float(n_lines[name]) for name in classes}
    tallest = max(sum(heights[name] for name in column) for column in columns)
    figure = Figure(figsize=(WIDTH, tallest + notes), layout="constrained")
    FigureCanvasAgg(figure)
    sides = figure.subfigures(1, sum(map(bool, columns)), squeeze=False)[0]
    axes: dict[str, Axes] = {}
    for side, column in zip(sides, filter(None, columns), strict=True):
        # What a column is shorter than the other stays blank below it.
        ratios = [heights[name] for name in column]
        blank = [rest] if (rest := tallest - sum(ratios)) > line else []
        grid = side.add_gridspec(len(column) + len(blank), 1, height_ratios=[*ratios, *blank])
        axes |= {name: side.add_subplot(grid[i]) for i, name in enumerate(column)}
        unit = "noise-normalised score, %" if shown == "score" else "Pearson's r"
        axes[column[-1]].set_xlabel(unit)
    high = max(rois[f"{shown}_high"].max(), rois[shown].max())
    low = min(0, rois[f"{shown}_low"].min(), rois[shown].min())
    for name in classes:
        of_class = rois[rois["roi_class"] == name]
        _panel(axes[name], of_class, models, shown, min(3.6, 65 * line))
        axes[name].set_title(name, fontsize=8.5, loc="left")
        axes[name].set_xlim(low - 0.02 * (high - low), high + 0.02 * (high - low))
    handles, labels = axes[classes[0]].get_legend_handles_labels()
    labels = [textwrap.fill(label, 110) for label in labels]
    n_columns = 2 if max(map(len, labels)) <= 48 else 1
    figure.legend(handles, labels, loc="outside lower center", ncols=n_columns, frameon=False)
    figure.suptitle(_title(sidecar, shown, n_left_out), fontsize=9)
    return figure


def _drawn(whole: pd.DataFrame, models: Sequence[Model], shown: str) -> tuple[list[Model], int]:
    """Choose the fits that are drawn, in their order, and count the others."""
    if len(models) <= MOST_FITS:
        return list(models), 0
    every = whole[whole["roi_class"] == "all"].set_index("fit")[shown].fillna(-np.inf)
    best = set(every.drop(ENSEMBLE, errors="ignore").nlargest(MOST_FITS - 1).index) | {ENSEMBLE}
    drawn = [model for model in models if model.fit in best]
    return drawn, len(models) - len(drawn)


def _title(sidecar: Mapping[str, Any], shown: str, n_left_out: int) -> str:
    on = {"test": "test", "heldout": "held-out"}[sidecar["split"]]
    subjects = list(sidecar["n_pictures"])
    whose = f"subject {subjects[0]}" if len(subjects) == 1 else plural(len(subjects), "subject")
    title = f"Mean over vertices per ROI, {on} pictures, {whose}, both hemispheres"
    below = "95 % intervals" if sidecar["settings"]["resamples"] else "no intervals"
    if shown != "score":
        below += "; not noise-normalised"
    if n_left_out:
        below += f"; {plural(n_left_out, 'other fit')} with lower means in scores.csv"
    if sidecar["simulated"]:
        below += "; SIMULATED responses"
    if sidecar["leaked"] and sidecar["split"] == "test":
        below += "; WARNING: test pictures were training pictures"
    return f"{title}\n{below}"


def _panel(
    axes: Axes, rois: pd.DataFrame, models: Sequence[Model], shown: str, size: float
) -> None:
    names = list(dict.fromkeys(rois["roi"]))
    place = {roi: i for i, roi in enumerate(names)}
    step = 1 / (len(models) + 1)
    for i, model in enumerate(models):
        of = rois[rois["fit"] == model.fit]
        y = of["roi"].map(place).to_numpy(float) + (i - (len(models) - 1) / 2) * step
        look = _look(model, i)
        axes.hlines(y, of[f"{shown}_low"], of[f"{shown}_high"], color=look["color"], linewidth=1)
        axes.plot(of[shown], y, linestyle="none", markersize=size, markeredgewidth=0.4,
                  markeredgecolor="black", label=model.title, **look)  # fmt: skip
    chance = rois.groupby("roi")["chance"].last().reindex(names)
    if shown == "score" and chance.notna().any():
        rows = np.arange(len(names))
        axes.vlines(chance, rows - 0.45, rows + 0.45, color="0.35", linewidth=0.9, linestyle=":",
                    label="chance")  # fmt: skip
    axes.set_yticks(range(len(names)), [name if len(name) <= 16 else f"{name[:15]}…"
                                        for name in names])  # fmt: skip
    axes.set_ylim(len(names) - 0.5, -0.5)
    for edge in range(1, len(names)):
        axes.axhline(edge - 0.5, color="0.85", linewidth=0.5)
    axes.tick_params(axis="y", length=0)
    axes.xaxis.grid(True, color="0.9", linewidth=0.5)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _look(model: Model, index: int) -> dict[str, Any]:
    if model.fit == ENSEMBLE:
        return {"color": "black", "marker": "*"}
    return {"color": COLOURS[index % len(COLOURS)], "marker": MARKERS[index % len(MARKERS)]}

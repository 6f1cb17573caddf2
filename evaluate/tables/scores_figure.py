"""The figure of scores.csv for print: a panel per ROI class, a point per ROI and fit."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from base import plural, replacing
from evaluate.fits.run_labels import ENSEMBLE, FitLabel
from evaluate.scoring.hemisphere_rows import class_order
from evaluate.scoring.score_report import ScoreReport

# Okabe and Ito's colours, distinct for any colour vision; black is the ensemble's.
COLOURS = ("#E69F00", "#56B4E9", "#009E73", "#CC79A7", "#D55E00", "#0072B2", "#F0E442")
HATCHES = ("", "///", "...", "xxx")
# Shapes distinguish fits where the print has no colours.
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
# More could not be distinguished; the fits of the highest means are drawn.
MOST_FITS = 8
# Inches: a page; names of ROIs at the left of a panel; space above and below it; the title; a line
# of the legend; largest and smallest height of a point.
WIDTH, HEIGHT = 7.5, 10.0
NAMES, ABOVE, BELOW, TITLE, LEGEND = 1.0, 0.25, 0.22, 0.4, 0.17
WIDEST, NARROWEST = 0.11, 0.05
COLUMNS = 2
# Text of a PDF stays text, and equal figures have equal bytes.
SETTINGS: Any = {"pdf.fonttype": 42, "font.size": 8, "axes.linewidth": 0.6}
METADATA: dict[str, Any] = {
    ".png": {"Software": None},
    ".pdf": {"Creator": None, "Producer": None, "CreationDate": None},
}


def draw_all(report: ScoreReport, paths: Sequence[Path]) -> None:
    """Draw the means per ROI over all subjects and both hemispheres.

    The suffix of each path is its format, .png or .pdf. Equal arguments give equal bytes.
    """
    with mpl.rc_context(SETTINGS):
        figure = _figure(report)
        for path in paths:
            with replacing(path) as temporary:
                figure.savefig(temporary, dpi=200, metadata=METADATA[path.suffix])


def _figure(report: ScoreReport) -> Figure:
    metric, rows = report.metric, report.overall
    models, n_left_out = _select_models(report)
    rois = rows[(rows["roi"] != "all") & rows["fit"].isin([model.fit for model in models])]
    classes = class_order(rois["roi_class"])
    columns = [column for i in range(COLUMNS) if (column := classes[i::COLUMNS])]
    labels = [textwrap.fill(model.title, 110) for model in models] + ["chance"]
    per_line = 2 if max(map(len, labels)) <= 48 else 1
    n_legend = sum(1 + label.count("\n") for label in labels) / per_line + 2
    # The height of a panel depends on its number of points, that of the page on its panels.
    n_points = rois.groupby("roi_class")["roi"].nunique() * (len(models) + 1)
    notes, around = TITLE + LEGEND * n_legend, ABOVE + BELOW
    steps = [(HEIGHT - notes - around * len(names)) / n_points[names].sum() for names in columns]
    step = float(np.clip(min(steps), NARROWEST, WIDEST))
    tallest = max(around * len(names) + step * n_points[names].sum() for names in columns)
    size = (WIDTH, float(tallest + notes))
    figure = Figure(figsize=size)
    FigureCanvasAgg(figure)
    # Axes are placed by hand: a constrained layout takes ten times as long.
    panel_width = WIDTH / len(columns)
    panels: list[Axes] = []
    for number, column in enumerate(columns):
        y = size[1] - TITLE
        for name in column:
            height = step * float(n_points[name])
            y -= ABOVE + height
            left = (panel_width * number + NAMES) / size[0]
            width = (panel_width - NAMES - 0.2) / size[0]
            position = (left, y / size[1], width, height / size[1])
            panels.append(figure.add_axes(position, sharex=panels[0] if panels else None))
            class_rows = rois[rois["roi_class"] == name]
            _panel(panels[-1], class_rows, models, metric, min(3.6, 65 * step))
            panels[-1].set_title(name, fontsize=8.5, loc="left", pad=4)
            y -= BELOW
        panels[-1].set_xlabel("noise-normalised score, %" if metric == "score" else "Pearson's r")
    handles = panels[0].get_legend_handles_labels()[0]
    figure.legend(handles, labels[: len(handles)], loc="lower center", ncols=per_line,
                  frameon=False)  # fmt: skip
    title = _title(report, n_left_out)
    figure.text(0.5, 1 - 0.05 / size[1], title, fontsize=9, ha="center", va="top")
    return figure


def _select_models(report: ScoreReport) -> tuple[list[FitLabel], int]:
    """Return the fits to draw, in their order, and the number of the others."""
    models = report.models
    if len(models) <= MOST_FITS:
        return models, 0
    means = report.whole.set_index("fit")[report.metric].fillna(-np.inf)
    best = set(means.drop(ENSEMBLE, errors="ignore").nlargest(MOST_FITS - 1).index) | {ENSEMBLE}
    selected = [model for model in models if model.fit in best]
    return selected, len(models) - len(selected)


def _title(report: ScoreReport, n_left_out: int) -> str:
    caveats = report.caveats
    split = {"test": "test", "heldout": "held-out"}[caveats.split]
    subjects = list(caveats.n_pictures)
    n = len(subjects)
    subject_text = f"subject {subjects[0]}" if n == 1 else plural(n, "subject")
    title = f"Mean over vertices per ROI, {split} pictures, {subject_text}, both hemispheres"
    below = "95 % intervals" if report.settings["resamples"] else "no intervals"
    if report.metric != "score":
        below += "; not noise-normalised"
    if n_left_out:
        below += f"; {plural(n_left_out, 'other fit')} with lower means in scores.csv"
    if caveats.simulated:
        below += "; SIMULATED responses"
    if caveats.leaked and caveats.split == "test":
        below += "; WARNING: test pictures were training pictures"
    return f"{title}\n{below}"


def _panel(
    axes: Axes, rois: pd.DataFrame, models: Sequence[FitLabel], metric: str, size: float
) -> None:
    names = list(dict.fromkeys(rois["roi"]))
    place = {roi: i for i, roi in enumerate(names)}
    step = 1 / (len(models) + 1)
    for i, model in enumerate(models):
        scores = rois[rois["fit"] == model.fit]
        y = scores["roi"].map(place).to_numpy(float) + (i - (len(models) - 1) / 2) * step
        style = _marker_style(model, i)
        axes.hlines(
            y, scores[f"{metric}_low"], scores[f"{metric}_high"], color=style["color"], linewidth=1
        )
        axes.plot(scores[metric], y, linestyle="none", markersize=size, markeredgewidth=0.4,
                  markeredgecolor="black", label=model.title, **style)  # fmt: skip
    chance = rois.groupby("roi")["chance"].last().reindex(names)
    if metric == "score" and chance.notna().any():
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


def _marker_style(model: FitLabel, index: int) -> dict[str, Any]:
    if model.fit == ENSEMBLE:
        return {"color": "black", "marker": "*"}
    return {"color": COLOURS[index % len(COLOURS)], "marker": MARKERS[index % len(MARKERS)]}

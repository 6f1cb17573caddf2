"""Charts of the page: bars per ROI, r² against ceiling, the responses of one vertex."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.colors import LogNorm

from evaluate.arrays import Array
from evaluate.fits.run_labels import ENSEMBLE, FitLabel
from evaluate.report.svg import INK, STYLE, new_figure, to_svg
from evaluate.scoring.hemisphere_rows import class_order
from evaluate.scoring.score_report import ScoreReport
from evaluate.tables.scores_figure import COLOURS, HATCHES

FAINT = 0.25


def colour(models: Sequence[FitLabel], index: int) -> str:
    """Return a model's colour: one of Okabe and Ito's, or the text's colour for the ensemble."""
    return INK if models[index].fit == ENSEMBLE else COLOURS[index % len(COLOURS)]


def on_page(ink: str) -> str:
    """Return a colour as it is written in HTML."""
    return "currentColor" if ink == INK else ink


def bars(report: ScoreReport) -> list[dict[str, str]]:
    """Draw, for each ROI class, a bar per ROI and model with its interval, ceiling and chance."""
    rows, metric = report.overall, report.metric
    charts = []
    for roi_class in class_order(rows["roi_class"]):
        scores = rows[(rows["roi_class"] == roi_class) & (rows["roi"] != "all")]
        if scores[metric].notna().any():
            svg = _bars(scores, report.models, metric, roi_class)
            charts.append({"title": roi_class, "svg": svg})
    return charts


def _bars(scores: pd.DataFrame, models: Sequence[FitLabel], metric: str, roi_class: str) -> str:
    rois = list(dict.fromkeys(scores["roi"]))
    figure, axes = new_figure(5.2, 2.7)
    width = 0.84 / len(models)
    for i, model in enumerate(models):
        rows = scores[scores["fit"] == model.fit].set_index("roi")
        values = rows[metric].reindex(rois).to_numpy(float)
        x = np.arange(len(rois)) + (i - (len(models) - 1) / 2) * width
        axes.bar(x, np.nan_to_num(values), width * 0.92, color=colour(models, i), linewidth=0,
                 hatch=HATCHES[i // len(COLOURS) % len(HATCHES)], alpha=0.9)  # fmt: skip
        if f"{metric}_low" in rows:
            low, high = (rows[f"{metric}_{end}"].reindex(rois).to_numpy(float)
                         for end in ("low", "high"))  # fmt: skip
            axes.vlines(x, low, high, color="#888888", linewidth=1.4)
    if metric == "score":
        axes.axhline(100, color=INK, linestyle="--", linewidth=1)
        axes.text(-0.48, 101, "noise ceiling", fontsize=8, va="bottom")
        axes.set_ylim(0, 112)
        chance = scores.groupby("roi")["chance"].last().reindex(rois).to_numpy(float)
        places = np.arange(len(rois))
        axes.hlines(chance, places - 0.45, places + 0.45, color=INK, linestyle=":", linewidth=1.2)
    axes.set_xlim(-0.55, len(rois) - 0.45)
    axes.set_xticks(range(len(rois)), rois)
    axes.tick_params(axis="x", length=0, labelrotation=20 if len(rois) > 5 else 0)
    axes.yaxis.grid(True, color=INK, alpha=0.12, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.set_ylabel("score, %" if metric == "score" else "Pearson's r")
    label = f"Bars of {metric} per ROI of {roi_class}; the numbers are in the table of scores."
    return to_svg(figure, label, f"bars {roi_class}")


def against_ceiling(ceiling: Array, r: Array) -> str:
    """Draw the density of r² of the vertices against their noise ceilings, as fractions."""
    figure, axes = new_figure(5.2, 4.2)
    square = np.maximum(r, 0) ** 2
    with mpl.rc_context(STYLE):
        hexagons = axes.hexbin(ceiling, square, gridsize=44, extent=(0, 1, 0, 1), mincnt=1,
                               cmap="viridis", norm=LogNorm(vmin=1), linewidths=0)  # fmt: skip
        bar: Any = figure.colorbar(hexagons, ax=axes, label="vertices")
    bar.outline.set_visible(False)
    axes.plot([0, 1], [0, 1], color=INK, linestyle="--", linewidth=1, label="100 % of the ceiling")
    axes.plot([0, 1], [0, 0.5], color=INK, linestyle=":", linewidth=1, label="50 %")
    figure.legend(frameon=False, loc="outside lower center", fontsize=8, ncols=2)
    top = min(1.0, 1.05 * float(max(np.nanmax(ceiling), np.nanmax(square))))
    axes.set_xlim(0, top)
    axes.set_ylim(0, top)
    axes.set_xlabel("noise ceiling: explainable share of the variance")
    axes.set_ylabel("r²: share that is predicted")
    label = (
        f"Density of {len(r)} vertices: predicted share of the variance against noise ceiling; "
        f"the median vertex has r² {np.nanmedian(square):.2f} "
        f"under a ceiling of {np.nanmedian(ceiling):.2f}."
    )
    return to_svg(figure, label, "ceiling")


def scatter(predicted: Array, measured: Array, about: Mapping[str, Any]) -> str:
    """Draw predicted against measured responses, (n_images,) each, of one vertex.

    `about` has the vertex' `name`, its `r`, and the `roi` of which it is an example.
    """
    figure, axes = new_figure(3.9, 3.5, (0.16, 0.14, 0.98, 0.98))
    axes.plot(predicted, measured, "o", color=INK, markersize=4, alpha=0.5,
              markeredgewidth=0)  # fmt: skip
    axes.axhline(0, color=INK, alpha=FAINT, linewidth=0.7)
    axes.axvline(0, color=INK, alpha=FAINT, linewidth=0.7)
    axes.set_xlabel("predicted response")
    axes.set_ylabel("measured response")
    label = f"Measured against predicted responses of {about['name']}: r = {about['r']:.2f}"
    return to_svg(figure, label, f"scatter {about['roi']}")

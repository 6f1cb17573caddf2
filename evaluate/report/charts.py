"""Charts as SVG that stands in the page: its ink is the page's own, light or dark."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from io import StringIO
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from challenge import ROI_CLASSES
from evaluate.figure import COLOURS, HATCHES
from evaluate.report.tables import Model
from evaluate.rows import ENSEMBLE
from evaluate.table import overall

# Stands for the page's own colour of text until the SVG is written.
INK = "#010203"
FAINT = 0.25
STYLE: Any = {
    "svg.fonttype": "none", "font.size": 9, "text.color": INK, "axes.labelcolor": INK,
    "axes.edgecolor": INK, "xtick.color": INK, "ytick.color": INK, "axes.spines.top": False,
    "axes.spines.right": False, "hatch.linewidth": 0.6,
}  # fmt: skip


def colour(models: Sequence[Model], index: int) -> str:
    """Choose a model's colour: of Okabe and Ito's, or the text's for the ensemble.

    Parameters
    ----------
    models : sequence of Model
        All models.
    index : int
        Which.

    Returns
    -------
    str
        As matplotlib takes it.
    """
    return INK if models[index].label == ENSEMBLE else COLOURS[index % len(COLOURS)]


def on_page(ink: str) -> str:
    """Translate a colour for HTML.

    Parameters
    ----------
    ink : str
        From `colour`.

    Returns
    -------
    str
        As CSS takes it.
    """
    return "currentColor" if ink == INK else ink


def to_svg(figure: Figure, label: str, salt: str) -> str:
    """Write a figure as an SVG element.

    Parameters
    ----------
    figure : Figure
        The figure.
    label : str
        What a screen reader says of it.
    salt : str
        Keeps its references apart from those of other figures of the page.

    Returns
    -------
    str
        `<svg …>`, of the width of what it stands in.
    """
    written = StringIO()
    with mpl.rc_context(STYLE | {"svg.hashsalt": salt}):
        figure.savefig(written, format="svg", metadata={"Date": None})
    text = written.getvalue()
    text = text[text.index("<svg") :].replace(INK, "currentColor")
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    # Only names that are referred to stay, as this figure's own: a page has several figures.
    own = re.sub(r"[^\w]", "-", salt)
    used = set(re.findall(r'(?:url\(#|href="#)([^)"]+)', text))
    text = re.sub(r' id="([^"]+)"', lambda m: f' id="{own}-{m[1]}"' if m[1] in used else "", text)
    text = re.sub(r'(url\(#|href="#)', rf"\1{own}-", text)
    width = re.search(r'width="([\d.]+)pt"', text)
    text = re.sub(r'(<svg[^>]*?) width="[\d.]+pt"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[\d.]+pt"', r"\1", text, count=1)
    wide = float(width[1]) * 4 / 3 if width else 600
    safe = label.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    return text.replace(
        "<svg", f'<svg role="img" aria-label="{safe}" style="max-width:{wide:.0f}px"', 1
    )


def figure_of(
    width: float, height: float, sides: tuple[float, float, float, float] | None = None
) -> tuple[Figure, Axes]:
    """Begin a chart.

    Parameters
    ----------
    width : float
        Inches.
    height : float
        Inches.
    sides : tuple of float, optional
        Left, bottom, right and top of the axes, shares of the figure; found from what stands there
        by default, which takes ten times as long.

    Returns
    -------
    figure : Figure
        Transparent.
    axes : Axes
        Its only axes.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout=None if sides else "constrained")
        if sides:
            figure.subplots_adjust(*sides)
        figure.patch.set_alpha(0)
        axes = figure.subplots()
    axes.patch.set_alpha(0)
    return figure, axes


def bars(frame: pd.DataFrame, models: Sequence[Model], metric: str) -> list[dict[str, str]]:
    """Draw, for each ROI class, a bar per ROI and model with its interval, below the ceiling.

    Parameters
    ----------
    frame : DataFrame
        Rows of scores.csv.
    models : sequence of Model
        The models.
    metric : str
        "score", or "pearson_r" where there are no ceilings.

    Returns
    -------
    list of dict
        `title` and `svg` of each class.
    """
    whole = overall(frame)
    found = []
    for roi_class in ROI_CLASSES:
        of = whole[(whole["roi_class"] == roi_class) & (whole["roi"] != "all")]
        if of[metric].notna().any():
            found.append({"title": roi_class, "svg": _bars(of, models, metric, roi_class)})
    return found


def _bars(of: pd.DataFrame, models: Sequence[Model], metric: str, roi_class: str) -> str:
    rois = list(dict.fromkeys(of["roi"]))
    figure, axes = figure_of(5.2, 2.7)
    width = 0.84 / len(models)
    for i, model in enumerate(models):
        rows = of[(of["model"] == model.label) & (of["spaces"] == model.spaces)].set_index("roi")
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
    axes.set_xlim(-0.55, len(rois) - 0.45)
    axes.set_xticks(range(len(rois)), rois)
    axes.tick_params(axis="x", length=0, labelrotation=20 if len(rois) > 5 else 0)
    axes.yaxis.grid(True, color=INK, alpha=0.12, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.set_ylabel("score, %" if metric == "score" else "Pearson's r")
    label = f"Bars of {metric} per ROI of {roi_class}; the numbers are in the table of scores."
    return to_svg(figure, label, f"bars {roi_class}")


def against_ceiling(ceiling: NDArray[Any], r: NDArray[Any]) -> str:
    """Draw how r² of the vertices lies below their ceilings.

    Parameters
    ----------
    ceiling : array (n_vertices,)
        Fractions.
    r : array (n_vertices,)
        Pearson's r.

    Returns
    -------
    str
        The SVG.
    """
    figure, axes = figure_of(5.2, 4.2)
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


def scatter(predicted: NDArray[Any], measured: NDArray[Any], about: Mapping[str, Any]) -> str:
    """Draw predicted against measured responses of one vertex.

    Parameters
    ----------
    predicted : array (n_images,)
        Predictions.
    measured : array (n_images,)
        Responses.
    about : mapping
        `name` of the vertex, its `r`, and the `roi` that it is shown for.

    Returns
    -------
    str
        The SVG.
    """
    figure, axes = figure_of(3.9, 3.5, (0.16, 0.14, 0.98, 0.98))
    axes.plot(predicted, measured, "o", color=INK, markersize=4, alpha=0.5,
              markeredgewidth=0)  # fmt: skip
    axes.axhline(0, color=INK, alpha=FAINT, linewidth=0.7)
    axes.axvline(0, color=INK, alpha=FAINT, linewidth=0.7)
    axes.set_xlabel("predicted response")
    axes.set_ylabel("measured response")
    label = f"Measured against predicted responses of {about['name']}: r = {about['r']:.2f}"
    return to_svg(figure, label, f"scatter {about['roi']}")

"""Figures as SVG that stands in the page: their ink is the page's own, light or dark."""

from __future__ import annotations

import re
from io import StringIO
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Stands for the page's own colour of text until the SVG is written.
INK = "#010203"
STYLE: Any = {
    "svg.fonttype": "none", "font.size": 9, "text.color": INK, "axes.labelcolor": INK,
    "axes.edgecolor": INK, "xtick.color": INK, "ytick.color": INK, "axes.spines.top": False,
    "axes.spines.right": False, "hatch.linewidth": 0.6,
}  # fmt: skip


def to_svg(figure: Figure, label: str, salt: str) -> str:
    """Write a figure as an SVG element.

    Parameters
    ----------
    salt : str
        Keeps its references apart from those of other figures of the page.

    Returns
    -------
    str
        `<svg …>`, of the width of what it stands in.
    """
    buffer = StringIO()
    with mpl.rc_context(STYLE | {"svg.hashsalt": salt}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :].replace(INK, "currentColor")
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    # Only names that are referred to stay, as this figure's own: a page has several figures.
    prefix = re.sub(r"[^\w]", "-", salt)
    references = set(re.findall(r'(?:url\(#|href="#)([^)"]+)', text))
    text = re.sub(
        r' id="([^"]+)"', lambda m: f' id="{prefix}-{m[1]}"' if m[1] in references else "", text
    )
    text = re.sub(r'(url\(#|href="#)', rf"\1{prefix}-", text)
    width = re.search(r'width="([\d.]+)pt"', text)
    text = re.sub(r'(<svg[^>]*?) width="[\d.]+pt"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[\d.]+pt"', r"\1", text, count=1)
    wide = float(width[1]) * 4 / 3 if width else 600
    safe = label.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    return text.replace(
        "<svg", f'<svg role="img" aria-label="{safe}" style="max-width:{wide:.0f}px"', 1
    )


def new_figure(
    width: float, height: float, sides: tuple[float, float, float, float] | None = None
) -> tuple[Figure, Axes]:
    """Begin a chart.

    Parameters
    ----------
    sides : tuple of float, optional
        Left, bottom, right and top of the axes, shares of the figure; found from what stands there
        by default, which takes ten times as long.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout=None if sides else "constrained")
        if sides:
            figure.subplots_adjust(*sides)
        figure.patch.set_alpha(0)
        axes = figure.subplots()
    axes.patch.set_alpha(0)
    return figure, axes

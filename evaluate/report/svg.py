"""Figures as inline SVG, in the page's text colour, light or dark."""

import re
from io import StringIO
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Placeholder for the page's text colour, replaced when the SVG is written.
INK = "#010203"
STYLE: Any = {
    "svg.fonttype": "none", "font.size": 9, "text.color": INK, "axes.labelcolor": INK,
    "axes.edgecolor": INK, "xtick.color": INK, "ytick.color": INK, "axes.spines.top": False,
    "axes.spines.right": False, "hatch.linewidth": 0.6,
}  # fmt: skip


def to_svg(figure: Figure, label: str, salt: str) -> str:
    """Return a figure as an SVG element, as wide as its container, described by `label`.

    `salt` keeps its references distinct from those of other figures of the page.
    """
    buffer = StringIO()
    with mpl.rc_context(STYLE | {"svg.hashsalt": salt}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :].replace(INK, "currentColor")
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    # Keep only ids that are referred to, with a prefix: a page has several figures.
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
    """Create the figure and axes of a chart.

    `sides` are left, bottom, right and top of the axes, as fractions of the figure. By default they
    are computed from the labels, which takes ten times as long.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout=None if sides else "constrained")
        if sides:
            figure.subplots_adjust(*sides)
        figure.patch.set_alpha(0)
        axes = figure.subplots()
    axes.patch.set_alpha(0)
    return figure, axes

"""The figure of an ablation: unique and shared parts of R^2 of every ROI, with intervals."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from evaluate.tables.ablation_table import PICTURES, contribution_names

# Okabe and Ito's colours; each part also has its own marker, for prints without colours.
COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKS = "osD^vP"
SHARED = "0.25"
PER_PANEL, GAP = 20, 0.8
SETTINGS: Any = {"svg.hashsalt": "roiridge", "svg.fonttype": "none"}


def draw_ablation(frame: pd.DataFrame, about: Mapping[str, Any], paths: Sequence[Path]) -> None:
    """Draw the contributions per ROI, pooled over all subjects and both hemispheres."""
    rows = frame[(frame["subject"] == "all") & (frame["hemisphere"] == "all")]
    rows = rows[rows["spaces"] == rows["spaces"].iloc[-1]]
    parts = contribution_names(frame) or ["r2"]
    rois = rows[(rows["roi"] != "all") | (rows["roi_class"] == "all")]
    panels = _panels(rois)
    figure = Figure(figsize=(12, 1 + 2.9 * len(panels)), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    all_axes = figure.subplots(len(panels), 1, sharey=True, squeeze=False)[:, 0]
    for axes, panel in zip(all_axes, panels, strict=True):
        _panel(axes, panel, parts)
    handles, labels = all_axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    figure.suptitle(_title(about), fontsize=12)
    with mpl.rc_context(SETTINGS):
        for path in paths:
            # Without date and version, equal figures have equal bytes.
            metadata: Any = {"Date": None} if path.suffix == ".svg" else {"Software": None}
            figure.savefig(path, metadata=metadata, facecolor="white")


def _title(about: Mapping[str, Any]) -> str:
    n = len(about["subjects"])
    subject_text = f"subject {about['subjects'][0]}" if n == 1 else f"{n} subjects"
    title = f"Parts of R² per ROI, mean over vertices, {PICTURES[about['split']]}, {subject_text}"
    notes = ["SIMULATED responses"] * bool(about["simulated"])
    notes += [f"UNTRAINED {', '.join(about['untrained'])}"] * bool(about["untrained"])
    return "\n".join([f"{title}, 95 % intervals", *notes])


def _panels(rois: pd.DataFrame) -> list[pd.DataFrame]:
    """Distribute the ROI classes over panels, without dividing a class."""
    panels: list[list[pd.DataFrame]] = [[]]
    for _, group in rois.groupby("roi_class", sort=False):
        if panels[-1] and sum(map(len, panels[-1])) + len(group) > PER_PANEL:
            panels.append([])
        panels[-1].append(group)
    return [pd.concat(group) for group in panels]


def _panel(axes: Axes, rois: pd.DataFrame, parts: Sequence[str]) -> None:
    places, at = [], 0.0
    for number, (roi_class, group) in enumerate(rois.groupby("roi_class", sort=False)):
        spread = at + np.arange(len(group))
        places += list(spread)
        axes.text(spread.mean(), 1.02, "all vertices" if roi_class == "all" else str(roi_class),
                  transform=axes.get_xaxis_transform(), ha="center", color="0.35",
                  fontsize=9)  # fmt: skip
        if number:
            axes.axvline(at - 0.5 - GAP / 2, color="0.85", linewidth=0.8)
        at = spread[-1] + 1 + GAP
    for number, name in enumerate(parts):
        x = np.array(places) + (number - (len(parts) - 1) / 2) * 0.7 / len(parts)
        value, low, high = (rois[f"{name}{end}"].to_numpy(float) for end in ("", "_low", "_high"))
        colour = SHARED if name == "shared" else COLOURS[number % len(COLOURS)]
        label = name.replace("unique:", "only ").replace("shared", "shared by several")
        axes.vlines(x, low, high, color=colour, linewidth=1.3)
        axes.plot(x, value, MARKS[number % len(MARKS)], color=colour, markersize=4.5, label=label)
    axes.set_xticks(places, list(rois["roi"]), fontsize=8)
    axes.set_xlim(-0.7, max(at - GAP - 0.3, 0.7))
    axes.set_ylabel("part of R²")
    axes.tick_params(axis="x", length=0)
    axes.axhline(0, color="0.3", linewidth=0.8)
    axes.yaxis.grid(True, color="0.9", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)

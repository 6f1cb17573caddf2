"""The picture beside scores.csv: bars per ROI for each model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from evaluate.predicted import ENSEMBLE
from evaluate.table import Model, measure, models_of, overall

# Okabe and Ito's colours, told apart with any colour vision; black is the ensemble's.
COLOURS = ("#E69F00", "#56B4E9", "#009E73", "#CC79A7", "#D55E00", "#0072B2", "#F0E442")
HATCHES = ("", "///", "...", "xxx")
PANELS = (("prf-visualrois", "streams", "residual"),
          ("floc-bodies", "floc-faces", "floc-places", "floc-words"))  # fmt: skip
GAP = 0.8
ENDS = ("low", "high")


def draw(frame: pd.DataFrame, sidecar: Mapping[str, Any], path: Path) -> None:
    """Draw the means per ROI over all subjects and both hemispheres.

    Parameters
    ----------
    frame : DataFrame
        Rows of scores.csv.
    sidecar : mapping
        What scores.json says of them.
    path : Path
        The PNG to write; its bytes depend on nothing but the arguments.
    """
    shown = measure(frame)
    whole = overall(frame)
    models = models_of(whole, sidecar)
    figure = Figure(figsize=(12, 7.2), dpi=130, layout="constrained")
    figure.get_layout_engine().set(hspace=0.06)  # type: ignore[union-attr,call-arg]
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(PANELS), 1, sharey=True)
    for axes, classes in zip(panels, PANELS, strict=True):
        _panel(axes, whole[whole["roi"] != "all"], classes, models, shown)
        label = "noise-normalised score (%)" if shown == "score" else "Pearson's r"
        axes.set_ylabel(label)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(3, len(models)),
                  frameon=False)  # fmt: skip
    figure.suptitle(_title(sidecar, shown), fontsize=12)
    # Without matplotlib's version in the file, equal pictures have equal bytes.
    figure.savefig(path, metadata={"Software": None})


def _title(sidecar: Mapping[str, Any], shown: str) -> str:
    on = {"test": "test", "heldout": "held-out"}[sidecar["split"]]
    subjects = list(sidecar["n_pictures"])
    whose = f"subject {subjects[0]}" if len(subjects) == 1 else f"{len(subjects)} subjects"
    title = f"Mean over vertices per ROI, {on} pictures, {whose}, both hemispheres"
    if sidecar["settings"]["resamples"]:
        title += ", 95 % intervals"
    if shown != "score":
        title += ", not noise-normalised"
    return title + (" – SIMULATED responses" if sidecar["simulated"] else "")


def _panel(
    axes: Axes,
    rois: pd.DataFrame,
    classes: Sequence[str],
    models: Sequence[Model],
    shown: str,
) -> None:
    ticks, names, at = [], [], 0.0
    places: dict[tuple[str, str], float] = {}
    for roi_class in classes:
        found = list(dict.fromkeys(rois.loc[rois["roi_class"] == roi_class, "roi"]))
        if not found:
            continue
        spread = at + np.arange(len(found))
        places |= {(roi_class, roi): x for roi, x in zip(found, spread, strict=True)}
        ticks += list(spread)
        names += found
        axes.text(spread.mean(), 1.02, roi_class, transform=axes.get_xaxis_transform(),
                  ha="center", color="0.35", fontsize=9)  # fmt: skip
        if at:
            axes.axvline(at - 0.5 - GAP / 2, color="0.85", linewidth=0.8)
        at = spread[-1] + 1 + GAP
    width = 0.84 / len(models)
    for i, model in enumerate(models):
        of = rois[(rois["model"] == model.label) & (rois["spaces"] == model.spaces)]
        values = dict(zip(zip(of["roi_class"], of["roi"], strict=True), of[shown], strict=True))
        x = np.array([place for key, place in places.items() if key in values])
        heights = [values[key] for key in places if key in values]
        shift = (i - (len(models) - 1) / 2) * width
        axes.bar(x + shift, heights, width * 0.94, label=model.title, **_look(model.label, i))
        low, high = (dict(zip(values, of[f"{shown}_{end}"], strict=True)) for end in ENDS)
        axes.vlines(x + shift, [low[key] for key in places if key in values],
                    [high[key] for key in places if key in values],
                    color="0.45", linewidth=min(1.3, 8 * width))  # fmt: skip
    axes.set_xticks(ticks, names, fontsize=8)
    axes.set_xlim(-0.7, max(at - GAP - 0.3, 0.7))
    axes.tick_params(axis="x", length=0)
    axes.axhline(0, color="0.3", linewidth=0.8)
    axes.yaxis.grid(True, color="0.9", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _look(model: str, index: int) -> dict[str, Any]:
    if model == ENSEMBLE:
        return {"color": "0.15"}
    turn, colour = divmod(index, len(COLOURS))
    return {
        "color": COLOURS[colour],
        "hatch": HATCHES[turn % len(HATCHES)],
        "edgecolor": "white",
        "linewidth": 0,
    }

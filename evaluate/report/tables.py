"""The table of models x ROIs for every subject and hemisphere, as the page's script reads it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from base import decimal
from challenge import ROI_CLASSES
from evaluate.scoring.hemisphere_rows import class_order
from evaluate.scoring.score_report import ScoreReport

# Column of scores.csv, its name on the page, digits after the point.
METRICS = (
    ("score", "noise-normalised score, %", 2),
    ("explained", "score without clipping and small-sample bias, %", 2),
    ("pearson_r", "Pearson's r", 3),
    ("r2", "r²", 3),
)


def metrics_of(frame: pd.DataFrame) -> list[tuple[str, str, int]]:
    """Return the metrics that have values."""
    metrics = [
        metric for metric in METRICS if metric[0] in frame and frame[metric[0]].notna().any()
    ]
    # If no vertex counts at all, the table is made of dashes.
    return metrics or [metric for metric in METRICS if metric[0] == "pearson_r"]


def roi_rows(frame: pd.DataFrame) -> list[tuple[str, str]]:
    """Return the rows of the table: every ROI of the challenge, also empty ones, and all others.

    Each row is a class and a ROI, which is "all" for the class, or for everything, as a whole.
    """
    rois = dict.fromkeys(zip(frame["roi_class"], frame["roi"], strict=True))
    rows = []
    for roi_class in class_order(name for name, _ in rois):
        names_in_data = [roi for name, roi in rois if name == roi_class and roi != "all"]
        names = (
            dict.fromkeys([*ROI_CLASSES.get(roi_class, ()), *names_in_data])
            if names_in_data
            else {}
        )
        rows += [(roi_class, roi) for roi in names]
        # The class "residual" is a single region, listed already.
        if (roi_class, "all") in rois and roi_class != "residual":
            rows.append((roi_class, "all"))
    return rows


def table_data(report: ScoreReport) -> dict[str, Any]:
    """Return all numbers of the table, rounded for display, in JSON's types.

    `cells` has, for each "subject hemisphere", "class roi" and model number, `n`, the vertices that
    count, and for each metric its value and interval. `chance` has, for each "subject hemisphere"
    and "class roi", the score of unrelated predictions.
    """
    frame, models = report.frame, report.models
    metrics = metrics_of(frame)
    number = {model.fit: i for i, model in enumerate(models)}
    chance: dict[str, dict[str, float | None]] = {}
    cells: dict[str, dict[str, dict[int, Any]]] = {}
    for row in frame.to_dict("records"):
        side, roi = f"{row['subject']} {row['hemisphere']}", f"{row['roi_class']} {row['roi']}"
        chance.setdefault(side, {})[roi] = _number(row["chance"], 2)
        place = cells.setdefault(side, {}).setdefault(roi, {})
        place[number[row["fit"]]] = {
            "n": int(row["n_vertices"]) - int(row["n_excluded"]),
            **{name: _triple(row, name, digits) for name, _, digits in metrics},
        }
    return {
        "models": [model.title for model in models],
        "metrics": [{"name": n, "title": t, "digits": d} for n, t, d in metrics],
        "rows": [{"roi_class": c, "roi": r} for c, r in roi_rows(frame)],
        "subjects": _all_first(frame["subject"]),
        "hemispheres": _all_first(frame["hemisphere"]),
        "cells": cells,
        # Without ceilings there is neither a score nor its chance level.
        "chance": chance if frame["chance"].notna().any() else {},
    }


def _all_first(values: pd.Series) -> list[str]:
    unique_values = list(dict.fromkeys(values))
    return sorted(unique_values, key=lambda value: value != "all")


def _triple(row: Mapping[Any, Any], name: str, digits: int) -> list[float | None]:
    return [_number(row.get(key), digits) for key in (name, f"{name}_low", f"{name}_high")]


def _number(value: Any, digits: int) -> float | None:
    """Round as `decimal` does, so that `decimal` and the page's script write the same digits."""
    return None if value is None or not np.isfinite(value) else float(decimal(value, digits))


def format_triple(triple: Sequence[float | None] | None, digits: int) -> str:
    """Return a mean with its interval, such as "54.78 [52.10, 57.33]", the mean alone or a dash."""
    value, low, high = triple or (None, None, None)
    if value is None or low is None or high is None:
        return decimal(value, digits)
    return " ".join([decimal(value, digits), f"[{decimal(low, digits)}, {decimal(high, digits)}]"])

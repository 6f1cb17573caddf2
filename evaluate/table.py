"""scores.csv, and the table that the terminal shows of it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from evaluate.predicted import ENSEMBLE
from evaluate.resampling.intervals import NAMES as INTERVALS
from evaluate.rows import CLASS_ORDER

COLUMNS = (
    "model",
    "spaces",
    "subject",
    "hemisphere",
    "roi_class",
    "roi",
    "split",
    "n_vertices",
    "n_excluded",
    "n_constant_measured",
    "pearson_r",
    "r2",
    "score",
    *INTERVALS,
)
WIDTH = 100
LABEL, NARROWEST, WIDEST = 16, 13, 20
COUNTS = ("n_vertices", "n_excluded", "n_clipped", "n_constant")


class Model(NamedTuple):
    """A column of the table.

    Attributes
    ----------
    label : str
        As in scores.csv.
    spaces : str
        As in scores.csv.
    untrained : tuple of str
        Those of its spaces, and networks inside it, that came from random weights.
    """

    label: str
    spaces: str
    untrained: tuple[str, ...]

    @property
    def title(self) -> str:
        """What the page calls it."""
        if self.label == ENSEMBLE:
            return ENSEMBLE
        named = [f"UNTRAINED {s}" if s in self.untrained else s for s in self.spaces.split("+")]
        inside = [f"UNTRAINED {one}" for one in self.untrained if one not in self.spaces.split("+")]
        return f"{self.label} ({', '.join([' + '.join(named), *inside])})"


def models_of(frame: pd.DataFrame, sidecar: Mapping[str, Any]) -> list[Model]:
    """List the models, the ensemble last.

    Parameters
    ----------
    frame : DataFrame
        Rows of scores.csv.
    sidecar : mapping
        What scores.json says of them.

    Returns
    -------
    list of Model
        In the order of scores.csv.
    """
    pairs = dict.fromkeys(zip(frame["model"], frame["spaces"], strict=True))
    untrained = sidecar["untrained"]
    return [Model(m, s, tuple(untrained.get(f"{m} {s}", ()))) for m, s in pairs]


def write_rows(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write scores.csv.

    Parameters
    ----------
    rows : sequence of mapping
        Each with the fields of `COLUMNS`; None is left empty.
    path : Path
        Where to.
    """
    pd.DataFrame(rows, columns=list(COLUMNS)).to_csv(path, index=False, lineterminator="\n")


def read_rows(path: Path) -> pd.DataFrame:
    """Read scores.csv.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    DataFrame
        Its rows; subjects stay text ("01").
    """
    return pd.read_csv(path, dtype=dict.fromkeys(COLUMNS[:7], str), keep_default_na=False,
                       na_values={name: [""] for name in COLUMNS[7:]})  # fmt: skip


def measure(frame: pd.DataFrame) -> str:
    """Choose what to show: the score where every vertex has a ceiling, else r.

    Parameters
    ----------
    frame : DataFrame
        Rows of scores.csv.

    Returns
    -------
    str
        "score" or "pearson_r".
    """
    whole = overall(frame)
    return "score" if whole.loc[whole["roi_class"] == "all", "score"].notna().all() else "pearson_r"


def overall(frame: pd.DataFrame) -> pd.DataFrame:
    """Pick the rows that pool all subjects and both hemispheres.

    Parameters
    ----------
    frame : DataFrame
        Rows of scores.csv.

    Returns
    -------
    DataFrame
        Those rows.
    """
    return frame[(frame["subject"] == "all") & (frame["hemisphere"] == "all")]


def render(frame: pd.DataFrame, sidecar: Mapping[str, Any]) -> str:
    """Lay out the table: ROI classes down, models across, at most 100 columns wide.

    Parameters
    ----------
    frame : DataFrame
        Rows of scores.csv.
    sidecar : mapping
        What scores.json says of them.

    Returns
    -------
    str
        The table; in several blocks where there are many models.
    """
    shown = measure(frame)
    whole = overall(frame)
    models = list(dict.fromkeys(zip(whole["model"], whole["spaces"], strict=True)))
    per_block = (WIDTH - LABEL) // (NARROWEST + 2)
    blocks = [models[i : i + per_block] for i in range(0, len(models), per_block)]
    return "\n\n".join(_block(whole[whole["roi"] == "all"], shown, sidecar, b) for b in blocks)


def _block(
    whole: pd.DataFrame, shown: str, sidecar: Mapping[str, Any], models: Sequence[tuple[str, str]]
) -> str:
    width = min(WIDEST, (WIDTH - LABEL) // len(models) - 2)
    heads = [_header(model, spaces, width) for model, spaces in models]
    height = max(map(len, heads))
    heads = [[""] * (height - len(head)) + head for head in heads]
    values = {
        (row["roi_class"], row["model"], row["spaces"]): row for row in whole.to_dict("records")
    }
    counts = {
        (count["model"], count["spaces"]): count
        for count in sidecar["counts"]
        if count["subject"] == count["hemisphere"] == "all"
    }
    digits = 2 if shown == "score" else 3
    lines = [_line("" if i < height - 1 else shown, [h[i] for h in heads], width)
             for i in range(height)]  # fmt: skip
    rule = "-" * (LABEL + len(models) * (width + 2))
    lines.append(rule)
    for roi_class in CLASS_ORDER:
        row = [values.get((roi_class, *model)) for model in models]
        if any(one is not None for one in row):
            lines += _mean(roi_class, row, shown, width, digits)
    if shown == "score" and whole["explained"].notna().any():
        lines.append(rule)
        row = [values.get(("all", *model)) for model in models]
        lines += _mean("explained", row, "explained", width, digits)
    lines.append(rule)
    for name in COUNTS:
        cells = [str(counts[model][name]) for model in models]
        lines.append(_line(name.removeprefix("n_"), cells, width))
    return "\n".join(lines)


def _mean(
    label: str, row: Sequence[Mapping[Any, Any] | None], shown: str, width: int, digits: int
) -> list[str]:
    """Give a line of means, and one of their intervals where there are any."""
    means, spans = [], []
    for one in row:
        value, low, high = (
            None
            if one is None or pd.isna(one[f"{shown}{end}"])
            else f"{one[f'{shown}{end}']:.{of}f}"
            for end, of in (("", digits), ("_low", digits - 1), ("_high", digits - 1))
        )
        means.append(value or "–")
        spans.append(f"[{low}, {high}]" if value and low and high else "")
    lines = [_line(label, means, width)]
    return [*lines, _line("", spans, width)] if any(spans) else lines


def _line(label: str, cells: Sequence[str], width: int) -> str:
    return (f"{label:<{LABEL}}" + "".join(f"  {cell:>{width}}" for cell in cells)).rstrip()


def _header(model: str, spaces: str, width: int) -> list[str]:
    """Break a column's name into lines, after `_` and before `+` where it must."""
    named = [model] if model == ENSEMBLE else [model, *spaces.replace("+", "\n+").split("\n")]
    lines = []
    for name in named:
        line = ""
        for piece in re.findall(rf"[^_#]{{1,{width - 1}}}_?|[_#]", name):
            if len(line) + len(piece) > width:
                lines.append(line)
                line = ""
            line += piece
        lines.append(line)
    return lines

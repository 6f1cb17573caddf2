"""scores.csv, and its table in the terminal."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from base import decimal
from evaluate.fits.runs import ENSEMBLE, describe_fit
from evaluate.resampling.intervals import NAMES as INTERVALS
from evaluate.scoring.hemisphere_rows import ROI_ORDER, roi_rank

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
    "chance",
    "fit",
    "label",
)
TEXT = (*COLUMNS[:7], "fit", "label")
WIDTH = 100
LABEL, NARROWEST, WIDEST, CHANCE = 16, 13, 20, 6
COUNTS = ("n_vertices", "n_excluded", "n_clipped", "n_constant")


class Model(NamedTuple):
    """A column of the table.

    Attributes
    ----------
    fit, label, model, spaces : str
        As in scores.csv.
    untrained : tuple of str
        Its spaces, and networks inside it, that have random weights.
    """

    fit: str
    label: str
    model: str
    spaces: str
    untrained: tuple[str, ...]

    @property
    def title(self) -> str:
        """The name of the model in figures and on the report's page."""
        if self.fit == ENSEMBLE:
            return ENSEMBLE
        spaces = [f"UNTRAINED {s}" if s in self.untrained else s for s in self.spaces.split("+")]
        inside = [
            f"UNTRAINED {space}" for space in self.untrained if space not in self.spaces.split("+")
        ]
        return describe_fit(self.label, self.model, ", ".join([" + ".join(spaces), *inside]))


def models_of(frame: pd.DataFrame, sidecar: Mapping[str, Any]) -> list[Model]:
    """Return the models of the rows, the ensemble last."""
    columns = dict.fromkeys(zip(*(frame[name] for name in Model._fields[:4]), strict=True))
    untrained = sidecar["untrained"]
    return [
        Model(fit, label, model, spaces, tuple(untrained.get(fit, ())))
        for fit, label, model, spaces in columns
    ]


def write_rows(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write scores.csv from rows with the fields of `COLUMNS`; None becomes an empty field."""
    pd.DataFrame(rows, columns=list(COLUMNS)).to_csv(path, index=False, lineterminator="\n")


def read_rows(path: Path) -> pd.DataFrame:
    """Read scores.csv."""
    numbers = [name for name in COLUMNS if name not in TEXT]
    return pd.read_csv(path, dtype=dict.fromkeys(TEXT, str), keep_default_na=False,
                       na_values={name: [""] for name in numbers})  # fmt: skip


def measure(frame: pd.DataFrame) -> str:
    """Return the metric to show: "score" if every vertex has a ceiling, else "pearson_r"."""
    whole = overall(frame)
    return "score" if whole.loc[whole["roi_class"] == "all", "score"].notna().all() else "pearson_r"


def overall(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that pool all subjects and both hemispheres."""
    return frame[(frame["subject"] == "all") & (frame["hemisphere"] == "all")]


def render(frame: pd.DataFrame, sidecar: Mapping[str, Any]) -> str:
    """Return the table: ROI classes down, models across, at most 100 columns wide.

    ROIs that the challenge does not have are listed below their class. Many models are divided into
    several blocks.
    """
    metric = measure(frame)
    whole = overall(frame)
    models = models_of(whole, sidecar)
    chance_width = CHANCE + 2 if whole["chance"].notna().any() else 0
    per_block = (WIDTH - LABEL - chance_width) // (NARROWEST + 2)
    blocks = [models[i : i + per_block] for i in range(0, len(models), per_block)]
    return "\n\n".join(
        _Block(whole, metric, sidecar, block, chance_width).text() for block in blocks
    )


def shown_rois(whole: pd.DataFrame) -> list[tuple[str, str]]:
    """Return the rows of the terminal's table: every class, and ROIs that the challenge lacks.

    Each row is a class and a ROI, which is "all" for the class, or for everything, as a whole.
    """
    rois = dict.fromkeys(zip(whole["roi_class"], whole["roi"], strict=True))
    rows = [(c, roi) for c, roi in rois if roi == "all" or roi not in (*ROI_ORDER, c)]
    return sorted(rows, key=lambda row: roi_rank(*row))


class _Block:
    """Columns of the table for some models, and chance if there are ceilings."""

    def __init__(
        self,
        whole: pd.DataFrame,
        metric: str,
        sidecar: Mapping[str, Any],
        models: Sequence[Model],
        chance_width: int,
    ) -> None:
        self.whole, self.metric, self.models, self.chance_width = (
            whole,
            metric,
            models,
            chance_width,
        )
        self.digits = 2 if metric == "score" else 3
        self.width = min(WIDEST, (WIDTH - LABEL - chance_width) // len(models) - 2)
        self.rule = "-" * (LABEL + len(models) * (self.width + 2) + chance_width)
        records = whole.to_dict("records")
        self.values = {(row["roi_class"], row["roi"], row["fit"]): row for row in records}
        self.chance = {(row["roi_class"], row["roi"]): row["chance"] for row in records}
        self.counts = {
            count["fit"]: count
            for count in sidecar["counts"]
            if count["subject"] == count["hemisphere"] == "all"
        }

    def text(self) -> str:
        """Return the block as text."""
        lines = [*self._heads(), self.rule]
        for row in shown_rois(self.whole):
            if any((*row, model.fit) in self.values for model in self.models):
                label = row[0] if row[1] == "all" else f"  {row[1]}"
                lines += self._means(
                    label, row, self.metric, decimal(self.chance[row], self.digits)
                )
        if self.metric == "score" and self.whole["explained"].notna().any():
            lines += [self.rule, *self._means("explained", ("all", "all"), "explained", "")]
        lines.append(self.rule)
        for name in COUNTS:
            cells = [str(self.counts[model.fit][name]) for model in self.models]
            lines.append(self._line(name.removeprefix("n_"), cells))
        return "\n".join(lines)

    def _heads(self) -> list[str]:
        heads = [_header(model, self.width) for model in self.models]
        height = max(map(len, heads))
        heads = [[""] * (height - len(head)) + head for head in heads]
        lines = [[head[i] for head in heads] for i in range(height)]
        return [
            *(self._line("", cells) for cells in lines[:-1]),
            self._line(self.metric, lines[-1], "chance"),
        ]

    def _means(self, label: str, row: tuple[str, str], metric: str, chance: str) -> list[str]:
        """Return a line of means, and a line of their intervals if there are any."""
        means, spans = [], []
        for model in self.models:
            scores: Mapping[Any, Any] = self.values.get((*row, model.fit), {})
            value = decimal(scores.get(metric), self.digits)
            low, high = (
                decimal(scores.get(f"{metric}_{end}"), self.digits - 1) for end in ("low", "high")
            )
            means.append(value)
            spans.append("" if "–" in (value, low, high) else f"[{low}, {high}]")
        lines = [self._line(label, means, chance)]
        return [*lines, self._line("", spans)] if any(spans) else lines

    def _line(self, label: str, cells: Sequence[str], chance: str = "") -> str:
        label = label if len(label) <= LABEL else f"{label[: LABEL - 1]}…"
        line = f"{label:<{LABEL}}" + "".join(f"  {cell:>{self.width}}" for cell in cells)
        return (f"{line}  {chance:>{CHANCE}}" if self.chance_width else line).rstrip()


def _header(model: Model, width: int) -> list[str]:
    """Break a column's name into lines, after `_`, `-` and `+` where necessary."""
    parts = [model.label]
    if model.fit != ENSEMBLE:
        inside = model.label.startswith(f"{model.model}-")
        parts += [*([] if inside else [model.model]), *model.spaces.replace("+", "+\n").split("\n")]
    lines = []
    for name in parts:
        line = ""
        for piece in re.findall(rf"[^_-]{{1,{width - 1}}}[_-]?|[_-]", name):
            if len(line) + len(piece) > width:
                lines.append(line)
                line = ""
            line += piece
        lines.append(line)
    return lines

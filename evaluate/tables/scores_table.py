"""The table of scores in the terminal."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from base import decimal
from evaluate.fits.run_labels import ENSEMBLE, FitLabel
from evaluate.scoring.hemisphere_rows import ROI_ORDER, roi_rank
from evaluate.scoring.score_report import ScoreReport

WIDTH = 100
LABEL, NARROWEST, WIDEST, CHANCE = 16, 13, 20, 6
COUNTS = ("n_vertices", "n_excluded", "n_clipped", "n_constant")


def render(report: ScoreReport) -> str:
    """Return the table: ROI classes down, models across, at most 100 columns wide.

    ROIs that the challenge does not have are listed below their class. Many models are divided into
    several blocks.
    """
    models = report.models
    chance_width = CHANCE + 2 if report.overall["chance"].notna().any() else 0
    per_block = (WIDTH - LABEL - chance_width) // (NARROWEST + 2)
    blocks = [models[i : i + per_block] for i in range(0, len(models), per_block)]
    return "\n\n".join(_Block(report, block, chance_width).text() for block in blocks)


def shown_rois(overall: pd.DataFrame) -> list[tuple[str, str]]:
    """Return the rows of the terminal's table: every class, and ROIs that the challenge lacks.

    Each row is a class and a ROI, which is "all" for the class, or for everything, as a whole.
    """
    rois = dict.fromkeys(zip(overall["roi_class"], overall["roi"], strict=True))
    rows = [(c, roi) for c, roi in rois if roi == "all" or roi not in (*ROI_ORDER, c)]
    return sorted(rows, key=lambda row: roi_rank(*row))


class _Block:
    """Columns of the table for some models, and chance if there are ceilings."""

    def __init__(self, report: ScoreReport, models: Sequence[FitLabel], chance_width: int) -> None:
        self.overall, self.metric, self.models = report.overall, report.metric, models
        self.chance_width = chance_width
        self.digits = 2 if self.metric == "score" else 3
        self.width = min(WIDEST, (WIDTH - LABEL - chance_width) // len(models) - 2)
        self.rule = "-" * (LABEL + len(models) * (self.width + 2) + chance_width)
        records = self.overall.to_dict("records")
        self.values = {(row["roi_class"], row["roi"], row["fit"]): row for row in records}
        self.chance = {(row["roi_class"], row["roi"]): row["chance"] for row in records}
        self.counts = report.whole_counts

    def text(self) -> str:
        """Return the block as text."""
        lines = [*self._heads(), self.rule]
        for row in shown_rois(self.overall):
            if any((*row, model.fit) in self.values for model in self.models):
                label = row[0] if row[1] == "all" else f"  {row[1]}"
                chance = decimal(self.chance[row], self.digits)
                lines += self._means(label, row, self.metric, chance)
        if self.metric == "score" and self.overall["explained"].notna().any():
            lines += [self.rule, *self._means("explained", ("all", "all"), "explained", "")]
        lines.append(self.rule)
        for name in COUNTS:
            counts: list[Any] = [self.counts[model.fit] for model in self.models]
            cells = [str(count[name]) for count in counts]
            lines.append(self._line(name.removeprefix("n_"), cells))
        return "\n".join(lines)

    def _heads(self) -> list[str]:
        heads = [_header(model, self.width) for model in self.models]
        height = max(map(len, heads))
        heads = [[""] * (height - len(head)) + head for head in heads]
        *lines, last = zip(*heads, strict=True)
        above = [self._line("", cells) for cells in lines]
        return [*above, self._line(self.metric, last, "chance")]

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


def _header(model: FitLabel, width: int) -> list[str]:
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

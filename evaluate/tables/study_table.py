"""The tables of a study: settings and training cost of each row, scores, spread over seeds."""

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from base import decimal
from cache.records import StudyRecord
from evaluate.fits.caveats import Caveats
from evaluate.fits.completeness import wrap
from evaluate.resampling import FEWEST_PICTURES
from evaluate.scoring.hemisphere_rows import CLASS_ORDER

# Widths of the cells, negative if aligned to the left; they are joined by a space.
TRAINING_WIDTHS = {"row": -21, "model": -12, "inputs": -18, "grouped by": -11, "loss": -11,
                   "params": 7, "s/epoch": 7, "epochs": 6}  # fmt: skip
# Columns if some rows are trained against critics.
ADVERSARIAL_WIDTHS = {"row": -20, "model": -9, "inputs": -15, "pretr.": -6, "loss": -10,
                      "critics": -13, "params": 6, "s/epoch": 7, "epochs": 6}  # fmt: skip
SHORT = {"prf-visualrois": "prf", "floc-bodies": "bodies", "floc-faces": "faces",
         "floc-places": "places", "floc-words": "words", "residual": "resid."}  # fmt: skip
SCORE_WIDTHS = {
    "row": -21,
    **{SHORT.get(name, name): 7 for name in CLASS_ORDER},
    "less the first": 14,
}
SEEDED_SCORE_WIDTHS = {**SCORE_WIDTHS, "all, by seed": 14}
del SEEDED_SCORE_WIDTHS["less the first"]
COMPARISON_WIDTHS = {"row": -21, "r": 8, "by seed": 10, "theirs": -7, "less": -21,
                     "difference": 14, "survives": 8}  # fmt: skip
WIDTH = 100
# Legend of a study with several seeds.
SEEDS = [
    "by seed: the least and the greatest of the fits of a row, which differ in their seed alone;",
    "all other figures are means over these",
    "theirs: the correlation that the study gives, of the REAL data: not to be compared with these",
    "difference: of the score of all vertices to the row named under less, seed by seed; its 95 %",
    "interval is over pictures and seeds; survives: whether it lacks 0 (where nothing differs, one",
    "in 20 does)",
]


@dataclass(frozen=True)
class StudyScores:
    """Scores of the rows of a study, and all that stands beside them."""

    frame: pd.DataFrame  # rows of the study's CSV
    caveats: Caveats
    study: StudyRecord
    resamples: int
    seed: int

    def as_json(self) -> dict[str, Any]:
        """Return the content of the JSON next to the CSV."""
        record: Mapping[str, Any] = self.study
        names = ("study", "about", "paper", "stand_in")
        settings = {"resamples": self.resamples, "seed": self.seed}
        return asdict(self.caveats) | {name: record[name] for name in names} | settings


def render(scores: StudyScores) -> list[str]:
    """Return the tables of a study and their legend, as lines of at most 100 characters.

    If there are several subjects, only the rows that pool them are shown.
    """
    frame, about, paper = scores.frame, scores.study["about"], scores.study["paper"]
    subject = "all" if (frame["subject"] == "all").any() else frame["subject"].iloc[0]
    rows = frame[frame["subject"] == subject].to_dict("records")
    scored = [row for row in rows if not pd.isna(row["n_vertices"])]
    adversarial = any(not pd.isna(row["discriminators"]) for row in scored)
    seeded = any(row["seeds"] > 1 for row in scored)
    lines = ["", *([about, ""] if about else [])]
    widths = ADVERSARIAL_WIDTHS if adversarial else TRAINING_WIDTHS
    lines += [*_table(widths, (_training_cells(row, adversarial) for row in scored)), ""]
    widths = SEEDED_SCORE_WIDTHS if seeded else SCORE_WIDTHS
    lines += [*_table(widths, (c for row in scored for c in _score_lines(row, seeded))), ""]
    if seeded:
        cells = (c for row in scored for c in _comparison_lines(row))
        lines += [*_table(COMPARISON_WIDTHS, cells), ""]
    lines += _legend(scored, scores, seeded)
    for row in rows:
        lines += _missing_lines(row) if pd.isna(row["n_vertices"]) else []
    lines += textwrap.wrap(paper, WIDTH)
    for row in rows:
        lines += wrap(f"  {row['row']}: {row['paper']}") if row["paper"] and not seeded else []
    return lines


def _table(widths: Mapping[str, int], rows: Any) -> Iterator[str]:
    yield _line(widths, list(widths))
    yield "-" * (sum(map(abs, widths.values())) + len(widths) - 1)
    for cells in rows:
        yield from _lines(widths, cells)


def _lines(widths: Mapping[str, int], cells: Sequence[str]) -> Iterator[str]:
    """Break cells that are too wide into several lines, after one of `+-_@#` or a space."""
    broken = [_break_cell(cell, abs(w)) for cell, w in zip(cells, widths.values(), strict=True)]
    for number in range(max(map(len, broken))):
        yield _line(widths, [b[number] if number < len(b) else "" for b in broken])


def _break_cell(cell: str, width: int) -> list[str]:
    lines = [""]
    for piece in re.findall(r"[^+\-_@# ]+[+\-_@# ]?|[+\-_@# ]", cell):
        if lines[-1] and len(lines[-1]) + len(piece.rstrip()) > width:
            lines.append("")
        lines[-1] += piece
    return lines


def _line(widths: Mapping[str, int], cells: Sequence[str]) -> str:
    return " ".join(
        f"{cell.rstrip():<{-w}}" if w < 0 else f"{cell:>{w}}"
        for cell, w in zip(cells, widths.values(), strict=True)
    ).rstrip()


def _training_cells(row: Mapping[Any, Any], adversarial: bool) -> list[str]:
    loss, critics = (_words(row[name]) for name in ("loss", "discriminators"))
    epochs = "" if pd.isna(row["epochs"]) else f"{row['epochs']:.0f}"
    seconds = "" if epochs == "" else f"{row['seconds_per_epoch']:.2g}"
    settings = [row["pretrained"], loss, critics] if adversarial else [row["group_by"], loss]
    return [row["row"], row["model"], row["spaces"], *settings, _count(row["parameters"]), seconds,
            epochs]  # fmt: skip


def _words(value: Any) -> str:
    return "" if pd.isna(value) else str(value)


def _count(number: Any) -> str:
    if pd.isna(number):
        return ""
    for unit, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= unit:
            return f"{number / unit:.3g} {name}"
    return f"{number:.0f}"


def _score_lines(row: Mapping[Any, Any], seeded: bool) -> Iterator[list[str]]:
    """Yield a line of means, and a line of their intervals if there are any."""
    score = row["measure"] == "score"
    digits = 2 if score else 3
    means = ["" if pd.isna(row[n]) else decimal(row[n], digits) for n in CLASS_ORDER]
    last = _span(row, "seeds", f".{digits}f", "–") if seeded else _difference(row)[0]
    yield [row["row"], *means, last]
    digits = 0 if score else 2
    spans = [_span(row, name, f".{digits}f", "–") for name in CLASS_ORDER]
    if any(spans):
        yield ["", *spans, "" if seeded else _difference(row)[1]]


def _difference(row: Mapping[Any, Any]) -> tuple[str, str]:
    """Return a difference and its interval as text; empty if there is none."""
    if pd.isna(row["difference"]):
        return "", ""
    score = row["measure"] == "score"
    span = _span(row, "difference", "+.1f" if score else "+.3f", ", ")
    return decimal(row["difference"], 2 if score else 3, signed=True), f"[{span}]" if span else ""


def _comparison_lines(row: Mapping[Any, Any]) -> Iterator[list[str]]:
    """Yield a line that compares a row over seeds and pictures, and a line of its intervals."""
    correlation_row = dict(row) | {"measure": "pearson_r"}
    spread = _span(correlation_row, "pearson_r_seeds", ".3f", "–")
    value, span = _difference(row)
    survives = "" if pd.isna(row["survives"]) else "yes" if row["survives"] else "no"
    r = "" if pd.isna(row["pearson_r"]) else decimal(row["pearson_r"], 3)
    yield [row["row"], r, spread, _words(row["paper"]), _words(row["against"]), value, survives]
    if (r_span := _span(correlation_row, "pearson_r", ".2f", "–")) or span:
        yield ["", r_span, "", "", "", span, ""]


def _span(row: Mapping[Any, Any], name: str, form: str, between: str) -> str:
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    if pd.isna(low):
        return ""
    # r is never above 1, so the 0 before the point is left out.
    text = f"{low:{form}}{between}{high:{form}}"
    return text if row["measure"] == "score" else re.sub(r"\b0\.", ".", text)


def _missing_lines(row: Mapping[Any, Any]) -> list[str]:
    return wrap(f"{'not scored' if row['fit'] else 'not run'}: {row['row']}: {row['why']}")


def _legend(rows: Sequence[Mapping[Any, Any]], scores: StudyScores, seeded: bool) -> list[str]:
    lines = [
        "params: weights of all groups; s/epoch: a pass over the pictures, of all groups;",
        "epochs: until the loss on validation pictures is best, the median over groups",
    ]
    against = next((row["against"] for row in rows if not pd.isna(row["against"])), None)
    if seeded:
        lines += SEEDS
    elif against is not None:
        lines.append(f"less the first: the row's `all` less that of {against}, on the same draws")
    measures = {row["measure"] for row in rows}
    if "score" in measures:
        lines.append("score: mean over vertices of r^2 / noise ceiling, in percent, by ROI class")
        chance = max(row["chance"] for row in rows if row["measure"] == "score")
        lines.append("chance: predictions unrelated to the pictures score "
                     f"{decimal(chance, 2)} on all vertices")  # fmt: skip
    if "pearson_r" in measures:
        lines.append("pearson_r: mean over vertices, NOT noise-normalised, as ceilings are missing")
    caveats = scores.caveats
    lines.append(caveats.pictures_line())
    if caveats.fewest_pictures < FEWEST_PICTURES:
        lines.append(f"no intervals: {FEWEST_PICTURES} pictures are needed")
    elif scores.resamples:
        lines.append("below each mean its 95 % interval, had other pictures been shown; "
                     f"{scores.resamples} draws, seed {scores.seed}")  # fmt: skip
    lines += [f"{space} stands in for {role}" for role, space in scores.study["stand_in"].items()]
    return [*lines, *caveats.origin_lines(), *caveats.wrapped_warnings()]

"""The table of a study: what each row is and took to train, then how well it predicts."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from evaluate.completeness import say_unfinished, wrap
from evaluate.resampling import FEWEST_PICTURES
from evaluate.rows import CLASS_ORDER

# Widths of the cells; they are joined by a space.
MADE = {"row": -21, "model": -12, "inputs": -18, "grouped by": -11, "loss": -11, "params": 7,
        "s/epoch": 7, "epochs": 6}  # fmt: skip
SHORT = {"prf-visualrois": "prf", "floc-bodies": "bodies", "floc-faces": "faces",
         "floc-places": "places", "floc-words": "words", "residual": "resid."}  # fmt: skip
PREDICTED = {"row": -21, **{SHORT.get(name, name): 7 for name in CLASS_ORDER}, "less the first": 14}
WIDTH = 100


def in_lines(frame: pd.DataFrame, sidecar: Mapping[str, Any]) -> list[str]:
    """Lay out a study: two tables, and what must be known to read them.

    Parameters
    ----------
    frame : DataFrame
        Rows of the study's CSV; of several subjects, those of all are shown.
    sidecar : mapping
        What the JSON beside it says of them.

    Returns
    -------
    list of str
        Lines of at most 100 characters, but for paths and commands.
    """
    whose = "all" if (frame["subject"] == "all").any() else frame["subject"].iloc[0]
    rows = frame[frame["subject"] == whose].to_dict("records")
    shown = [row for row in rows if not pd.isna(row["n_vertices"])]
    return [
        "",
        *([sidecar["about"], ""] if sidecar["about"] else []),
        *_table(MADE, map(_made, shown)),
        "",
        *_table(PREDICTED, (cells for row in shown for cells in _predicted(row))),
        "",
        *_legend(shown, sidecar),
        *(line for row in rows if pd.isna(row["n_vertices"]) for line in _absent(row)),
        *textwrap.wrap(sidecar["paper"], WIDTH),
        *(line for row in rows if row["paper"] for line in wrap(f"  {row['row']}: {row['paper']}")),
    ]


def _table(widths: Mapping[str, int], rows: Any) -> Iterator[str]:
    yield _line(widths, list(widths))
    yield "-" * (sum(map(abs, widths.values())) + len(widths) - 1)
    for cells in rows:
        yield from _lines(widths, cells)


def _lines(widths: Mapping[str, int], cells: Sequence[str]) -> Iterator[str]:
    """Break cells that are too wide into several lines, behind one of `+-_@#` or a space."""
    broken = [_broken(cell, abs(w)) for cell, w in zip(cells, widths.values(), strict=True)]
    for number in range(max(map(len, broken))):
        yield _line(widths, [b[number] if number < len(b) else "" for b in broken])


def _broken(cell: str, width: int) -> list[str]:
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


def _made(row: Mapping[Any, Any]) -> list[str]:
    loss = "" if pd.isna(row["loss"]) else row["loss"]
    epochs = "" if pd.isna(row["epochs"]) else f"{row['epochs']:.0f}"
    seconds = "" if epochs == "" else f"{row['seconds_per_epoch']:.2g}"
    return [row["row"], row["model"], row["spaces"], row["group_by"], loss,
            _count(row["parameters"]), seconds, epochs]  # fmt: skip


def _count(number: Any) -> str:
    if pd.isna(number):
        return ""
    for unit, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= unit:
            return f"{number / unit:.3g} {name}"
    return f"{number:.0f}"


def _predicted(row: Mapping[Any, Any]) -> Iterator[list[str]]:
    """Give a line of means, and one of their intervals where there are any."""
    score = row["measure"] == "score"
    digits = 2 if score else 3
    means = ["" if pd.isna(row[n]) else f"{row[n]:.{digits}f}" for n in CLASS_ORDER]
    less = "" if pd.isna(row["difference"]) else f"{row['difference']:+.{digits}f}"
    yield [row["row"], *means, less]
    digits = 0 if score else 2
    spans = [_span(row, name, f".{digits}f", "–") for name in CLASS_ORDER]
    if any(spans):
        less = _span(row, "difference", f"+.{digits + 1}f", ", ")
        yield ["", *spans, f"[{less}]" if less else ""]


def _span(row: Mapping[Any, Any], name: str, form: str, between: str) -> str:
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    if pd.isna(low):
        return ""
    # Of r, without the 0 before the point: it is never above 1.
    text = f"{low:{form}}{between}{high:{form}}"
    return text if row["measure"] == "score" else re.sub(r"\b0\.", ".", text)


def _absent(row: Mapping[Any, Any]) -> list[str]:
    return wrap(f"{'not scored' if row['fit'] else 'not run'}: {row['row']}: {row['why']}")


def _legend(rows: Sequence[Mapping[Any, Any]], sidecar: Mapping[str, Any]) -> list[str]:
    lines = [
        "params: weights of all groups; s/epoch: a pass over the pictures, of all groups;",
        "epochs: until the loss on validation pictures is best, the median over groups",
    ]
    against = next((row["against"] for row in rows if not pd.isna(row["against"])), None)
    if against is not None:
        lines.append(f"less the first: the row's `all` less that of {against}, on the same draws")
    measures = {row["measure"] for row in rows}
    if "score" in measures:
        lines.append("score: mean over vertices of r^2 / noise ceiling, in percent, by ROI class")
    if "pearson_r" in measures:
        lines.append("pearson_r: mean over vertices, NOT noise-normalised, as ceilings are missing")
    on = {"test": "test", "heldout": "held-out training"}[sidecar["split"]]
    n = sidecar["n_pictures"]
    counts = "/".join(map(str, sorted(set(n.values()))))
    lines.append(f"on {counts} {on} pictures of each subject: {', '.join(n)}")
    if min(n.values()) < FEWEST_PICTURES:
        lines.append(f"no intervals: {FEWEST_PICTURES} pictures are needed")
    elif sidecar["resamples"]:
        lines.append("below each mean its 95 % interval, had other pictures been shown; "
                     f"{sidecar['resamples']} draws, seed {sidecar['seed']}")  # fmt: skip
    lines += [f"{space} stands in for {role}" for role, space in sidecar["stand_in"].items()]
    if sidecar["simulated"]:
        lines.append(f"the responses are SIMULATED, subjects: {', '.join(sidecar['simulated'])}")
    untrained = sorted({s for row in rows for s in str(row["untrained"]).split("+") if s})
    if untrained:
        lines.append(f"UNTRAINED networks, random weights: {', '.join(untrained)}")
    return lines + [f"WARNING: {line}" for line in say_unfinished(sidecar["unfinished"])]

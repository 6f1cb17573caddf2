"""The lines below the table: what its numbers are, and what must be known to read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from challenge import HEMISPHERES, SMALLEST_CEILING
from evaluate.completeness import say_coverage, say_unfinished, wrap
from evaluate.members import say_members
from evaluate.resampling import FEWEST_CALIBRATED, FEWEST_PICTURES
from evaluate.table import measure, overall


def legend(frame: pd.DataFrame, sidecar: Mapping[str, Any]) -> list[str]:
    """Say what the table's numbers are, and what must be known to read them.

    Parameters
    ----------
    frame : DataFrame
        Rows of scores.csv.
    sidecar : mapping
        What scores.json says of them.

    Returns
    -------
    list of str
        Lines of at most 100 characters, for few models.
    """
    lines = [*_measured(frame, sidecar), *_uncertainty(frame, sidecar), *_pictures(sidecar)]
    if sidecar["simulated"]:
        lines.append(f"the responses are SIMULATED, subjects: {', '.join(sidecar['simulated'])}")
    untrained = sorted({space for spaces in sidecar["untrained"].values() for space in spaces})
    if untrained:
        lines.append(f"UNTRAINED networks, random weights: {', '.join(untrained)}")
    lines += say_members(sidecar["members"])
    for label, differs in sidecar["twins"].items():
        lines += wrap(f"{label}: {differs}")
    lines += [f"WARNING: {line}" for line in say_unfinished(sidecar["unfinished"])]
    if uneven := say_coverage(sidecar["coverage"], "evaluate"):
        lines += ["columns cover different subjects, do not compare them:", *uneven]
    if filled := sum(sidecar["n_filled"].values()):
        lines.append(f"ensemble: {filled} vertices lie in none of the chosen ROI classes, filled "
                     "from the others")  # fmt: skip
    lines += _constant_measured(sidecar)
    lines.append(f"excluded: ceiling 0 (below {SMALLEST_CEILING:g}), in no mean; "
                 "clipped: score cut at 100;")  # fmt: skip
    lines.append("constant: one prediction for all, r = 0")
    return lines


def _measured(frame: pd.DataFrame, sidecar: Mapping[str, Any]) -> list[str]:
    if measure(frame) == "score":
        lines = ["score: mean over vertices of r^2 / noise ceiling, in percent"]
        if made := sidecar["made_ceilings"]:
            lines.append(f"ceilings made by `evaluate ceilings`, subjects: {', '.join(made)}")
        return lines
    line = "pearson_r: mean over vertices, NOT noise-normalised: "
    missing = sidecar["absent"]["ceilings"]
    if not missing:
        return [f"{line}a column has only vertices of ceiling 0"]
    if len(missing) == _n_sides(sidecar):
        return [f"{line}there are no noise ceilings", f"  (such as {missing[0]})"]
    return [f"{line}noise ceilings are missing:", *(f"  {file}" for file in missing)]


def _constant_measured(sidecar: Mapping[str, Any]) -> list[str]:
    """Return a line about vertices that no model can predict, if there are any."""
    n_vertices = max((c["n_constant_measured"] for c in sidecar["counts"]
                      if c["subject"] == c["hemisphere"] == "all"), default=0)  # fmt: skip
    if not n_vertices:
        return []
    return wrap(f"WARNING: at {n_vertices} vertices that count, the measured responses are "
                "constant: r = 0, whatever is predicted (make check names them)")  # fmt: skip


def _uncertainty(frame: pd.DataFrame, sidecar: Mapping[str, Any]) -> list[str]:
    settings = sidecar["settings"]
    if not settings["resamples"]:
        return ["no intervals: they were not asked for (--resamples 0)"]
    fewest = min(sidecar["n_pictures"].values())
    if frame["pearson_r_low"].isna().all():
        return [f"no intervals: fewer than {FEWEST_PICTURES} different pictures say little of how "
                "much others would differ"]  # fmt: skip
    lines = [f"[low, high]: 95 % interval, had other pictures been shown; {settings['resamples']} "
             f"draws of pictures, seed {settings['seed']}"]  # fmt: skip
    if fewest < FEWEST_CALIBRATED:
        lines.append(f"the intervals are calibrated for {FEWEST_CALIBRATED} pictures and more: "
                     f"with {fewest} they are rough")  # fmt: skip
    if measure(frame) == "score":
        lines.append("explained: rho^2 / noise ceiling with infinitely many pictures, small-sample "
                     "bias removed")  # fmt: skip
    whole = overall(frame)
    if (whole.loc[whole["roi_class"] == "all", "explained_low"] > 100).any():
        lines.append("WARNING: more than 100 % explained: the ceilings are too low, or predictions "
                     "saw the responses")  # fmt: skip
    return lines


def _pictures(sidecar: Mapping[str, Any]) -> list[str]:
    counts = sorted(set(sidecar["n_pictures"].values()))
    span = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    on = {"test": "test", "heldout": "held-out training"}[sidecar["split"]]
    lines = [f"on {span} {on} pictures of each subject: {', '.join(sidecar['n_pictures'])}"]
    missing = sidecar["absent"]["test_responses"]
    chosen = sidecar["settings"]["split"] == "heldout"
    # The organisers keep all test responses; that only some are there is not meant.
    if not chosen and 0 < len(missing) < _n_sides(sidecar):
        lines += ["not on the test pictures, as test responses are missing:"]
        lines += [f"  {file}" for file in missing]
    return lines


def _n_sides(sidecar: Mapping[str, Any]) -> int:
    return len(sidecar["n_pictures"]) * len(HEMISPHERES)

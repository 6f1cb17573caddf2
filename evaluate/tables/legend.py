"""The lines below the table of scores: the meaning of its numbers, and warnings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from base import plural
from challenge import HEMISPHERES, SMALLEST_CEILING
from evaluate.fits.caveats import origin_lines, pictures_line, warning_lines
from evaluate.fits.completeness import coverage_lines, wrap
from evaluate.resampling import FEWEST_CALIBRATED, FEWEST_PICTURES
from evaluate.tables.member_lines import describe_members
from evaluate.tables.scores_table import measure, overall


def legend(frame: pd.DataFrame, sidecar: Mapping[str, Any]) -> list[str]:
    """Return the lines below the table: the meaning of its numbers, data, members, warnings."""
    lines = [
        *_measure_lines(frame, sidecar),
        *_interval_lines(frame, sidecar),
        *_picture_lines(sidecar),
    ]
    lines += origin_lines(sidecar)
    lines += describe_members(sidecar["members"])
    for label, differs in sidecar["twins"].items():
        lines += wrap(f"{label}: {differs}")
    # Not wrapped, so that a command stays on one line.
    lines += [f"WARNING: {line}" for line in score_warnings(frame, sidecar)]
    if uneven := coverage_lines(sidecar["coverage"], "evaluate"):
        lines += ["columns cover different subjects, do not compare them:", *uneven]
    if filled := sum(sidecar["n_filled"].values()):
        lines.append(f"ensemble: {plural(filled, 'vertex')} in none of the chosen ROI classes, "
                     "filled from the others")  # fmt: skip
    lines += _constant_lines(sidecar)
    lines.append(f"excluded: ceiling 0 (below {SMALLEST_CEILING:g}), in no mean; "
                 "clipped: score cut at 100;")  # fmt: skip
    lines.append("constant: one prediction for all, r = 0")
    return lines


def score_warnings(frame: pd.DataFrame, sidecar: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each fault of the data or fits that distorts the scores."""
    whole = overall(frame)
    lines = warning_lines(sidecar)
    if (whole.loc[whole["roi_class"] == "all", "explained_low"] > 100).any():
        lines.append("more than 100 % explained: the ceilings are too low, or predictions saw the "
                     "responses")  # fmt: skip
    return lines


def _measure_lines(frame: pd.DataFrame, sidecar: Mapping[str, Any]) -> list[str]:
    if measure(frame) == "score":
        return [
            "score: mean over vertices of r^2 / noise ceiling, in percent",
            "chance: the score that is expected of predictions unrelated to the pictures",
        ]
    line = "pearson_r: mean over vertices, NOT noise-normalised: "
    missing = sidecar["absent"]["ceilings"]
    if not missing:
        return [f"{line}a column has only vertices of ceiling 0"]
    if len(missing) == _n_sides(sidecar):
        return [f"{line}there are no noise ceilings", f"  (such as {missing[0]})"]
    return [f"{line}noise ceilings are missing:", *(f"  {file}" for file in missing)]


def _constant_lines(sidecar: Mapping[str, Any]) -> list[str]:
    """Return a warning about vertices that no model can predict, if there are any."""
    n_vertices = max((c["n_constant_measured"] for c in sidecar["counts"]
                      if c["subject"] == c["hemisphere"] == "all"), default=0)  # fmt: skip
    if not n_vertices:
        return []
    return wrap(f"WARNING: at {n_vertices} vertices that count, the measured responses are "
                "constant: r = 0, whatever is predicted (make check names them)")  # fmt: skip


def _interval_lines(frame: pd.DataFrame, sidecar: Mapping[str, Any]) -> list[str]:
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
    return lines


def _picture_lines(sidecar: Mapping[str, Any]) -> list[str]:
    lines = [pictures_line(sidecar["n_pictures"], sidecar["split"])]
    missing = sidecar["absent"]["test_responses"]
    is_heldout = sidecar["settings"]["split"] == "heldout"
    # The organisers keep back all test responses; having only some of them is a mistake.
    if not is_heldout and 0 < len(missing) < _n_sides(sidecar):
        lines += ["not on the test pictures, as test responses are missing:"]
        lines += [f"  {file}" for file in missing]
    return lines


def _n_sides(sidecar: Mapping[str, Any]) -> int:
    return len(sidecar["n_pictures"]) * len(HEMISPHERES)

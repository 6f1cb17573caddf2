"""The tables of an ablation in the terminal, with their legend."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from cache.records import AblationsRecord
from challenge import Subject
from evaluate.fits.completeness import wrap
from evaluate.resampling import FEWEST_CALIBRATED, FEWEST_PICTURES

LABEL, WIDTH = 16, 25
PICTURES = {"test": "test pictures", "heldout": "held-out training pictures"}


def describe(
    subjects: Sequence[Subject], request: AblationsRecord, n_pictures: Mapping[str, int]
) -> dict[str, Any]:
    """Return the sidecar of an ablation: spaces, split, settings, subjects and caveats, as JSON."""
    train_digests = {subject.name: set(subject.picture_digests("train")) for subject in subjects}
    n_repeated = {
        subject.name: len(train_digests[subject.name] & set(subject.picture_digests("test")))
        for subject in subjects
    }
    return {
        "spaces": request["spaces"],
        "split": request["split"],
        "settings": request["settings"],
        "subjects": [subject.name for subject in subjects],
        "n_pictures": dict(n_pictures),
        "simulated": [subject.name for subject in subjects if subject.simulated],
        "untrained": request["untrained"],
        "repeated_test_pictures": {name: n for name, n in n_repeated.items() if n},
    }


def contribution_names(frame: pd.DataFrame) -> list[str]:
    """Return the names of the contributions that have intervals."""
    names = [str(name).removesuffix("_low") for name in frame if str(name).endswith("_low")]
    return [name for name in names if name != "r2"]


def render(frame: pd.DataFrame, about: Mapping[str, Any]) -> list[str]:
    """Return lines of R^2 of each subset and the contributions, per class, over all subjects."""
    rows = frame[(frame["subject"] == "all") & (frame["hemisphere"] == "all")]
    rows = rows[rows["roi"] == "all"]
    whole = rows[rows["spaces"] == rows["spaces"].iloc[-1]]
    rows = rows.assign(value=rows["r2"], value_low=rows["r2_low"], value_high=rows["r2_high"])
    subsets = dict(list(rows.groupby("spaces", sort=False)))
    products = [name for name in map(str, frame) if name.startswith("product:")]
    lines = ["", "R^2, the mean over vertices (not noise-normalised)"]
    lines += _table({str(name): (subset, "value") for name, subset in subsets.items()})
    if parts := contribution_names(frame):
        lines += ["", "contributions: unique and shared parts of that R^2"]
        lines += _table({name: (whole, name) for name in parts})
    lines += ["", "product: what each space adds to the correlation, of all together"]
    lines += _table({name: (whole, name) for name in products})
    return [*lines, "", *_legend(frame, about)]


def _table(columns: Mapping[str, tuple[pd.DataFrame, str]]) -> list[str]:
    """Return lines of numbered columns, with a line for each ROI class."""
    lines = [f"  ({number}) {name}" for number, name in enumerate(columns, start=1)]
    per_block = (100 - LABEL) // WIDTH
    numbered = list(enumerate(columns.values(), start=1))
    for start in range(0, len(numbered), per_block):
        block = numbered[start : start + per_block]
        lines.append(f"{'':{LABEL}}" + "".join(f"{f'({number})':>{WIDTH}}" for number, _ in block))
        classes = [str(name) for name in block[0][1][0]["roi_class"]]
        for place, roi_class in enumerate(classes):
            cells = [_cell(rows.iloc[place], name) for _, (rows, name) in block]
            lines.append(f"{roi_class:<{LABEL}}" + "".join(f"{cell:>{WIDTH}}" for cell in cells))
    return lines


def _cell(row: Any, name: str) -> str:
    low, high = row.get(f"{name}_low"), row.get(f"{name}_high")
    value = f"{row[name]:.3f}"
    return value if low is None or pd.isna(low) else f"{value} [{low:.3f}, {high:.3f}]"


def _legend(frame: pd.DataFrame, about: Mapping[str, Any]) -> list[str]:
    counts = sorted(set(about["n_pictures"].values()))
    span = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    lines = [f"on {span} {PICTURES[about['split']]}, subjects: {', '.join(about['subjects'])}"]
    if about["split"] == "heldout":
        lines.append("(test responses are not there, or were not asked for)")
    if frame["r2_low"].isna().all():
        lines.append(f"no intervals: fewer than {FEWEST_PICTURES} different pictures")
    else:
        lines.append("[low, high]: 95 % interval, had other pictures been shown; the same pictures "
                     f"for all subsets; rough below {FEWEST_CALIBRATED} pictures")  # fmt: skip
        lines += wrap("unique: R^2 of all spaces less that of all others; below 0 where the space "
                      "costs more than it tells, as one that tells nothing does")  # fmt: skip
        fewest = min(about["n_pictures"].values())
        lines += wrap(f"R^2 and the shared part are expected lower by up to 1/{fewest} than of "
                      "infinitely many pictures")  # fmt: skip
    return [part for line in [*lines, *_warnings(about)] for part in wrap(line)]


def _warnings(about: Mapping[str, Any]) -> list[str]:
    lines = []
    for name, n in about["repeated_test_pictures"].items():
        if about["split"] == "test":
            lines.append(f"WARNING: {n} test pictures of subject {name} are among its training "
                         "pictures: R^2 on them is inflated")  # fmt: skip
    if about["simulated"]:
        lines.append(f"the responses are SIMULATED, subjects: {', '.join(about['simulated'])}")
    if about["untrained"]:
        lines.append(f"UNTRAINED networks, random weights: {', '.join(about['untrained'])}")
    return lines

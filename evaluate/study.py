"""`python -m evaluate study NAME`: the rows of a study scored side by side, as a table and CSV."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from base import progress, provenance, replacing, say
from cache import read_meta
from challenge import HEMISPHERES
from evaluate.completeness import unfinished
from evaluate.ensemble import judge
from evaluate.errors import EvaluateError
from evaluate.fits import RoiModel, Run
from evaluate.hemisphere import load_hemisphere
from evaluate.inputs import Inputs, gather, report_missing
from evaluate.predicted import ENSEMBLE, Predicted, predicted_by
from evaluate.resampling import difference, intervals
from evaluate.rows import CLASS_ORDER, score_hemisphere
from evaluate.score import Tally
from evaluate.scorer import Resampling
from evaluate.study_table import in_lines

# What regress tells of a row, as it stands in the CSV; lists are joined by "+".
TOLD = ("model", "spaces", "asked", "group_by", "loss", "optimiser", "params", "trained_on",
        "start", "images")  # fmt: skip
TRAINING = ("parameters", "seconds_per_epoch", "epochs", "epochs_low", "epochs_high")
CLASSES = tuple(name + end for name in CLASS_ORDER for end in ("", "_low", "_high"))
COLUMNS = ("row", *TOLD, *TRAINING, "subject", "split", "measure", "n_vertices", *CLASSES,
           "against", "difference", "difference_low", "difference_high", "p", "simulated",
           "untrained", "paper", "why", "fit", "command")  # fmt: skip
# A measure's name in a tally, in draws, and what makes it as in scores.csv.
MEASURES = {"score": ("noise_normalised", "score", 100), "pearson_r": ("pearson_r", "r", 1)}

# By fit, subject ("all" for all) and ROI class.
Tallies = Mapping[tuple[str, str, str], Tally]


def study(
    study: str,
    data: Path = Path("data"),
    out: Path = Path("derivatives"),
    subject: str | int = "all",
    split: str = "auto",
    resamples: int = 1000,
    seed: int = 0,
) -> None:
    """Score the rows of a study, beside each other and less the first, on the same draws.

    Writes OUT/NAME.csv, a line for each row (and subject, where there are several), and what it was
    made with beside it. Rows that could not be fitted are listed with the reason.

    Parameters
    ----------
    study : str
        As for `python -m regress.study`, which fits the rows and keeps the list of them.
    data : Path
        The challenge's directory.
    out : Path
        The output folder.
    subject : str or int
        "all", or one: "01".
    split : str
        "test" responses, "heldout" training pictures, or "auto": test where there are responses.
    resamples : int
        Draws of the pictures for the 95 % intervals; 0 for none.
    seed : int
        Of these.

    Raises
    ------
    EvaluateError
        If the study was not fitted.
    """
    how = Resampling(resamples, 0, seed).checked()
    name = Path(study).stem
    listed = _listed(out, name)
    fits = list(dict.fromkeys(row["fit"] for row in listed["rows"] if row["fit"]))
    if not fits:
        raise EvaluateError(f"study {name}: no row is fitted: {listed['rows'][0]['why']}")
    inputs = gather(data, out, subject, fits, None, split)
    report_missing(inputs)
    tallies = _tallies(inputs, how, listed["rows"][0]["fit"])
    names = [one.name for one in inputs.subjects]
    frame = pd.DataFrame(
        [
            line
            for row in listed["rows"]
            for whose in (names if len(names) == 1 else [*names, "all"])
            for line in [_line(row, whose, listed, inputs, tallies)]
        ],
        columns=list(COLUMNS),
    )
    path = out / f"{name}.csv"
    with replacing(path) as temporary:
        frame.to_csv(temporary, index=False, lineterminator="\n")
    kept = {
        **{key: listed[key] for key in ("study", "about", "paper", "stand_in")},
        "split": inputs.split,
        "resamples": resamples,
        "seed": seed,
        "n_pictures": inputs.n_pictures,
        "simulated": [one.name for one in inputs.subjects if one.simulated],
        "unfinished": unfinished(inputs.subjects, inputs.runs),
        "provenance": provenance(),
    }
    with replacing(path.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")
    say("\n".join([*in_lines(frame, kept), f"-> {path}, with the command that makes each row"]))


def _listed(out: Path, name: str) -> dict[str, Any]:
    """Read the list of rows that stage 2 kept."""
    path = out / "studies" / f"{name}.h5"
    if not path.is_file():
        there = ", ".join(sorted(file.stem for file in path.parent.glob("[!.]*.h5"))) or "none"
        raise EvaluateError(
            f"study {name}: no list of its rows in {path.parent} (there: {there}): fit them first "
            f"with python -m regress.study {name}"
        )
    meta = read_meta(path)
    if meta.get("kind") != "study":
        raise EvaluateError(f"{path}: holds {meta.get('kind')!r}, expected a study: remove it, and "
                            "fit the study again")  # fmt: skip
    return meta


def _tallies(inputs: Inputs, how: Resampling, against: str) -> Tallies:
    """Score each run on its own, with the same draws of pictures for all."""
    found: dict[tuple[str, str, str], Tally] = {}
    # What the others are compared with goes first, and stays in memory.
    runs = sorted(inputs.runs, key=lambda run: run.name != against)
    first: Predicted | None = None
    work = [(s, side, run) for s in inputs.subjects for side in HEMISPHERES for run in runs]
    for subject, side, run in progress(work, desc="scoring", unit="hemisphere"):
        responses = inputs.responses[subject.name, side]
        hemisphere = load_hemisphere(subject, side, [run], responses)
        if run is runs[0]:
            first = None
        if hemisphere is None:
            continue
        if run.name == against:
            strengths = judge(hemisphere, how.seed)
            first = predicted_by(hemisphere, run, inputs.split, strengths)
        scored = score_hemisphere(hemisphere, [run], inputs.split, how=how, against=first)
        for (model, _, roi_class, roi), tally in scored.tallies.items():
            if model != ENSEMBLE and roi == "all":
                for whose in (subject.name, "all"):
                    key = run.name, whose, roi_class
                    found[key] = found[key] + tally if key in found else tally
    return found


def _line(
    row: Mapping[str, Any],
    whose: str,
    listed: Mapping[str, Any],
    inputs: Inputs,
    tallies: Tallies,
) -> dict[str, Any]:
    """Give a line of the CSV."""
    against = listed["rows"][0]
    line: dict[str, Any] = {"row": row["name"], "subject": whose, "split": inputs.split}
    line |= {name: _plain(row[name]) for name in TOLD}
    line |= {name: row[name] for name in ("fit", "why", "paper", "command")}
    run = next((one for one in inputs.runs if one.name == row["fit"]), None)
    whole = tallies.get((row["fit"], whose, "all"))
    if run is None or whole is None:
        if row["fit"]:
            line["why"] = f"trained on {line['trained_on']}, not on {whose}"
        return line
    measure = "pearson_r" if whole.mean("noise_normalised") is None else "score"
    line |= {"measure": measure, "n_vertices": whole.n_vertices}
    line |= training(_models(run, whose))
    line["untrained"] = "+".join(sorted(run.untrained))
    line["simulated"] = any(model.meta.get("simulated") for model in run.models)
    for roi_class in CLASS_ORDER:
        tally = tallies.get((row["fit"], whose, roi_class))
        if tally is not None:
            ends = intervals(tally.draws)
            line[roi_class] = tally.mean(MEASURES[measure][0])
            line |= {f"{roi_class}{end}": ends[f"{measure}{end}"] for end in ("_low", "_high")}
    first = tallies.get((against["fit"], whose, "all"))
    if first is not None and row["fit"] != against["fit"]:
        line |= {"against": against["name"], **_less(first, whole, measure)}
    return line


def _less(first: Tally, second: Tally, measure: str) -> dict[str, Any]:
    """Compare a row with the first; nothing where they are not of the same vertices."""
    metric, drawn, scale = MEASURES[measure]
    means = first.mean(metric), second.mean(metric)
    if first.n_vertices != second.n_vertices or None in means:
        return {}
    if first.draws is None or second.draws is None:
        return {"difference": means[1] - means[0]}  # type: ignore[operator]
    found = difference(first.draws, second.draws, drawn, second.swaps)
    values = {"difference": found.value, "difference_low": found.low, "difference_high": found.high}
    scaled = {name: None if one is None else scale * one for name, one in values.items()}
    return {**scaled, "p": found.p}


def _models(run: Run, whose: str) -> list[RoiModel]:
    return [model for model in run.models if whose in ("all", model.meta["subject"])]


def training(models: Sequence[RoiModel]) -> dict[str, Any]:
    """Sum up what the training of some ROI models took.

    Parameters
    ----------
    models : sequence of RoiModel
        Of one run.

    Returns
    -------
    dict
        `parameters`, of all groups; `seconds_per_epoch`, of one pass over all; `epochs`, the median
        of the groups', with `epochs_low` and `epochs_high`. What is not known is left out: fits of
        earlier revisions do not tell, and models that are solved have no epochs.
    """
    told = [(m.meta["training"], m.meta["group"]) for m in models if m.meta.get("training")]
    if len(told) < len(models):
        return {}
    # Several ROIs may be of one group, and several groups, and subjects, of one training.
    groups: dict[tuple[str, ...], tuple[int, int | None]] = {}
    seconds: dict[str, float] = {}
    for one, group in told:
        groups[*one["seconds_per_epoch"], group] = one["parameters"], one["epochs"]
        seconds |= one["seconds_per_epoch"]
    epochs = [n for _, n in groups.values() if n is not None]
    found: dict[str, Any] = {"parameters": sum(n for n, _ in groups.values())}
    if epochs:
        found["seconds_per_epoch"] = sum(seconds.values())
        found["epochs"] = float(np.median(epochs))
        found |= {"epochs_low": min(epochs), "epochs_high": max(epochs)}
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return " ".join(f"{name}={one}" for name, one in value.items())
    return "+".join(value) if isinstance(value, list) else value

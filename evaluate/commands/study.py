"""`python -m evaluate study NAME`: the rows of a study scored side by side, as a table and CSV."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from base import convert_paths, progress, provenance, replacing, run_hint, say
from challenge import HEMISPHERES, SubjectChoice
from evaluate.errors import EvaluateError
from evaluate.fits.caveats import find_started
from evaluate.fits.completeness import unfinished
from evaluate.fits.hemisphere import load_hemisphere
from evaluate.fits.inputs import Inputs, ceilings_of, gather, made_ceilings, report_missing
from evaluate.fits.runs import RoiModel, Run
from evaluate.fits.study_rows import read_listed
from evaluate.fits.training_record import over_seeds, training
from evaluate.resampling import intervals
from evaluate.scoring.all_subjects import check_resampling
from evaluate.scoring.ensemble import judge
from evaluate.scoring.hemisphere_rows import CLASS_ORDER, score_hemisphere
from evaluate.scoring.hemisphere_scorer import Resampling
from evaluate.scoring.predictions import Predicted, predicted_by
from evaluate.scoring.seeds import MEASURES, compare_seeds, spread
from evaluate.scoring.vertex_scores import Tally, pool
from evaluate.tables.study_table import render

# What regress tells of a row, as it stands in the CSV; lists are joined by "+".
TOLD = ("model", "spaces", "asked", "pretrained", "group_by", "loss", "discriminators",
        "optimiser", "params", "trained_on", "start", "images")  # fmt: skip
TRAINING = ("parameters", "seconds_per_epoch", "epochs", "epochs_low", "epochs_high")
CLASSES = tuple(name + end for name in CLASS_ORDER for end in ("", "_low", "_high"))
R = ("pearson_r", "pearson_r_low", "pearson_r_high")
# What the worst and the best seed give, of the measure and of r, over all vertices.
SPREAD = ("seeds", "seeds_low", "seeds_high", "pearson_r_seeds_low", "pearson_r_seeds_high")
COMPARED = ("against", "difference", "difference_low", "difference_high", "covers", "survives", "p")
COLUMNS = ("row", *TOLD, *TRAINING, "subject", "split", "measure", "n_vertices", *CLASSES, *R,
           *SPREAD, *COMPARED, "simulated", "untrained", "paper", "why", "fit",
           "command", "chance")  # fmt: skip

# By fit, subject ("all" for all) and ROI class.
Tallies = Mapping[tuple[str, str, str], Tally]


@convert_paths
def study(
    study: str,
    data: Path = Path("data"),
    out: Path = Path("derivatives"),
    subject: SubjectChoice = "all",
    split: str = "auto",
    resamples: int = 1000,
    seed: int = 0,
) -> None:
    """Score the rows of a study, beside each other and less one of them, on the same draws.

    Writes OUT/NAME.csv, a line for each row (and subject, where there are several), and what it was
    made with beside it. Of a row with several seeds it gives the mean over these. Rows that could
    not be fitted are listed with the reason.

    Parameters
    ----------
    study : str
        As for `python -m regress.study`, which fits the rows and keeps the list of them.
    data : Path
        The challenge's directory.
    out : Path
        The output folder.
    subject : str, int or sequence of them
        "all", or the numbers of one or several: "01", "01 02".
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
    listed = read_listed(out, name)
    fits = list(dict.fromkeys(fit for row in listed["rows"] for fit in row["fits"]))
    if not fits:
        raise EvaluateError(f"study {name}: no row is fitted: {listed['rows'][0]['why']}")
    inputs = gather(data, out, subject, fits, None, split)
    report_missing(inputs)
    check_resampling(inputs, how)
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
        "untrained": {run.name: sorted(run.untrained) for run in inputs.runs},
        "made_ceilings": made_ceilings(inputs.subjects, ceilings_of(inputs.split)),
        "unfinished": unfinished(inputs.subjects, inputs.runs),
        "leaked": inputs.leaked,
        "started": find_started(inputs.runs),
        "provenance": provenance(),
    }
    with replacing(path.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")
    say("\n".join([*render(frame, kept), f"-> {path}, with the command that makes each row"]))
    command = run_hint("evaluate report", study=name, data=data, out=out, subject=subject)
    say(f"maps of each row: {command}")


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
        for (_, roi_class, roi), tally in scored.tallies.items():
            if roi == "all":
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
    line: dict[str, Any] = {"row": row["name"], "subject": whose, "split": inputs.split}
    line |= {name: _plain(row[name]) for name in TOLD}
    line |= {name: row[name] for name in ("why", "paper", "command")}
    line["fit"] = "+".join(row["fits"])
    runs = [one for fit in row["fits"] for one in inputs.runs if one.name == fit]
    each = _each(row, whose, "all", tallies)
    if not each:
        if row["fit"]:
            line["why"] = f"trained on {line['trained_on']}, not on {whose}"
        return line
    measure = "pearson_r" if each[0].mean("noise_normalised") is None else "score"
    line |= {"measure": measure, "n_vertices": each[0].n_vertices, "seeds": len(each),
             "chance": each[0].mean("chance")}  # fmt: skip
    line |= over_seeds([training(_models(run, whose)) for run in runs])
    line["untrained"] = "+".join(sorted({space for run in runs for space in run.untrained}))
    line["simulated"] = any(model.meta.get("simulated") for model in runs[0].models)
    for roi_class in CLASS_ORDER:
        if of := _each(row, whose, roi_class, tallies):
            line |= _mean(of, measure, roi_class)
    line |= _mean(each, "pearson_r", "pearson_r")
    if len(each) > 1:
        line |= spread(each, measure, "seeds") | spread(each, "pearson_r", "pearson_r_seeds")
    first = _against(row, listed)
    of_first = _each(first, whose, "all", tallies)
    if of_first and row["fit"] != first["fit"]:
        compared = compare_seeds(of_first, each, measure, solved=first["seeds"] == 0)
        line |= {"against": first["name"], **compared}
    return line


def _each(row: Mapping[str, Any], whose: str, roi_class: str, tallies: Tallies) -> list[Tally]:
    found = [tallies.get((fit, whose, roi_class)) for fit in row["fits"]]
    return [tally for tally in found if tally is not None]


def _against(row: Mapping[str, Any], listed: Mapping[str, Any]) -> Mapping[str, Any]:
    named = {one["name"]: one for one in listed["rows"]}
    return named[row["against"]] if row["against"] else listed["rows"][0]


def _mean(each: Sequence[Tally], measure: str, name: str) -> dict[str, Any]:
    """Give the mean over seeds, with its interval over pictures."""
    whole = pool(each)
    ends = intervals(whole.draws)
    return {name: whole.mean(MEASURES[measure][0]),
            **{f"{name}{end}": ends[f"{measure}{end}"] for end in ("_low", "_high")}}  # fmt: skip


def _models(run: Run, whose: str) -> list[RoiModel]:
    return [model for model in run.models if whose in ("all", model.meta["subject"])]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return " ".join(f"{name}={one}" for name, one in value.items())
    return "+".join(value) if isinstance(value, list) else value

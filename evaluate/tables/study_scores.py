"""Scores of the rows of a study, as a table and CSV."""

from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd

from base import progress, provenance, run_hint, say
from cache.records import StudyRecord, StudyRow
from challenge import HEMISPHERES, SubjectChoice
from evaluate.errors import EvaluateError
from evaluate.fits.hemisphere import load_hemisphere
from evaluate.fits.inputs import Inputs, gather, report_missing
from evaluate.fits.sidecar import write_csv, write_json
from evaluate.fits.study_rows import read_study
from evaluate.fits.training_record import pool_seeds, sum_training
from evaluate.resampling import intervals
from evaluate.scoring.all_subjects import check_resampling
from evaluate.scoring.ensemble import compute_strengths
from evaluate.scoring.hemisphere_rows import CLASS_ORDER, score_hemisphere
from evaluate.scoring.hemisphere_scorer import Resampling
from evaluate.scoring.predictions import Prediction, gather_prediction
from evaluate.scoring.seeds import MEASURES, compare_seeds, score_range
from evaluate.scoring.vertex_scores import Tally, pool
from evaluate.tables.study_table import StudyScores, render

# Fields of a row that regress wrote, as they are in the CSV; lists are joined by "+".
ROW_FIELDS = ("model", "spaces", "asked", "pretrained", "group_by", "loss", "discriminators",
        "optimiser", "params", "trained_on", "start", "images")  # fmt: skip
TRAINING = ("parameters", "seconds_per_epoch", "epochs", "epochs_low", "epochs_high")
CLASSES = tuple(name + end for name in CLASS_ORDER for end in ("", "_low", "_high"))
R = ("pearson_r", "pearson_r_low", "pearson_r_high")
# Number of seeds, and the least and greatest measure and r of a seed, over all vertices.
SPREAD = ("seeds", "seeds_low", "seeds_high", "pearson_r_seeds_low", "pearson_r_seeds_high")
COMPARED = ("against", "difference", "difference_low", "difference_high", "covers", "survives", "p")
COLUMNS = ("row", *ROW_FIELDS, *TRAINING, "subject", "split", "measure", "n_vertices", *CLASSES, *R,
           *SPREAD, *COMPARED, "simulated", "untrained", "paper", "why", "fit",
           "command", "chance")  # fmt: skip

# By fit, subject ("all" for the pooled subjects) and ROI class.
Tallies = Mapping[tuple[str, str, str], Tally]


def score_study(
    study: str, data: Path, out: Path, subject: SubjectChoice, split: str, resamples: int, seed: int
) -> None:
    """Score the rows of a study, and their differences from a baseline row, on the same draws."""
    resampling = Resampling(resamples, 0, seed).validate()
    name = Path(study).stem
    study_list = read_study(out, name)
    fits = list(dict.fromkeys(fit for row in study_list["rows"] for fit in row["fits"]))
    if not fits:
        raise EvaluateError(f"study {name}: no row is fitted: {study_list['rows'][0]['why']}")
    inputs = gather(data, out, subject, fits, None, split)
    report_missing(inputs)
    check_resampling(inputs, resampling)
    tallies = _tallies(inputs, resampling, study_list["rows"][0]["fit"])
    names = [s.name for s in inputs.subjects]
    subject_names = names if len(names) == 1 else [*names, "all"]
    lines = [
        _line(row, subject_name, study_list, inputs, tallies)
        for row, subject_name in product(study_list["rows"], subject_names)
    ]
    frame = pd.DataFrame(lines, columns=list(COLUMNS))
    path = out / f"{name}.csv"
    write_csv(path, frame)
    scores = StudyScores(frame, inputs.caveats, study_list, resamples, seed)
    content = scores.as_json() | {"provenance": provenance()}
    write_json(path.with_suffix(".json"), content, seal=False)
    say("\n".join([*render(scores), f"-> {path}, with the command that makes each row"]))
    command = run_hint("evaluate report", study=name, data=data, out=out, subject=subject)
    say(f"maps of each row: {command}")


def _tallies(inputs: Inputs, resampling: Resampling, baseline: str) -> Tallies:
    """Score each run alone, on the same draws of pictures."""
    tallies: dict[tuple[str, str, str], Tally] = {}
    # The baseline, with which the other runs are compared, goes first and stays in memory.
    runs = sorted(inputs.runs, key=lambda run: run.name != baseline)
    baseline_prediction: Prediction | None = None
    work = [(s, side, run) for s in inputs.subjects for side in HEMISPHERES for run in runs]
    for subject, side, run in progress(work, desc="scoring", unit="hemisphere"):
        responses = inputs.responses[subject.name, side]
        hemisphere = load_hemisphere(subject, side, [run], responses)
        if run is runs[0]:
            baseline_prediction = None
        if hemisphere is None:
            continue
        if run.name == baseline:
            strengths = compute_strengths(hemisphere, resampling.seed)
            baseline_prediction = gather_prediction(hemisphere, run, inputs.split, strengths)
        scored = score_hemisphere(
            hemisphere, [run], inputs.split, resampling=resampling, baseline=baseline_prediction
        )
        for (_, roi_class, roi), tally in scored.tallies.items():
            if roi == "all":
                for subject_name in (subject.name, "all"):
                    key = run.name, subject_name, roi_class
                    tallies[key] = tallies[key] + tally if key in tallies else tally
    return tallies


def _line(
    row: StudyRow, subject_name: str, study_list: StudyRecord, inputs: Inputs, tallies: Tallies
) -> dict[str, Any]:
    """Return a line of the CSV."""
    line: dict[str, Any] = {"row": row["name"], "subject": subject_name, "split": inputs.split}
    cells: Mapping[str, Any] = row
    line |= {name: _format_cell(cells[name]) for name in ROW_FIELDS}
    line |= {name: cells[name] for name in ("why", "paper", "command")}
    line["fit"] = "+".join(row["fits"])
    runs_by_name = {run.name: run for run in inputs.runs}
    runs = [runs_by_name[fit] for fit in row["fits"] if fit in runs_by_name]
    tallies_by_seed = _seed_tallies(row, subject_name, "all", tallies)
    if not tallies_by_seed:
        if row["fit"]:
            line["why"] = f"trained on {line['trained_on']}, not on {subject_name}"
        return line
    measure = "pearson_r" if tallies_by_seed[0].mean("noise_normalised") is None else "score"
    line |= {"measure": measure, "n_vertices": tallies_by_seed[0].n_vertices,
             "seeds": len(tallies_by_seed),
             "chance": tallies_by_seed[0].mean("chance")}  # fmt: skip
    line |= pool_seeds([sum_training(run.models_of(subject_name)) for run in runs])
    line["untrained"] = "+".join(sorted({space for run in runs for space in run.untrained}))
    line["simulated"] = any(model.meta.get("simulated") for model in runs[0].models)
    for roi_class in CLASS_ORDER:
        if class_tallies := _seed_tallies(row, subject_name, roi_class, tallies):
            line |= _mean(class_tallies, measure, roi_class)
    line |= _mean(tallies_by_seed, "pearson_r", "pearson_r")
    if len(tallies_by_seed) > 1:
        line |= score_range(tallies_by_seed, measure, "seeds")
        line |= score_range(tallies_by_seed, "pearson_r", "pearson_r_seeds")
    baseline = _baseline_row(row, study_list)
    baseline_tallies = _seed_tallies(baseline, subject_name, "all", tallies)
    if baseline_tallies and row["fit"] != baseline["fit"]:
        compared = compare_seeds(
            baseline_tallies, tallies_by_seed, measure, solved=baseline["seeds"] == 0
        )
        line |= {"against": baseline["name"], **compared}
    return line


def _seed_tallies(
    row: StudyRow, subject_name: str, roi_class: str, tallies: Tallies
) -> list[Tally]:
    """Return the tallies of a row's fits, one for each seed that has the subject."""
    keys = [(fit, subject_name, roi_class) for fit in row["fits"]]
    return [tallies[key] for key in keys if key in tallies]


def _baseline_row(row: StudyRow, study_list: StudyRecord) -> StudyRow:
    """Return the row that a row is compared with, by default the first of the study."""
    rows_by_name = {listed_row["name"]: listed_row for listed_row in study_list["rows"]}
    return rows_by_name[row["against"]] if row["against"] else study_list["rows"][0]


def _mean(tallies: Sequence[Tally], measure: str, name: str) -> dict[str, Any]:
    """Return the mean over seeds, with its interval over pictures."""
    whole = pool(tallies)
    ends = intervals(whole.draws)
    return {name: whole.mean(MEASURES[measure][0]),
            **{f"{name}{end}": ends[f"{measure}{end}"] for end in ("_low", "_high")}}  # fmt: skip


def _format_cell(value: Any) -> Any:
    if isinstance(value, dict):
        return " ".join(f"{name}={item}" for name, item in value.items())
    return "+".join(value) if isinstance(value, list) else value

"""Scores of every fit and the ensemble: computed, written, drawn and printed."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from base import code_digest, load_plugin, plugin_names, provenance, say, sha256_files
from cache import digest
from evaluate import metrics
from evaluate.fits.completeness import coverage
from evaluate.fits.inputs import Inputs, report_missing
from evaluate.fits.runs import label_fits
from evaluate.fits.sidecar import digest_files, read_if_current, write_csv, write_json
from evaluate.scoring.all_subjects import AllScores, Settings, score_all, vertices_are_current
from evaluate.scoring.ensemble import rule_code
from evaluate.scoring.hemisphere_rows import rows
from evaluate.scoring.score_report import COLUMNS, FitCounts, ScoreReport, load_scores, read_report
from evaluate.tables.legend import legend
from evaluate.tables.member_lines import summarise_members
from evaluate.tables.results_table import write_results
from evaluate.tables.scores_figure import draw_all
from evaluate.tables.scores_table import render

# Suffixes of the output files; the last two are the figure, as pixels and for print.
FILES = ("csv", "json", "png", "pdf")
COUNTS = ("n_vertices", "n_excluded", "n_clipped", "n_constant", "n_constant_measured")


def score_inputs(inputs: Inputs, settings: Settings, split: str) -> ScoreReport:
    """Score, write and print; if nothing has changed, read the scores from disk instead.

    `split` is the command's `--split`, which may be "auto".
    """
    report_missing(inputs)
    settings_json = settings.as_json() | {"split": split}
    plugins = {name: load_plugin(metrics, name, "metric") for name in plugin_names(metrics)}
    code = {name: code_digest(metric) for name, metric in plugins.items()}
    labels = {fit: label.columns for fit, label in label_fits(inputs.runs).items()}
    made_by = {"kind": "scores", "schema": 8, "metrics": code, "rule": rule_code(settings.ensemble)}
    key = digest({**made_by, "settings": settings_json, "fitted": labels, **inputs.key})
    files = [inputs.out / f"scores{inputs.suffix}.{suffix}" for suffix in FILES]
    csv, sidecar, *figures = files
    content = read_if_current(csv, sidecar, key, figures)
    if content is not None and vertices_are_current(inputs, settings):
        say(f"{csv}: nothing has changed since it was made, nothing recomputed")
        report = read_report(csv, content)
    else:
        scored = score_all(inputs, settings)
        csv_rows = rows(scored.tallies, scored.intervals, inputs.split, label_fits(inputs.runs))
        write_csv(csv, pd.DataFrame(csv_rows, columns=list(COLUMNS)))
        report = replace(_report(inputs, scored, csv), key=key, settings=settings_json)
        write_scores(report, sidecar, figures)
        write_results(inputs.out)
    print_scores(report, [csv, *figures])
    return report


def _report(inputs: Inputs, scored: AllScores, csv: Path) -> ScoreReport:
    return ScoreReport(
        frame=load_scores(csv),
        caveats=inputs.caveats,
        sha256=sha256_files([csv])[0],
        inputs=inputs.key,
        subjects={run.name: run.subjects for run in inputs.runs},
        coverage=coverage(inputs.subjects, inputs.runs),
        twins={run.label: run.differs for run in inputs.runs if run.differs},
        absent=inputs.absent,
        n_filled=scored.filled,
        members=summarise_members(inputs.runs, scored.members),
        counts=_counts(inputs, scored),
        provenance=provenance(),
    )


def _counts(inputs: Inputs, scored: AllScores) -> list[FitCounts]:
    labels = label_fits(inputs.runs)
    counts: list[Any] = []
    for key, tally in scored.tallies.items():
        if key.roi_class == "all":
            numbers = {name: getattr(tally, name) for name in COUNTS}
            means = {name: tally.mean(name) for name in sorted(tally.sums)}
            names = {"fit": key.fit, "subject": key.subject, "hemisphere": key.hemisphere}
            counts.append(names | labels[key.fit].columns | numbers | {"means": means})
    return counts


def write_scores(report: ScoreReport, sidecar: Path, figures: Sequence[Path]) -> None:
    """Draw the figures, and write scores.json last: if it has a key, the other files have it."""
    draw_all(report, figures)
    write_json(sidecar, replace(report, figures=digest_files(figures)).as_json())


def print_scores(report: ScoreReport, files: Sequence[Path]) -> None:
    """Print the table of scores and its legend, and where the files are."""
    lines = ["", render(report), "", *legend(report), *(f"-> {file}" for file in files)]
    say("\n".join(lines))

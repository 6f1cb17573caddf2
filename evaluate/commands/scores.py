"""`python -m evaluate scores`: score every fit and the ensemble."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from base import (
    code_digest,
    convert_paths,
    load_plugin,
    plugin_names,
    provenance,
    replacing,
    say,
    sha256_files,
)
from cache import digest
from challenge import SubjectChoice
from evaluate import metrics
from evaluate.commands.results import write_results
from evaluate.fits.caveats import find_started
from evaluate.fits.completeness import coverage, find_unfinished
from evaluate.fits.inputs import Inputs, ceiling_split, gather, made_ceilings, report_missing
from evaluate.fits.sidecar import read_if_current, write_json
from evaluate.scoring.all_subjects import AllScores, Settings, score_all, vertices_are_current
from evaluate.scoring.ensemble import DEFAULT, rule_code
from evaluate.scoring.hemisphere_rows import describe_fits, rows
from evaluate.scoring.hemisphere_scorer import Resampling
from evaluate.tables.legend import legend
from evaluate.tables.member_lines import summarise_members
from evaluate.tables.scores_figure import draw_all
from evaluate.tables.scores_table import read_rows, render, write_rows

# Suffixes of the output files; the last two are the figure, as pixels and for print.
FILES = ("csv", "json", "png", "pdf")


@convert_paths
def scores(
    data: Path = Path("data"),
    out: Path = Path("derivatives"),
    subject: SubjectChoice = "all",
    split: str = "auto",
    roi_classes: list[str] | None = None,
    fits: list[str] | None = None,
    seed: int = 0,
    ensemble: str = DEFAULT,
    resamples: int = 1000,
    permutations: int = 1000,
) -> None:
    """Score every fit and the ensemble; write scores.csv, scores.json and scores.png, scores.pdf.

    The scores of some subjects alone go to scores-02.csv, scores-01+02.csv and so on, and do not
    replace those of all. Scores of every vertex go to `OUT/vertices`, and `OUT/results.csv` gets a
    line for each fit and subject.

    Parameters
    ----------
    data : Path
        The challenge's directory.
    out : Path
        The output folder, which holds `fits`.
    subject : str, int or sequence of them
        "all", or the numbers of one or several: "01", "01 02".
    split : str
        "test" responses, "heldout" training pictures, or "auto": test where there are responses.
    roi_classes : list of str, optional
        ROI classes that the ensemble is made of; the others only fill in. All by default.
    fits : list of str, optional
        Names of fits, or beginnings of their folders in `OUT/fits`. All by default.
    seed : int
        Seed of the halves that cross-fit the ensemble's weights on held-out pictures, and of
        resamples and permutations.
    ensemble : str
        The rule of the ensemble's weights: average, per_roi, per_vertex or stacked.
    resamples : int
        Draws of the pictures for the 95 % intervals; 0 for none.
    permutations : int
        Permutations of the pictures for the p values of vertices; 0 for none.

    Raises
    ------
    EvaluateError
        If a number is negative or too small for an interval or p value, or the rule is unknown.

    Examples
    --------
    >>> scores("data", subject="01", resamples=0, permutations=0)
    derivatives/scores-01.csv: nothing has changed since it was made, nothing recomputed
    ...
    -> derivatives/scores-01.pdf
    """
    resampling = Resampling(resamples, permutations, seed)
    settings = Settings(roi_classes, ensemble, resampling).validate()
    score_inputs(gather(data, out, subject, fits, roi_classes, split), out, settings, split)


def score_inputs(
    inputs: Inputs, out: Path, settings: Settings, split: str
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Score, write and print; if nothing has changed, read the scores from disk instead.

    Parameters
    ----------
    inputs : Inputs
        Subjects and fits.
    out : Path
        The output folder.
    settings : Settings
        Settings of the command.
    split : str
        The command's `--split`, which may be "auto".

    Returns
    -------
    frame : DataFrame
        Rows of scores.csv.
    kept : dict
        The content of scores.json.
    """
    report_missing(inputs)
    settings_json = settings.as_json() | {"split": split}
    loaded = {name: load_plugin(metrics, name, "metric") for name in plugin_names(metrics)}
    code = {name: code_digest(metric) for name, metric in loaded.items()}
    described = describe_fits(inputs.runs)
    made_by = {"kind": "scores", "schema": 7, "metrics": code, "rule": rule_code(settings.ensemble)}
    key = digest({**made_by, "settings": settings_json, "fitted": described, **inputs.key})
    csv, sidecar, *figures = (out / f"scores{inputs.suffix}.{type_}" for type_ in FILES)
    whole = all(file.is_file() for file in figures) and vertices_are_current(inputs, out, settings)
    about = read_if_current(csv, sidecar, key) if whole else None
    if about is None:
        scored = score_all(inputs, out, settings)
        with replacing(csv) as temporary:
            csv_rows = rows(scored.tallies, scored.intervals, inputs.split, described)
            write_rows(csv_rows, temporary)
        about = _describe(inputs, scored, described) | {
            "key": key,
            "sha256": sha256_files([csv])[0],
            "settings": settings_json,
            "inputs": inputs.key,
            "provenance": provenance(),
        }
        draw_all(read_rows(csv), about, figures)
        # The sidecar is written last: if it has a key, the other files are of that key.
        write_json(sidecar, about)
        write_results(out)
    else:
        say(f"{csv}: nothing has changed since it was made, nothing recomputed")
    frame = read_rows(csv)
    files = [f"-> {file}" for file in (csv, *figures)]
    say("\n".join(["", render(frame, about), "", *legend(frame, about), *files]))
    return frame, about


def _describe(
    inputs: Inputs, scored: AllScores, described: Mapping[str, Mapping[str, str]]
) -> dict[str, Any]:
    return {
        "split": inputs.split,
        "simulated": [subject.name for subject in inputs.subjects if subject.simulated],
        "subjects": {run.name: run.subjects for run in inputs.runs},
        "leaked": inputs.leaked,
        "started": find_started(inputs.runs),
        "coverage": coverage(inputs.subjects, inputs.runs),
        "unfinished": find_unfinished(inputs.subjects, inputs.runs),
        "twins": {run.label: run.differs for run in inputs.runs if run.differs},
        "absent": inputs.absent,
        "made_ceilings": made_ceilings(inputs.subjects, ceiling_split(inputs.split)),
        "untrained": {run.name: sorted(run.untrained) for run in inputs.runs},
        "n_pictures": inputs.n_pictures,
        "n_filled": scored.filled,
        "members": summarise_members(inputs.runs, scored.members),
        "counts": [
            {
                "fit": key.fit,
                **described[key.fit],
                "subject": key.subject,
                "hemisphere": key.hemisphere,
                "n_vertices": tally.n_vertices,
                "n_excluded": tally.n_excluded,
                "n_clipped": tally.n_clipped,
                "n_constant": tally.n_constant,
                "n_constant_measured": tally.n_constant_measured,
                "means": {name: tally.mean(name) for name in sorted(tally.sums)},
            }
            for key, tally in scored.tallies.items()
            if key.roi_class == "all"
        ],
    }

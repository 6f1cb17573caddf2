"""`python -m evaluate scores`: every fit and the ensemble, scored, kept and shown."""

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
from evaluate.fits.completeness import coverage, unfinished
from evaluate.fits.inputs import Inputs, ceilings_of, gather, made_ceilings, report_missing
from evaluate.fits.sidecar import read_kept, write_json
from evaluate.scoring.all_subjects import Scored, Settings, score_all, vertices_kept
from evaluate.scoring.ensemble import DEFAULT, rule_code
from evaluate.scoring.hemisphere_rows import describe_fits, rows
from evaluate.scoring.hemisphere_scorer import Resampling
from evaluate.tables.legend import legend
from evaluate.tables.member_lines import summarise_members
from evaluate.tables.scores_figure import draw_all
from evaluate.tables.scores_table import read_rows, render, write_rows

# What stands in OUT for each request, the figure last: as pixels, and for print.
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

    The scores of some subjects alone go to scores-02.csv, scores-01+02.csv and so on, and leave
    those of all alone.
    `OUT/vertices` gets what is known of every vertex, and `OUT/results.csv` a line for each fit
    ever made.

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
        Which fits: by name, or by the beginning of their folder in `OUT/fits`. All by default.
    seed : int
        Draws the halves that cross-fit the ensemble's weights on held-out pictures, and the
        pictures of resamples and permutations.
    ensemble : str
        The rule of the ensemble's weights: average, per_roi, per_vertex or stacked.
    resamples : int
        Draws of the pictures for the 95 % intervals; 0 for none.
    permutations : int
        Of the pictures, for the p values of vertices; 0 for none.

    Raises
    ------
    EvaluateError
        If there are too few resamples for an interval, a number is negative, or there is no such
        rule.
    """
    how = Resampling(resamples, permutations, seed)
    asked = Settings(roi_classes, ensemble, how).checked()
    score_inputs(gather(data, out, subject, fits, roi_classes, split), out, asked, split)


def score_inputs(
    inputs: Inputs, out: Path, asked: Settings, split: str
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Score, keep and show, or read what was kept where nothing has changed.

    Parameters
    ----------
    inputs : Inputs
        Subjects and fits.
    out : Path
        The output folder.
    asked : Settings
        What is asked for.
    split : str
        As it was asked for, "auto" or another.

    Returns
    -------
    frame : DataFrame
        Rows of scores.csv.
    kept : dict
        What scores.json says of them.
    """
    report_missing(inputs)
    settings = asked.described() | {"split": split}
    loaded = {name: load_plugin(metrics, name, "metric") for name in plugin_names(metrics)}
    code = {name: code_digest(metric) for name, metric in loaded.items()}
    described = describe_fits(inputs.runs)
    made_by = {"kind": "scores", "schema": 7, "metrics": code, "rule": rule_code(asked.ensemble)}
    key = digest({**made_by, "settings": settings, "fitted": described, **inputs.key})
    csv, sidecar, *figures = (out / f"scores{inputs.suffix}.{type_}" for type_ in FILES)
    whole = all(file.is_file() for file in figures) and vertices_kept(inputs, out, asked)
    kept = read_kept(csv, sidecar, key) if whole else None
    if kept is None:
        scored = score_all(inputs, out, asked)
        with replacing(csv) as temporary:
            made = rows(scored.tallies, scored.intervals, inputs.split, described)
            write_rows(made, temporary)
        kept = _describe(inputs, scored, described) | {
            "key": key,
            "sha256": sha256_files([csv])[0],
            "settings": settings,
            "inputs": inputs.key,
            "provenance": provenance(),
        }
        draw_all(read_rows(csv), kept, figures)
        # The sidecar comes last: where it names a key, the files beside it are of that key.
        write_json(sidecar, kept)
        write_results(out)
    else:
        say(f"{csv}: nothing has changed since it was made, nothing recomputed")
    frame = read_rows(csv)
    files = [f"-> {file}" for file in (csv, *figures)]
    say("\n".join(["", render(frame, kept), "", *legend(frame, kept), *files]))
    return frame, kept


def _describe(
    inputs: Inputs, scored: Scored, described: Mapping[str, Mapping[str, str]]
) -> dict[str, Any]:
    return {
        "split": inputs.split,
        "simulated": [subject.name for subject in inputs.subjects if subject.simulated],
        "subjects": {run.name: run.subjects for run in inputs.runs},
        "leaked": inputs.leaked,
        "started": find_started(inputs.runs),
        "coverage": coverage(inputs.subjects, inputs.runs),
        "unfinished": unfinished(inputs.subjects, inputs.runs),
        "twins": {run.label: run.differs for run in inputs.runs if run.differs},
        "absent": inputs.absent,
        "made_ceilings": made_ceilings(inputs.subjects, ceilings_of(inputs.split)),
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

"""The content of the page, gathered from scores, vertices, fits and ablations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from base import progress, provenance
from evaluate.fits.inputs import Inputs
from evaluate.fits.runs import ENSEMBLE, Run
from evaluate.fits.study_rows import row_names
from evaluate.maps.paint import Map, maps_of
from evaluate.maps.shown_subjects import coverage_lines, gather_subjects
from evaluate.maps.space_values import describe_sources, read_space_values
from evaluate.maps.surface import load_mesh
from evaluate.maps.values import SubjectValues, split_placed
from evaluate.report import account
from evaluate.report.brain import regions_map, stills, turning
from evaluate.report.charts import against_ceiling, bars, colour, on_page
from evaluate.report.examples import examples
from evaluate.report.multiples import multiples
from evaluate.report.spaces import winners
from evaluate.report.tables import table_data
from evaluate.scoring.vertex_files import Vertices, read_vertices
from evaluate.tables.legend import legend
from evaluate.tables.scores_table import Model, measure, models_of, overall


def gather_content(
    out: Path,
    inputs: Inputs,
    frame: pd.DataFrame,
    about: Mapping[str, Any],
    options: Mapping[str, Any],
) -> dict[str, Any]:
    """Gather the variables of the page's template."""
    models, metric = models_of(frame, about), measure(frame)
    mesh = load_mesh("fsaverage5")
    outlined = str(options["outlines"])
    placed, unplaced = split_placed(inputs.subjects)
    subject_values = gather_subjects(out, inputs, inputs.pooled, mesh, outlined)
    values_by_run = {
        run.name: gather_subjects(out, inputs, run.name, mesh, outlined, spaces=False)
        for run in progress(inputs.runs, desc="reading vertices", unit="run")
    }
    pooled = ENSEMBLE if inputs.pooled == ENSEMBLE else inputs.runs[0].title
    rows = row_names(out)
    titles = _titles(models, rows)
    best = best_run(inputs.runs, frame, metric)
    subjects = [s for s in inputs.subjects if s.name in best.subjects]
    spaces = {
        s.name: read_space_values(out, s, inputs.runs, inputs.responses) for s in inputs.subjects
    }
    return {
        "banners": account.banners(frame, about),
        "cards": _cards(frame, models, titles, metric, about),
        "fitted": account.describe_fits(inputs.runs),
        "rows": rows,
        "twins": about["twins"],
        "table": table_data(frame, about) | {"models": titles},
        "notes": legend(frame, about),
        "bars": bars(frame, models, metric),
        "keys": [
            {"title": title, "colour": on_page(colour(models, i))} for i, title in enumerate(titles)
        ],
        "unplaced": unplaced,
        "stills": stills(subject_values, mesh, pooled) if subject_values else [],
        "multiples": multiples(values_by_run, subject_values, inputs.runs, frame, rows, mesh)
        if subject_values
        else None,
        "turning": turning(
            list(_turning_maps(inputs.runs, values_by_run, subject_values, rows, outlined, pooled)),
            mesh,
        )
        if subject_values
        else None,
        "shown": coverage_lines(placed, mesh),
        "outlined": outlined,
        "example_run": best.title,
        "unit": account.response_unit(subjects),
        "examples": examples(
            subjects,
            best,
            {s.name: read_vertices(out, best.name, s.name) for s in subjects},
            inputs.split,
        ),
        "pooled": pooled,
        "several": len(inputs.runs) > 1,
        "ceiling_svg": _density(
            [read_vertices(out, inputs.pooled, s.name) for s in inputs.subjects]
        ),
        "winners": winners(inputs.subjects, {name: values[0] for name, values in spaces.items()}),
        "compared": describe_sources({name: values[2] for name, values in spaces.items()}),
        "excluded": account.list_exclusions(inputs, about),
        "again": account.report_command(options),
        "scored_by": about["provenance"],
        "provenance": provenance(),
        "settings": about["settings"],
        "split": {"test": "test", "heldout": "held-out training"}[inputs.split],
        "n_pictures": about["n_pictures"],
    }


def best_run(runs: Sequence[Run], frame: pd.DataFrame, metric: str) -> Run:
    """Return the run of the greatest mean over all vertices."""
    whole = overall(frame)
    whole = whole[whole["roi_class"] == "all"]
    values = dict(zip(whole["fit"], whole[metric].fillna(-1), strict=True))
    return max(runs, key=lambda run: float(values.get(run.name, -1)))


def _titles(models: Sequence[Model], rows: Mapping[str, str]) -> list[str]:
    """Return the titles of models, each with its row of a study if it is one."""
    return [_study_title(model.title, rows.get(model.fit)) for model in models]


def _study_title(title: str, row: str | None) -> str:
    return f"{row}: {title}" if row else title


def _cards(
    frame: pd.DataFrame,
    models: Sequence[Model],
    titles: Sequence[str],
    metric: str,
    about: Mapping[str, Any],
) -> list[dict[str, Any]]:
    whole = overall(frame)
    whole = whole[whole["roi_class"] == "all"]
    data = table_data(whole, about)
    cells = data["cells"].get("all all", {}).get("all all", {})
    chance = data["chance"].get("all all", {}).get("all all")
    return [
        {
            "title": title,
            "triple": cells.get(i, {}).get(metric),
            "digits": 2 if metric == "score" else 3,
            "chance": chance if metric == "score" else None,
            "unit": "% of the noise ceiling" if metric == "score" else "mean r",
        }
        for i, title in enumerate(titles)
    ]


def _density(vertex_scores: Sequence[Vertices]) -> str | None:
    sides = [side for vertices in vertex_scores for side in vertices.hemispheres.values()]
    ceiling, r = (np.concatenate([side[name] for side in sides]) for name in ("ceiling", "r"))
    is_valid = np.isfinite(ceiling) & np.isfinite(r) & (ceiling > 0)
    return against_ceiling(ceiling[is_valid], r[is_valid]) if is_valid.any() else None


def _turning_maps(
    runs: Sequence[Run],
    values_by_run: Mapping[str, Sequence[SubjectValues]],
    subject_values: Sequence[SubjectValues],
    rows: Mapping[str, str],
    outlined: str,
    pooled: str,
) -> Iterator[tuple[str, str, Map]]:
    for subject in subject_values:
        for brain_map in maps_of(subject, subject_values):
            model = pooled if brain_map.name in {"score", "r"} else brain_map.source
            yield subject.subject, model, brain_map
        yield subject.subject, "", regions_map(subject, outlined)
    for run in runs if len(runs) > 1 else ():
        title = _study_title(run.title, rows.get(run.name))
        for subject in values_by_run[run.name]:
            for brain_map in maps_of(subject, subject_values):
                if brain_map.name in {"score", "r"}:
                    yield subject.subject, title, brain_map

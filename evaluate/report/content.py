"""The content of the page, gathered from scores, vertices, fits and ablations."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from base import progress, provenance
from evaluate.fits.inputs import Inputs
from evaluate.fits.run_labels import ENSEMBLE
from evaluate.fits.runs import Run
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
from evaluate.scoring.score_report import ScoreReport
from evaluate.scoring.vertex_files import Vertices, read_current_vertices
from evaluate.tables.legend import legend


def gather_content(
    inputs: Inputs, report: ScoreReport, options: Mapping[str, Any]
) -> dict[str, Any]:
    """Gather the variables of the page's template."""
    rows = row_names(inputs.out)
    titles = [_study_title(model.title, rows.get(model.fit)) for model in report.models]
    best = best_run(inputs.runs, report)
    subjects = [s for s in inputs.subjects if s.name in best.subjects]
    best_vertices = {s.name: read_current_vertices(inputs, best.name, s.name) for s in subjects}
    pooled_vertices = [
        read_current_vertices(inputs, inputs.pooled, s.name) for s in inputs.subjects
    ]
    spaces = {s.name: read_space_values(inputs, s) for s in inputs.subjects}
    colours = [on_page(colour(report.models, i)) for i in range(len(titles))]
    pooled = ENSEMBLE if inputs.pooled == ENSEMBLE else inputs.runs[0].title
    return _map_content(inputs, report, rows, pooled, str(options["outlines"])) | {
        "banners": account.banners(report),
        "cards": _cards(report, titles),
        "fitted": account.describe_fits(inputs.runs),
        "rows": rows,
        "twins": report.twins,
        "table": table_data(report) | {"models": titles},
        "notes": legend(report),
        "bars": bars(report),
        "keys": [{"title": t, "colour": c} for t, c in zip(titles, colours, strict=True)],
        "example_run": best.title,
        "unit": account.response_unit(subjects),
        "examples": examples(subjects, best, best_vertices, inputs.split),
        "pooled": pooled,
        "several": len(inputs.runs) > 1,
        "ceiling_svg": _density(pooled_vertices),
        "winners": winners(inputs.subjects, {name: values[0] for name, values in spaces.items()}),
        "compared": describe_sources({name: values[2] for name, values in spaces.items()}),
        "excluded": account.list_exclusions(inputs, report),
        "again": account.report_command(options),
        "scored_by": report.provenance,
        "provenance": provenance(),
        "settings": report.settings,
        "split": {"test": "test", "heldout": "held-out training"}[inputs.split],
        "n_pictures": report.caveats.n_pictures,
    }


def _map_content(
    inputs: Inputs, report: ScoreReport, rows: Mapping[str, str], pooled: str, outlined: str
) -> dict[str, Any]:
    """Gather the maps; those of subjects whose vertices are not known on fsaverage are absent."""
    mesh = load_mesh("fsaverage5")
    placed, unplaced = split_placed(inputs.subjects)
    values = gather_subjects(inputs, inputs.pooled, mesh, outlined)
    by_run = {
        run.name: gather_subjects(inputs, run.name, mesh, outlined, spaces=False)
        for run in progress(inputs.runs, desc="reading vertices", unit="run")
    }
    content = {"unplaced": unplaced, "shown": coverage_lines(placed, mesh), "outlined": outlined}
    if not values:
        return content | {"stills": [], "multiples": None, "turning": None}
    turning_maps = list(_turning_maps(inputs.runs, by_run, values, rows, outlined, pooled))
    return content | {
        "stills": stills(values, mesh, pooled),
        "multiples": multiples(by_run, values, inputs.runs, report, rows, mesh),
        "turning": turning(turning_maps, mesh),
    }


def best_run(runs: Sequence[Run], report: ScoreReport) -> Run:
    """Return the run of the greatest mean over all vertices."""
    values = dict(zip(report.whole["fit"], report.whole[report.metric].fillna(-1), strict=True))
    return max(runs, key=lambda run: float(values.get(run.name, -1)))


def _study_title(title: str, row: str | None) -> str:
    """Return the title of a model, with its row of a study if it is one."""
    return f"{row}: {title}" if row else title


def _cards(report: ScoreReport, titles: Sequence[str]) -> list[dict[str, Any]]:
    data = table_data(replace(report, frame=report.whole))
    cells = data["cells"].get("all all", {}).get("all all", {})
    is_score = report.metric == "score"
    card = {
        "digits": 2 if is_score else 3,
        "chance": data["chance"].get("all all", {}).get("all all") if is_score else None,
        "unit": "% of the noise ceiling" if is_score else "mean r",
    }
    return [
        {"title": title, "triple": cells.get(i, {}).get(report.metric), **card}
        for i, title in enumerate(titles)
    ]


def _density(vertex_scores: Sequence[Vertices]) -> str | None:
    sides = [side for vertices in vertex_scores for side in vertices.hemispheres.values()]
    ceiling = np.concatenate([side["ceiling"] for side in sides])
    r = np.concatenate([side["r"] for side in sides])
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

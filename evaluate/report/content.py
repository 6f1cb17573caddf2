"""All that the page shows, gathered from scores, vertices, fits and ablations."""

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
from evaluate.maps.shown_subjects import count_shown, know
from evaluate.maps.space_values import say_sources, spaces_of
from evaluate.maps.surface import load_mesh
from evaluate.maps.values import Known, split_placed
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
    """Gather what the page's template takes."""
    models, shown = models_of(frame, about), measure(frame)
    mesh = load_mesh("fsaverage5")
    outlined = str(options["outlines"])
    placed, unplaced = split_placed(inputs.subjects)
    known = know(out, inputs, inputs.pooled, mesh, outlined)
    each = {
        run.name: know(out, inputs, run.name, mesh, outlined, spaces=False)
        for run in progress(inputs.runs, desc="reading vertices", unit="run")
    }
    pooled = ENSEMBLE if inputs.pooled == ENSEMBLE else inputs.runs[0].title
    rows = row_names(out)
    titles = _titles(models, rows)
    best = best_run(inputs.runs, frame, shown)
    subjects = [s for s in inputs.subjects if s.name in best.subjects]
    spaces = {s.name: spaces_of(out, s, inputs.runs, inputs.responses) for s in inputs.subjects}
    return {
        "banners": account.banners(frame, about),
        "cards": _cards(frame, models, titles, shown, about),
        "fitted": account.fitted(inputs.runs),
        "rows": rows,
        "twins": about["twins"],
        "table": table_data(frame, about) | {"models": titles},
        "notes": legend(frame, about),
        "bars": bars(frame, models, shown),
        "keys": [
            {"title": title, "colour": on_page(colour(models, i))} for i, title in enumerate(titles)
        ],
        "unplaced": unplaced,
        "stills": stills(known, mesh, pooled) if known else [],
        "multiples": multiples(each, known, inputs.runs, frame, rows, mesh) if known else None,
        "turning": turning(
            list(_turning_maps(inputs.runs, each, known, rows, outlined, pooled)), mesh
        )
        if known
        else None,
        "shown": count_shown(placed, mesh),
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
        "winners": winners(inputs.subjects, {name: one[0] for name, one in spaces.items()}),
        "compared": say_sources({name: one[2] for name, one in spaces.items()}),
        "excluded": account.excluded(inputs, about),
        "again": account.again(options),
        "scored_by": about["provenance"],
        "provenance": provenance(),
        "settings": about["settings"],
        "split": {"test": "test", "heldout": "held-out training"}[inputs.split],
        "n_pictures": about["n_pictures"],
    }


def best_run(runs: Sequence[Run], frame: pd.DataFrame, shown: str) -> Run:
    """Choose the run of the greatest mean over everything."""
    whole = overall(frame)
    whole = whole[whole["roi_class"] == "all"]
    values = dict(zip(whole["fit"], whole[shown].fillna(-1), strict=True))
    return max(runs, key=lambda run: float(values.get(run.name, -1)))


def _titles(models: Sequence[Model], rows: Mapping[str, str]) -> list[str]:
    """Call each model by the row of a study that it is, if it is one."""
    return [_called(model.title, rows.get(model.fit)) for model in models]


def _called(title: str, row: str | None) -> str:
    return f"{row}: {title}" if row else title


def _cards(
    frame: pd.DataFrame,
    models: Sequence[Model],
    titles: Sequence[str],
    shown: str,
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
            "triple": cells.get(i, {}).get(shown),
            "digits": 2 if shown == "score" else 3,
            "chance": chance if shown == "score" else None,
            "unit": "% of the noise ceiling" if shown == "score" else "mean r",
        }
        for i, title in enumerate(titles)
    ]


def _density(every: Sequence[Vertices]) -> str | None:
    sides = [side for one in every for side in one.hemispheres.values()]
    ceiling, r = (np.concatenate([side[name] for side in sides]) for name in ("ceiling", "r"))
    there = np.isfinite(ceiling) & np.isfinite(r) & (ceiling > 0)
    return against_ceiling(ceiling[there], r[there]) if there.any() else None


def _turning_maps(
    runs: Sequence[Run],
    each: Mapping[str, Sequence[Known]],
    known: Sequence[Known],
    rows: Mapping[str, str],
    outlined: str,
    pooled: str,
) -> Iterator[tuple[str, str, Map]]:
    for one in known:
        for shown in maps_of(one, known):
            model = pooled if shown.name in {"score", "r"} else shown.source
            yield one.subject, model, shown
        yield one.subject, "", regions_map(one, outlined)
    for run in runs if len(runs) > 1 else ():
        title = _called(run.title, rows.get(run.name))
        for one in each[run.name]:
            for shown in maps_of(one, known):
                if shown.name in {"score", "r"}:
                    yield one.subject, title, shown

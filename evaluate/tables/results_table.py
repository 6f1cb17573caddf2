"""A table with a line for every fit and subject."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from base import plural, say
from cache import CacheError
from cache.records import ScoresRecord, load_record
from evaluate.fits.runs import RoiModel, Run, find_runs, fits_digest
from evaluate.fits.sidecar import write_csv
from evaluate.scoring.vertex_files import vertices_file

SCORED = ("split", "n_vertices", "n_excluded", "pearson_r", "r2", "score", "pearson_r_low",
          "pearson_r_high", "score_low", "score_high", "explained", "explained_low",
          "explained_high", "chance")  # fmt: skip
COLUMNS = ("run", "model", "spaces", "parameters", "seed", "subject", "n_fits", "simulated",
           "untrained", "created", "revision", "digest", *SCORED, "fit", "label")  # fmt: skip


def tabulate_results(out: Path) -> None:
    """Write OUT/results.csv: a line for each run and subject, with its scores if it was scored."""
    path = write_results(out)
    frame = pd.read_csv(path, dtype={"subject": str})
    n_scored = int(frame["split"].notna().sum())
    n_fits, n_subjects = (frame[name].nunique() for name in ("fit", "subject"))
    summary = f"{plural(n_fits, 'fit')} of {plural(n_subjects, 'subject')} in "
    summary += f"{plural(len(frame), 'line')}, {n_scored} of them scored as they are now"
    say(f"{summary} -> {path}")


def write_results(out: Path) -> Path:
    """Write results.csv to the output folder, and return its path."""
    rows = [row for run in find_runs(out) for row in _rows(out, run)]
    path = out / "results.csv"
    frame = pd.DataFrame(rows, columns=list(COLUMNS)).sort_values("created", kind="stable")
    # Whole numbers, though some are absent.
    write_csv(path, frame.astype(dict.fromkeys(("n_vertices", "n_excluded"), "Int64")))
    return path


def _rows(out: Path, run: Run) -> Iterator[dict[str, Any]]:
    for subject in run.subjects:
        models = run.models_of(subject)
        last = max(models, key=lambda model: str(_provenance(model).get("created", "")))
        settings: Mapping[str, Any] = last.meta.get("settings", {})
        yield {
            "run": run.name,
            "fit": run.name,
            "label": run.label,
            "model": last.meta["model"],
            "spaces": run.joined,
            "parameters": json.dumps(settings.get("parameters", {}), sort_keys=True),
            "seed": settings.get("seed"),
            "subject": subject,
            "n_fits": len(models),
            "simulated": bool(last.meta.get("simulated", False)),
            "untrained": "+".join(sorted({s for model in models for s in model.meta["untrained"]})),
            "created": _provenance(last).get("created"),
            "revision": _provenance(last).get("revision"),
            "digest": last.meta["digest"],
            **_scores(out, run.name, subject, fits_digest(models)),
        }


def _provenance(model: RoiModel) -> Mapping[str, Any]:
    return model.meta.get("provenance", {})


def _scores(out: Path, run: str, subject: str, expected_digest: str) -> dict[str, Any]:
    """Read the mean scores of a run and subject; empty if the fits have changed since."""
    try:
        record = load_record(ScoresRecord, vertices_file(out, run, subject), "")
    except (CacheError, OSError):
        return {}
    if record.get("fits") != expected_digest:
        return {}
    return {"split": record["split"], **{name: record["means"].get(name) for name in SCORED[1:]}}

"""`python -m evaluate scores`: every fit and the ensemble, scored, kept and shown."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from base import plugin_names, progress, provenance, replacing, say, sha256_files
from cache import digest
from challenge import HEMISPHERES, Subject
from evaluate import metrics
from evaluate.completeness import coverage, unfinished
from evaluate.ensemble import DEFAULT, check_rule
from evaluate.figure import draw
from evaluate.fits import Run
from evaluate.hemisphere import load_hemisphere
from evaluate.inputs import Inputs, gather, report_missing
from evaluate.legend import legend
from evaluate.rows import Key, rows, score_hemisphere
from evaluate.score import Tally, pool
from evaluate.table import read_rows, render, write_rows


@dataclass(frozen=True)
class Scored:
    """What scoring found.

    Attributes
    ----------
    tallies : dict of Key to Tally
        For each model, subject, hemisphere and ROI, and pooled ("all").
    filled : dict of str to int
        For each "subject hemisphere", the vertices that only unchosen ROI classes cover.
    """

    tallies: dict[Key, Tally]
    filled: dict[str, int]


def scores(
    data: Path = Path("data"),
    out: Path = Path("derivatives"),
    subject: str | int = "all",
    split: str = "auto",
    roi_classes: list[str] | None = None,
    fits: list[str] | None = None,
    seed: int = 0,
    ensemble: str = DEFAULT,
) -> None:
    """Score every fit and the ensemble; write scores.csv, scores.json and scores.png.

    The scores of one subject alone go to scores-02.csv and so on, and leave those of all alone.

    Parameters
    ----------
    data : Path
        The challenge's directory.
    out : Path
        The output folder, which holds `fits`.
    subject : str or int
        "all", or one: "01".
    split : str
        "test" responses, "heldout" training pictures, or "auto": test where there are responses.
    roi_classes : list of str, optional
        ROI classes that the ensemble is made of; the others only fill in. All by default.
    fits : list of str, optional
        Which fits: folders of `OUT/fits` or their beginnings. All by default.
    seed : int
        Draws the halves that cross-fit the ensemble's weights on held-out pictures.
    ensemble : str
        The rule of the ensemble's weights: average, per_roi, per_vertex or stacked.
    """
    check_rule(ensemble)
    settings = {
        "ensemble": ensemble,
        "roi_classes": sorted(set(roi_classes or ())),
        "seed": seed,
        "split": split,
    }
    inputs = gather(data, out, subject, fits, roi_classes, split)
    report_missing(inputs)
    made_by = {"kind": "scores", "schema": 2, "metrics": plugin_names(metrics)}
    key = digest({**made_by, "settings": settings, **inputs.key})
    csv, sidecar, png = (out / f"scores{inputs.suffix}.{type_}" for type_ in ("csv", "json", "png"))
    kept = _kept(csv, sidecar, key) if png.is_file() else None
    if kept is None:
        scored = _score(inputs, roi_classes, seed, ensemble)
        with replacing(csv) as temporary:
            write_rows(rows(scored.tallies, inputs.split), temporary)
        kept = _describe(inputs, scored) | {
            "key": key,
            "csv_sha256": sha256_files([csv])[0],
            "settings": settings,
            "inputs": inputs.key,
            "provenance": provenance(),
        }
        with replacing(png) as temporary:
            draw(read_rows(csv), kept, temporary)
        # The sidecar comes last: where it names a key, the files beside it are of that key.
        with replacing(sidecar) as temporary:
            temporary.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")
    else:
        say(f"{csv}: nothing has changed since it was made, nothing recomputed")
    frame = read_rows(csv)
    say("\n".join(["", render(frame, kept), "", *legend(frame, kept), f"-> {csv}", f"-> {png}"]))


def _kept(csv: Path, sidecar: Path, key: str) -> dict[str, Any] | None:
    if not csv.is_file() or not sidecar.is_file():
        return None
    try:
        found: dict[str, Any] = json.loads(sidecar.read_text())
        same = found["key"] == key and found["csv_sha256"] == sha256_files([csv])[0]
    except (ValueError, KeyError, TypeError):
        return None
    return found if same else None


def _score(inputs: Inputs, roi_classes: Sequence[str] | None, seed: int, ensemble: str) -> Scored:
    scored = Scored({}, {})
    sides = [(subject, name) for subject in inputs.subjects for name in HEMISPHERES]
    for subject, name in progress(sides, desc="scoring", unit="hemisphere"):
        hemisphere = load_hemisphere(
            subject, name, inputs.runs, inputs.responses[subject.name, name]
        )
        if hemisphere is None:
            continue
        leaves, filled = score_hemisphere(
            hemisphere, inputs.runs, inputs.split, roi_classes, seed, ensemble
        )
        scored.filled[f"{subject.name} {name}"] = filled
        for leaf, tally in leaves.items():
            for key in _pools(leaf, subject, name):
                known = scored.tallies.get(key)
                scored.tallies[key] = tally if known is None else pool([known, tally])
    return scored


def _pools(leaf: tuple[str, str, str, str], subject: Subject, hemisphere: str) -> Iterator[Key]:
    model, spaces, roi_class, roi = leaf
    for whose in (subject.name, "all"):
        for side in (hemisphere, "all"):
            yield Key(model, spaces, whose, side, roi_class, roi)


def _describe(inputs: Inputs, scored: Scored) -> dict[str, Any]:
    return {
        "split": inputs.split,
        "simulated": [subject.name for subject in inputs.subjects if subject.simulated],
        "subjects": {run_name(run): sorted(_subjects(run)) for run in inputs.runs},
        "coverage": coverage(inputs.subjects, inputs.runs),
        "unfinished": unfinished(inputs.subjects, inputs.runs),
        "twins": {run.label: run.differs or run.name for run in inputs.runs if "#" in run.label},
        "absent": inputs.absent,
        "untrained": {run_name(run): sorted(run.untrained) for run in inputs.runs},
        "n_pictures": inputs.n_pictures,
        "n_filled": scored.filled,
        "counts": [
            {
                "model": key.model,
                "spaces": key.spaces,
                "subject": key.subject,
                "hemisphere": key.hemisphere,
                "n_vertices": tally.n_vertices,
                "n_excluded": tally.n_excluded,
                "n_clipped": tally.n_clipped,
                "n_constant": tally.n_constant,
                "means": {name: tally.mean(name) for name in sorted(tally.sums)},
            }
            for key, tally in scored.tallies.items()
            if key.roi_class == "all"
        ],
    }


def run_name(run: Run) -> str:
    """Name a run as the table does.

    Parameters
    ----------
    run : Run
        The run.

    Returns
    -------
    str
        Its label and spaces.
    """
    return f"{run.label} {run.joined}"


def _subjects(run: Run) -> set[str]:
    return {str(model.meta["subject"]) for model in run.models}

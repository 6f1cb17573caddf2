"""Scores of every vertex: `OUT/vertices/<run>/subjXX.h5`, for maps, reports and your code.

`python -m evaluate scores` writes a file for each run and subject, and one for the ensemble under
the run's name `ensemble`. The scored prediction is that of the row `all` of scores.csv: one for
each vertex, combined from the ROI models that cover it. The file is an artifact of the cache, of
kind "vertices", with these arrays for each hemisphere ("lh_r", "rh_r" and so on) in challenge
space, so that column v is column v of the responses:

=========== ======= ==========================================================================
array       dtype   what
=========== ======= ==========================================================================
covered     bool    whether any model predicts the vertex
excluded    bool    whether its noise ceiling is 0, so that it counts in no mean
constant    bool    whether its prediction is the same for every picture, so that r is set to 0
ceiling     float32 the noise ceiling, a fraction; NaN everywhere where there are none
r           float32 Pearson's r, sign kept; NaN where not covered
score       float32 the official score in percent, 0..100; NaN where not covered, excluded, or
                    without ceilings
p           float32 one-sided p of r > 0 by permutation of pictures, never 0; NaN where r is, or
                    where pictures are too few to permute
q           float32 p after Benjamini and Hochberg's false-discovery control over all covered
                    vertices of both hemispheres of the subject
p_max       float32 p against the greatest r over those vertices (family-wise)
=========== ======= ==========================================================================

meta holds `kind`, `run`, `model` (as in scores.csv), `spaces` (as in scores.csv), `subject`,
`split`, `n_pictures`, `fits` and `inputs` (digests), `simulated`, `untrained` (spaces),
`permutations`, `seed`, `key`, `means` (the row `all` of scores.csv) and `provenance`.

The columns of scores.csv are those that identify a row (model, spaces, subject, hemisphere,
roi_class, roi, split), counts (n_vertices, n_excluded; n_constant_measured, vertices that count
though their responses are the same to every picture, so that r is 0), means (pearson_r, r2, score)
and the following; each is empty where it has no value:

=============== ====================================================================================
column          what
=============== ====================================================================================
pearson_r_low   95 % interval of the mean of r
pearson_r_high
score_low       95 % interval of the mean score: of the expected score of the same fitted models on
score_high      a new sample of as many pictures of the same kind; it holds `score`
explained       mean of rho^2 / noise ceiling, in percent, with the small-sample bias of r^2 removed
                and nothing clipped: an estimate for infinitely many pictures
explained_low   95 % interval of that
explained_high
=============== ====================================================================================

`evaluate.resampling` documents how the intervals are made and how far they hold.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from base import run_hint
from cache import read_artifact, write_artifact
from cache.records import ScoresRecord, check_record
from challenge import HEMISPHERES
from evaluate.arrays import Array
from evaluate.errors import EvaluateError
from evaluate.fits.inputs import Inputs
from evaluate.fits.run_labels import ENSEMBLE
from evaluate.fits.runs import fits_digest

ARRAYS = ("covered", "excluded", "constant", "ceiling", "r", "score", "p", "q", "p_max")


@dataclass(frozen=True)
class Vertices:
    """Scores of every vertex of one subject and run."""

    meta: ScoresRecord
    # For "lh" and "rh" (or the one that has fits), the arrays of the module's docstring.
    hemispheres: dict[str, dict[str, Array]]

    def field(self, name: str) -> dict[str, Array]:
        """Return one of the arrays, by hemisphere."""
        return {hemisphere: arrays[name] for hemisphere, arrays in self.hemispheres.items()}


def vertices_file(out: Path, run: str, subject: str) -> Path:
    """Return the path of the file of a run (the name of its folder, or "ensemble") and subject."""
    return out / "vertices" / run / f"subj{subject}.h5"


def write_vertices(
    path: Path, hemispheres: Mapping[str, Mapping[str, Array]], meta: Mapping[str, Any]
) -> None:
    """Write, for each hemisphere, the arrays of the module's docstring."""
    arrays = {}
    for hemisphere, vertex_arrays in hemispheres.items():
        for name in ARRAYS:
            values = vertex_arrays[name]
            arrays[f"{hemisphere}_{name}"] = (
                values if values.dtype == bool else values.astype(np.float32)
            )
    write_artifact(path, arrays, {"kind": "vertices", **meta})


def read_vertices(out: Path, run: str, subject: str) -> Vertices:
    """Read the scores of a run (the name of its folder, or "ensemble") and subject."""
    path = vertices_file(out, run, subject)
    if not path.is_file():
        raise EvaluateError(
            f"{path}: no such file: run {run_hint('evaluate')}, which writes it for each run and "
            "subject"
        )
    arrays, meta = read_artifact(path)
    record = check_record(ScoresRecord, path, meta, f"remove it and run {run_hint('evaluate')}")
    hemispheres = {}
    for h in HEMISPHERES:
        if f"{h}_r" in arrays:
            hemispheres[h] = {name: arrays[f"{h}_{name}"] for name in ARRAYS}
    return Vertices(record, hemispheres)


def read_current_vertices(inputs: Inputs, run: str, subject: str) -> Vertices:
    """Read the scores of a run and subject; raise if they are of other fits or data."""
    vertices = read_vertices(inputs.out, run, subject)
    meta = vertices.meta
    if "inputs" in meta and meta["split"] == inputs.split:
        is_current = meta["inputs"] == inputs.vertices_digest(run, subject)
    else:
        # Scores of other pictures, or of an earlier revision, name the records of the fits alone.
        runs = [fit for fit in inputs.runs if run in (fit.name, ENSEMBLE)]
        models = [model for fit in runs for model in fit.models_of(subject)]
        is_current = meta.get("fits") in (None, fits_digest(models))
    if not is_current:
        raise EvaluateError(
            f"{vertices_file(inputs.out, run, subject)}: holds scores of other fits or data than "
            f"there are now: run {run_hint('evaluate')}, with the same subjects and fits"
        )
    return vertices

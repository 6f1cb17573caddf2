"""What the maps show of every subject, and how many of its vertices are on the mesh."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from base import run_hint
from challenge import HEMISPHERES, Subject
from challenge.rois.regions import read_mask
from evaluate.errors import EvaluateError
from evaluate.fits.inputs import Inputs
from evaluate.fits.runs import ENSEMBLE
from evaluate.maps.space_values import PICTURES
from evaluate.maps.surface import Mesh
from evaluate.maps.values import (
    Known,
    average,
    gather_known,
    region_names,
    split_placed,
)
from evaluate.scoring.vertex_files import vertices_file


def know(
    out: Path, inputs: Inputs, run: str, mesh: Mesh, outlined: str, spaces: bool = True
) -> list[Known]:
    """Gather what is to be shown of every subject that a run is of and has a place, and their mean.

    Parameters
    ----------
    spaces : bool
        Whether to read what each feature space does, which is the same for all runs.

    Returns
    -------
    list of Known
        Of several subjects, the mean first; none where no subject has a place on the mesh.
    """
    of = {name for one in inputs.runs if run in {ENSEMBLE, one.name} for name in one.subjects}
    subjects = [one for one in split_placed(inputs.subjects)[0] if one.name in of]
    absent = [one for one in subjects if not vertices_file(out, run, one.name).is_file()]
    if absent:
        raise EvaluateError(
            f"{vertices_file(out, run, absent[0].name)}: no such file: run {run_hint('evaluate')} "
            "first, with the same subjects and fits"
        )
    regions = region_names(split_placed(inputs.subjects)[0], outlined)
    known = [
        gather_known(
            out, one, run, inputs.runs, inputs.responses, mesh.n_vertices, outlined, spaces, regions
        )
        for one in subjects
    ]
    if len({one.split for one in known}) > 1:
        told = ", ".join(f"{PICTURES[one.split]} of subject {one.subject}" for one in known)
        raise EvaluateError(
            f"{run}: scored on different pictures ({told}): run {run_hint('evaluate')}"
        )
    return [average(known), *known] if len(known) > 1 else known


def measured(known: Sequence[Known]) -> dict[str, np.ndarray]:
    """Find the mesh's vertices that any subject has, for the flat map to show."""
    return {
        h: np.flatnonzero(np.any([np.isfinite(one.r[h]) for one in known], axis=0))
        for h in HEMISPHERES
    }


def count_shown(subjects: Sequence[Subject], mesh: Mesh) -> list[str]:
    """Say how many of the subjects' vertices the mesh has."""
    alike: dict[tuple[int, int], list[str]] = {}
    for subject in subjects:
        masks = [read_mask(subject.folder, h) for h in HEMISPHERES]
        shown = sum(int(mask[: mesh.n_vertices].sum()) for mask in masks)
        alike.setdefault((shown, sum(int(mask.sum()) for mask in masks)), []).append(subject.name)
    return [
        f"subject{'s' * (len(names) > 1)} {', '.join(names)}: {shown} of {total} vertices are on "
        f"{mesh.name}"
        for (shown, total), names in alike.items()
    ]

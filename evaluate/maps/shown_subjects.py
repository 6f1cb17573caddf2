"""Values of every subject for the maps, and the number of its vertices on the mesh."""

from collections.abc import Sequence

import numpy as np

from base import run_hint
from challenge import HEMISPHERES, Subject
from challenge.rois.regions import read_mask
from evaluate.errors import EvaluateError
from evaluate.fits.inputs import Inputs
from evaluate.fits.run_labels import ENSEMBLE
from evaluate.maps.space_values import PICTURES
from evaluate.maps.surface import Mesh
from evaluate.maps.values import (
    SubjectValues,
    average,
    gather_values,
    map_sides,
    region_names,
    split_placed,
)
from evaluate.scoring.vertex_files import vertices_file


def gather_subjects(
    inputs: Inputs, run: str, mesh: Mesh, outlined: str, spaces: bool = True
) -> list[SubjectValues]:
    """Gather the values of every subject of a run whose vertices are on fsaverage, and their mean.

    The mean is first if there are several subjects. Values of feature spaces are the same for all
    runs; `spaces` tells whether to read them.
    """
    runs = [fit for fit in inputs.runs if run in {ENSEMBLE, fit.name}]
    names = {name for fit in runs for name in fit.subjects}
    placed = split_placed(inputs.subjects)[0]
    subjects = [subject for subject in placed if subject.name in names]
    files = [vertices_file(inputs.out, run, subject.name) for subject in subjects]
    if absent := [file for file in files if not file.is_file()]:
        raise EvaluateError(
            f"{absent[0]}: no such file: run {run_hint('evaluate')} first, with the same subjects "
            "and fits"
        )
    regions = region_names(placed, outlined)
    subject_values = [
        gather_values(inputs, subject, run, mesh.n_vertices, outlined, spaces, regions)
        for subject in subjects
    ]
    if len({values.split for values in subject_values}) > 1:
        splits = ", ".join(
            f"{PICTURES[values.split]} of subject {values.subject}" for values in subject_values
        )
        raise EvaluateError(
            f"{run}: scored on different pictures ({splits}): run {run_hint('evaluate')}"
        )
    return [average(subject_values), *subject_values] if len(subject_values) > 1 else subject_values


def measured_vertices(subject_values: Sequence[SubjectValues]) -> dict[str, np.ndarray]:
    """Return the mesh's vertices that any subject has, for the flat map to show."""
    r = [subject.r for subject in subject_values]
    has_r = map_sides(lambda *values: np.isfinite(values).any(axis=0), *r)
    return {h: np.flatnonzero(mask) for h, mask in has_r.items()}


def coverage_lines(subjects: Sequence[Subject], mesh: Mesh) -> list[str]:
    """Return lines with the number of each subject's vertices that are on the mesh."""
    names_by_counts: dict[tuple[int, int], list[str]] = {}
    for subject in subjects:
        masks = [read_mask(subject.folder, h) for h in HEMISPHERES]
        n_shown = sum(int(mask[: mesh.n_vertices].sum()) for mask in masks)
        total = sum(int(mask.sum()) for mask in masks)
        names_by_counts.setdefault((n_shown, total), []).append(subject.name)
    return [
        f"subject{'s' * (len(names) > 1)} {', '.join(names)}: {n_shown} of {total} vertices are on "
        f"{mesh.name}"
        for (n_shown, total), names in names_by_counts.items()
    ]

"""Values of a subject on the mesh: scores, ceilings and feature spaces."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

import numpy as np

from challenge import HEMISPHERES, ROI_CLASSES, Subject
from challenge.layout import vertices_file
from evaluate.arrays import Array, Floats, Indices
from evaluate.errors import EvaluateError
from evaluate.fits.inputs import Inputs
from evaluate.maps.space_values import describe_sources, read_space_values
from evaluate.maps.surface import fsaverage_vertices, place_on_mesh
from evaluate.scoring.hemisphere_rows import roi_rank
from evaluate.scoring.vertex_files import read_current_vertices

# By hemisphere, a value for each vertex of the mesh, or NaN.
Sides = dict[str, Floats]


@dataclass(frozen=True)
class SubjectValues:
    """Values of one subject, or the mean of several, on the mesh.

    Values are NaN where the vertex was not measured, not fitted, or has no ceiling.
    """

    subject: str  # such as "01", or "mean"
    score: Sides  # percent
    r: Sides
    ceiling: Sides  # fraction
    alone: dict[str, Sides] = field(default_factory=dict)  # r of a model on each space alone
    unique: dict[str, Sides] = field(default_factory=dict)  # part of R^2 of each space alone
    labels: Sides = field(default_factory=dict)  # position in `regions` from 1; 0 outside
    regions: tuple[str, ...] = ()  # outlined; the same for all subjects shown together
    source: str = ""  # the model and the pictures of `alone` and `unique`
    split: str = "test"  # the pictures of score and r
    counts: tuple[int, int] = (0, 0)  # measured vertices that the mesh has, and all


def map_sides(function: Callable[..., Any], *sides: Sides) -> Sides:
    """Apply a function of arrays to each hemisphere."""
    return {h: function(*map(itemgetter(h), sides)) for h in HEMISPHERES}


def check_outlined(roi_class: str) -> None:
    """Raise an error for an unknown class of ROIs, before anything is computed."""
    if roi_class not in ROI_CLASSES:
        choices = ", ".join(ROI_CLASSES)
        raise EvaluateError(f"unknown ROI class {roi_class!r} to outline: choose from {choices}")


def split_placed(subjects: Sequence[Subject]) -> tuple[list[Subject], str]:
    """Return the subjects whose vertices are known on fsaverage, and a sentence on the others."""
    missing_masks = {
        subject.name: file
        for subject in subjects
        for h in reversed(HEMISPHERES)
        if not (file := vertices_file(subject.folder, h)).is_file()
    }
    placed = [subject for subject in subjects if subject.name not in missing_masks]
    if not missing_masks:
        return placed, ""
    file = next(iter(missing_masks.values()))
    return placed, (
        f"no maps of subject{'s' * (len(missing_masks) > 1)} {', '.join(missing_masks)}: without "
        f"masks such as {file.relative_to(file.parents[2])} it is not known where on fsaverage a "
        "vertex lies"
    )


def region_names(subjects: Sequence[Subject], outlined: str) -> tuple[str, ...]:
    """Return the regions of a class in the data of several subjects, whose labels may differ."""
    rois = [roi for subject in subjects for h in HEMISPHERES for roi in subject.rois(h)]
    names = {roi.name for roi in rois if roi.roi_class == outlined}
    return tuple(sorted(names, key=lambda name: roi_rank(outlined, name)))


def gather_values(
    inputs: Inputs,
    subject: Subject,
    run: str,
    n_mesh: int,
    outlined: str = "streams",
    spaces: bool = True,
    regions: Sequence[str] | None = None,
) -> SubjectValues:
    """Read the values of a subject for the maps of `run`, which may be "ensemble".

    `regions` are from `region_names`, by default of this subject.
    """
    check_outlined(outlined)
    mesh_vertices = {h: fsaverage_vertices(subject, h) for h in HEMISPHERES}

    def on_mesh(sides: Mapping[str, Array]) -> Sides:
        return {
            h: place_on_mesh(sides[h], vertices, n_mesh) if h in sides else np.full(n_mesh, np.nan)
            for h, vertices in mesh_vertices.items()
        }

    scores = read_current_vertices(inputs, run, subject.name)
    alone, unique, source = read_space_values(inputs, subject) if spaces else ({}, {}, "")
    names = tuple(region_names([subject], outlined) if regions is None else regions)
    labels = on_mesh({h: _labels(subject, h, outlined, names) for h in HEMISPHERES})
    n_on_mesh = [int((vertices < n_mesh).sum()) for vertices in mesh_vertices.values()]
    return SubjectValues(
        subject=subject.name,
        score=on_mesh(scores.field("score")),
        r=on_mesh(scores.field("r")),
        ceiling=on_mesh(scores.field("ceiling")),
        alone={space: on_mesh(sides) for space, sides in alone.items()},
        unique={space: on_mesh(sides) for space, sides in unique.items()},
        source=source,
        split=scores.meta["split"],
        labels=map_sides(np.nan_to_num, labels),
        regions=names,
        counts=(sum(n_on_mesh), sum(map(len, mesh_vertices.values()))),
    )


def _labels(subject: Subject, hemisphere: str, outlined: str, names: Sequence[str]) -> Indices:
    """Return the position of each vertex' region in `names`; files may number them otherwise."""
    labels = np.zeros(subject.n_vertices(hemisphere), np.int64)
    for roi in subject.rois(hemisphere):
        if roi.roi_class == outlined:
            labels[roi.vertices] = names.index(roi.name) + 1
    return labels


def average(subjects: Sequence[SubjectValues]) -> SubjectValues:
    """Return the mean of the subjects that have a value at a vertex; labels are the most common."""
    sources = {subject.subject: subject.source for subject in subjects}
    return SubjectValues(
        subject="mean",
        score=_mean([subject.score for subject in subjects]),
        r=_mean([subject.r for subject in subjects]),
        ceiling=_mean([subject.ceiling for subject in subjects]),
        alone=_mean_by_space([subject.alone for subject in subjects]),
        unique=_mean_by_space([subject.unique for subject in subjects]),
        source=describe_sources(sources),
        split=subjects[0].split,
        labels=map_sides(_majority, *(subject.labels for subject in subjects)),
        regions=subjects[0].regions,
        counts=(max(s.counts[0] for s in subjects), max(s.counts[1] for s in subjects)),
    )


def _mean_by_space(values: Sequence[Mapping[str, Sides]]) -> dict[str, Sides]:
    sides_by_space: dict[str, list[Sides]] = {}
    for by_space in values:
        for space, sides in by_space.items():
            sides_by_space.setdefault(space, []).append(sides)
    return {space: _mean(sides) for space, sides in sides_by_space.items()}


def _mean(sides: Sequence[Sides]) -> Sides:
    with warnings.catch_warnings():
        # A vertex that no subject has stays NaN, as it should.
        warnings.simplefilter("ignore", RuntimeWarning)
        return map_sides(lambda *values: np.nanmean(values, axis=0), *sides)


def _majority(*labels: Floats) -> Floats:
    stacked = np.stack(labels).astype(int)
    counts = [(stacked == label).sum(0) for label in range(stacked.max() + 1)]
    return np.argmax(counts, axis=0).astype(np.float64)

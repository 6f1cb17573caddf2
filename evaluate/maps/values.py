"""What there is to show of a subject: scores, ceilings and feature spaces, on the mesh."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from challenge import HEMISPHERES, ROI_CLASSES, Subject
from challenge.rois import read_labels
from evaluate.errors import EvaluateError
from evaluate.fits import Run
from evaluate.maps.ablated import read_ablation
from evaluate.maps.surface import fsaverage_vertices, place
from evaluate.vertices import Vertices, read_vertices

# By hemisphere, a value for each vertex of the mesh, NaN where there is none.
Sides = dict[str, NDArray[np.float64]]
# For each feature space and hemisphere, a value for each column of the responses.
BySpace = dict[str, dict[str, NDArray[Any]]]


@dataclass(frozen=True)
class Known:
    """What is known of one subject, or the mean of several, on the mesh.

    Attributes
    ----------
    subject : str
        Such as "01", or "mean".
    score, r, ceiling : dict of str to array (n_mesh_vertices,), float64
        By hemisphere: percent, Pearson's r, and a fraction; NaN where not measured, not covered, or
        without ceiling.
    alone : dict of str to dict of str to array (n_mesh_vertices,), float64
        For each feature space, r of a model on it alone.
    unique : dict of str to dict of str to array (n_mesh_vertices,), float64
        For each feature space, the part of R^2 that no other space explains.
    labels : dict of str to array (n_mesh_vertices,), float64
        The labels of the outlined ROI class; 0 outside.
    source : str
        What `alone` and `unique` are of: which model, on which pictures.
    counts : tuple of int
        How many measured vertices the mesh has, and how many were measured.
    """

    subject: str
    score: Sides
    r: Sides
    ceiling: Sides
    alone: dict[str, Sides] = field(default_factory=dict)
    unique: dict[str, Sides] = field(default_factory=dict)
    labels: Sides = field(default_factory=dict)
    source: str = ""
    counts: tuple[int, int] = (0, 0)


def check_outlined(roi_class: str) -> None:
    """Refuse an unknown class of ROIs, before anything is computed.

    Parameters
    ----------
    roi_class : str
        What is to be outlined.

    Raises
    ------
    EvaluateError
        If there is no such class.
    """
    if roi_class not in ROI_CLASSES:
        known = ", ".join(ROI_CLASSES)
        raise EvaluateError(f"unknown ROI class {roi_class!r} to outline: choose from {known}")


def gather_known(
    out: Path,
    subject: Subject,
    run: str,
    runs: Sequence[Run],
    responses: Mapping[tuple[str, str], str],
    n_mesh: int,
    outlined: str = "streams",
    spaces: bool = True,
) -> Known:
    """Read all that is to be shown of a subject.

    Parameters
    ----------
    out : Path
        The output folder.
    subject : Subject
        Whose.
    run : str
        The run whose score and r are shown, or "ensemble".
    runs : sequence of Run
        All runs; those on one space alone say which space is best where there is no ablation.
    responses : mapping of (str, str) to str
        The sha256 of the training responses, by subject and hemisphere.
    n_mesh : int
        The number of vertices of the mesh's hemisphere.
    outlined : str
        The ROI class whose outlines are drawn.
    spaces : bool
        Whether to read what each feature space does, which is the same for all runs.

    Returns
    -------
    Known
        On the mesh.

    """
    check_outlined(outlined)
    where = {h: fsaverage_vertices(subject, h) for h in HEMISPHERES}

    def on_mesh(sides: Mapping[str, NDArray[Any]]) -> Sides:
        return {
            h: place(sides[h], where[h], n_mesh) if h in sides else np.full(n_mesh, np.nan)
            for h in HEMISPHERES
        }

    found = read_vertices(out, run, subject.name)
    alone, unique, source = spaces_of(out, subject, runs, responses) if spaces else ({}, {}, "")
    labels = {
        h: read_labels(subject.folder, h, outlined, len(vertices)) for h, vertices in where.items()
    }
    return Known(
        subject=subject.name,
        score=on_mesh(_field(found, "score")),
        r=on_mesh(_field(found, "r")),
        ceiling=on_mesh(_field(found, "ceiling")),
        alone={space: on_mesh(sides) for space, sides in alone.items()},
        unique={space: on_mesh(sides) for space, sides in unique.items()},
        source=source,
        labels={h: np.nan_to_num(values) for h, values in on_mesh(labels).items()},
        counts=(
            sum(int((vertices < n_mesh).sum()) for vertices in where.values()),
            sum(len(vertices) for vertices in where.values()),
        ),
    )


def _field(found: Vertices, name: str) -> dict[str, NDArray[Any]]:
    return {h: arrays[name] for h, arrays in found.hemispheres.items()}


def spaces_of(
    out: Path,
    subject: Subject,
    runs: Sequence[Run],
    responses: Mapping[tuple[str, str], str],
) -> tuple[BySpace, BySpace, str]:
    """Find what each space does alone, and what only it does.

    Parameters
    ----------
    out : Path
        The output folder.
    subject : Subject
        Whose.
    runs : sequence of Run
        All runs; those on one space alone are compared where there is no ablation.
    responses : mapping of (str, str) to str
        The sha256 of the training responses, by subject and hemisphere.

    Returns
    -------
    alone : dict of str to dict of str to array (n_vertices,)
        For each space and hemisphere, r of a model on it alone.
    unique : dict of str to dict of str to array (n_vertices,)
        Likewise, the part of R^2 that no other space explains; empty without an ablation.
    source : str
        Which model that is, and on which pictures.
    """
    alone: BySpace = defaultdict(dict)
    unique: BySpace = defaultdict(dict)
    for h in HEMISPHERES:
        ablated = read_ablation(out, subject.name, h, responses[subject.name, h])
        for space, values in ablated.alone.items() if ablated else ():
            alone[space][h] = values
        for space, values in ablated.unique.items() if ablated else ():
            unique[space][h] = values
    if len(alone) > 1:
        return alone, unique, "ablation with ridge, held-out pictures"
    singles = single_space_runs(runs, subject.name)
    found = {run.joined: read_vertices(out, run.name, subject.name) for run in singles}
    alone = {space: _field(vertices, "r") for space, vertices in found.items()}
    on = {"test": "test", "heldout": "held-out"}
    split = next((on[one.meta["split"]] for one in found.values() if "split" in one.meta), "")
    model = singles[0].label.partition("#")[0] if singles else ""
    return alone, unique, f"{model} on each space alone, {split} pictures"


def single_space_runs(runs: Sequence[Run], subject: str) -> list[Run]:
    """Choose runs that differ by their space alone, to compare spaces by.

    Parameters
    ----------
    runs : sequence of Run
        All runs.
    subject : str
        They must be of this subject.

    Returns
    -------
    list of Run
        One for each space, of the model that was fitted on most spaces alone; of several runs of
        that model on a space, the first.
    """
    by_model: dict[str, dict[str, Run]] = defaultdict(dict)
    for run in runs:
        if len(run.spaces) == 1 and any(m.meta["subject"] == subject for m in run.models):
            by_model[run.label.partition("#")[0]].setdefault(run.joined, run)
    if not by_model:
        return []
    return list(max(by_model.values(), key=len).values())


def average(known: Sequence[Known]) -> Known:
    """Average over subjects, vertex by vertex.

    Parameters
    ----------
    known : sequence of Known
        Of each subject.

    Returns
    -------
    Known
        The mean over the subjects that have a value there; labels are those of most subjects.
    """
    spaces = dict.fromkeys(space for one in known for space in one.alone)
    parts = dict.fromkeys(space for one in known for space in one.unique)
    return Known(
        subject="mean",
        score=_mean([one.score for one in known]),
        r=_mean([one.r for one in known]),
        ceiling=_mean([one.ceiling for one in known]),
        alone={s: _mean([one.alone[s] for one in known if s in one.alone]) for s in spaces},
        unique={s: _mean([one.unique[s] for one in known if s in one.unique]) for s in parts},
        source=known[0].source,
        labels={h: _most([one.labels[h] for one in known]) for h in HEMISPHERES},
        counts=(max(one.counts[0] for one in known), max(one.counts[1] for one in known)),
    )


def _mean(sides: Sequence[Sides]) -> Sides:
    with warnings.catch_warnings():
        # A vertex that no subject has stays NaN, as it should.
        warnings.simplefilter("ignore", RuntimeWarning)
        return {h: np.nanmean([side[h] for side in sides], axis=0) for h in HEMISPHERES}


def _most(labels: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    stacked = np.stack(labels).astype(int)
    counts = [(stacked == label).sum(0) for label in range(stacked.max() + 1)]
    return np.argmax(counts, axis=0).astype(np.float64)

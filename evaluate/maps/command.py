"""`python -m evaluate maps`: PNG and SVG of every map, for papers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from base import convert_paths, plural, progress, replacing, run_hint, say
from challenge import HEMISPHERES, Subject, SubjectChoice
from challenge.rois import read_mask
from evaluate.caveats import leak_lines
from evaluate.errors import EvaluateError
from evaluate.inputs import Inputs, gather, report_missing
from evaluate.maps.camera import photograph
from evaluate.maps.paint import maps_of
from evaluate.maps.sheet import draw_sheet
from evaluate.maps.spaces import PICTURES
from evaluate.maps.surface import Mesh, load_mesh
from evaluate.maps.values import (
    Known,
    average,
    check_outlined,
    gather_known,
    region_names,
    split_placed,
)
from evaluate.predicted import ENSEMBLE
from evaluate.vertices import vertices_file

WIDTH = 840


@convert_paths
def maps(
    data: Path = Path("data"),
    out: Path = Path("derivatives"),
    subject: SubjectChoice = "all",
    fits: list[str] | None = None,
    mesh: str = "auto",
    outlines: str = "streams",
) -> None:
    """Draw maps of score, r, ceiling, best space and unique contributions on fsaverage.

    Needs what `python -m evaluate scores` wrote of the vertices. Of several subjects, the mean over
    them is drawn too. Ablations are shown where `make ablate` was run.

    Parameters
    ----------
    data : Path
        The challenge's directory.
    out : Path
        The output folder; maps go to `OUT/maps`.
    subject : str, int or sequence of them
        "all", or the numbers of one or several: "01", "01 02".
    fits : list of str, optional
        Whose score and r: names of fits, or beginnings of their folders. The ensemble by default.
    mesh : str
        "fsaverage5", which is always there; "fsaverage", all vertices, downloaded where nilearn
        does not have it yet; or "auto": fsaverage where it is there, never the network.
    outlines : str
        The ROI class that is outlined, such as prf-visualrois.

    Raises
    ------
    EvaluateError
        If no subject has the masks that say where its vertices lie.
    """
    check_outlined(outlines)
    inputs = gather(data, out, subject, fits)
    report_missing(inputs)
    surface = load_mesh(mesh)
    runs = [(run.name, run.title) for run in inputs.runs]
    if not fits and len(runs) > 1:
        runs = [(ENSEMBLE, "the ensemble of all fits")]
    placed, told = split_placed(inputs.subjects)
    if not placed:
        raise EvaluateError(f"{told}: copy the masks to draw maps")
    if told:
        say(told)
    simulated = [one.name for one in placed if one.simulated]
    leaked = leak_lines(inputs.leaked, inputs.split)
    caveat = " – SIMULATED responses" * bool(simulated)
    caveat += " – WARNING: test pictures were training pictures" * bool(leaked)
    written: list[Path] = []
    for run, label in runs:
        known = know(out, inputs, run, surface, outlines)
        if known:
            about = f"{label}, {PICTURES[known[0].split]} pictures"
            written += _draw(out, known, surface, outlines, run, about, caveat)
    say("\n".join(count_shown(placed, surface)))
    if simulated:
        say(f"the responses are SIMULATED, subjects: {', '.join(simulated)}")
    for line in leaked:
        say(f"WARNING: {line}")
    say(f"-> {out / 'maps'}: {plural(len(written), 'file')}")


def know(
    out: Path, inputs: Inputs, run: str, mesh: Mesh, outlined: str, spaces: bool = True
) -> list[Known]:
    """Gather what is to be shown of every subject that a run is of and has a place, and their mean.

    Parameters
    ----------
    out : Path
        The output folder.
    inputs : Inputs
        Subjects and runs.
    run : str
        A run, or "ensemble".
    mesh : Mesh
        The mesh.
    outlined : str
        The ROI class that is outlined.
    spaces : bool
        Whether to read what each feature space does, which is the same for all runs.

    Returns
    -------
    list of Known
        Of several subjects, the mean first; none where no subject has a place on the mesh.

    Raises
    ------
    EvaluateError
        If nothing is known of the run's vertices, or not on the same pictures of all subjects.
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
    """Find the mesh's vertices that any subject has, for the flat map to show.

    Parameters
    ----------
    known : sequence of Known
        The subjects.

    Returns
    -------
    dict of str to array of int64
        For each hemisphere.
    """
    return {
        h: np.flatnonzero(np.any([np.isfinite(one.r[h]) for one in known], axis=0))
        for h in HEMISPHERES
    }


def count_shown(subjects: Sequence[Subject], mesh: Mesh) -> list[str]:
    """Say how many of the subjects' vertices the mesh has.

    Parameters
    ----------
    subjects : sequence of Subject
        Whose.
    mesh : Mesh
        The mesh.

    Returns
    -------
    list of str
        A line for those that have the same numbers.
    """
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


def _draw(
    out: Path,
    known: Sequence[Known],
    mesh: Mesh,
    outlined: str,
    run: str,
    about: str,
    caveat: str,
) -> list[Path]:
    pictures = photograph(mesh, WIDTH, measured(known))
    sheets = [(one, shown) for one in known for shown in maps_of(one, known)]
    written = []
    for one, shown in progress(sheets, desc="drawing", unit="map"):
        shown_of = f"{one.counts[0]} of {one.counts[1]} vertices on {mesh.name}"
        shown_of += caveat
        whose = "mean over subjects" if one.subject == "mean" else f"subject {one.subject}"
        stem = out / "maps" / run / f"{_plain(one.subject)}-{_plain(shown.name)}"
        png, svg = stem.with_name(f"{stem.name}.png"), stem.with_name(f"{stem.name}.svg")
        about_it = f"{whose}, {shown.source or about}, {shown_of}; outlines: {outlined}"
        with replacing(png) as to_png, replacing(svg) as to_svg:
            draw_sheet(shown, one, pictures, outlined, about_it, [to_png, to_svg])
        written += [png, svg]
    return written


def _plain(name: str) -> str:
    """Leave out of a name what a file's name cannot have."""
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in name)

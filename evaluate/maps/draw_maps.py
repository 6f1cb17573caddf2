"""Every map as PNG and SVG, for papers, or as data on fsaverage."""

from collections.abc import Iterable, Sequence
from itertools import product
from pathlib import Path

import numpy as np
from matplotlib.colors import to_rgb

from base import choose_from, plural, progress, replacing, say
from challenge import HEMISPHERES, ROI_CLASSES, Subject, SubjectChoice
from challenge.layout import N_FSAVERAGE
from evaluate.errors import EvaluateError
from evaluate.fits.caveats import leak_lines
from evaluate.fits.inputs import Inputs, gather, report_missing
from evaluate.fits.run_labels import ENSEMBLE
from evaluate.maps.camera import render_views
from evaluate.maps.map_figure import draw_map
from evaluate.maps.paint import maps_of
from evaluate.maps.shown_subjects import coverage_lines, gather_subjects, measured_vertices
from evaluate.maps.space_values import PICTURES
from evaluate.maps.surface import Mesh, fsaverage_vertices, load_mesh
from evaluate.maps.surface_files import FORMATS, save_labels, save_surface
from evaluate.maps.values import SubjectValues, check_outlined, split_placed
from evaluate.scoring.vertex_files import read_vertices, vertices_file
from evaluate.tables.scores_figure import COLOURS

WIDTH = 840
PNG = "png"
# All of fsaverage's vertices; as data, maps need no shape of the surface.
WHOLE = Mesh("fsaverage", N_FSAVERAGE, shapes={}, sulci={})


def draw_maps(
    data: Path,
    out: Path,
    subject: SubjectChoice,
    fits: list[str] | None,
    mesh: str,
    outlines: str,
    formats: Sequence[str],
) -> None:
    """Draw or save maps of score, r, ceiling, best space and unique contributions on fsaverage."""
    check_outlined(outlines)
    formats = _check_formats(formats)
    inputs = gather(data, out, subject, fits)
    is_ensemble = not fits and len(inputs.runs) > 1
    runs = {run.name: run.title for run in inputs.runs}
    runs = {ENSEMBLE: "the ensemble of all fits"} if is_ensemble else runs
    if (split := _scored_split(inputs, runs)) != inputs.split:
        inputs = gather(data, out, subject, fits, split=split)
    report_missing(inputs)
    surface = load_mesh(mesh)
    placed, message = split_placed(inputs.subjects)
    if not placed:
        raise EvaluateError(f"{message}: copy the masks to draw maps")
    if message:
        say(message)
    leaked = leak_lines(inputs.caveats.leaked, inputs.split)
    simulated = [s.name for s in placed if s.simulated]
    caveat = " – SIMULATED responses" * bool(simulated)
    caveat += " – WARNING: test pictures were training pictures" * bool(leaked)
    files: list[Path] = []
    if PNG in formats:
        for run, label in runs.items():
            if brains := gather_subjects(inputs, run, surface, outlines):
                about = f"{label}, {PICTURES[brains[0].split]} pictures"
                files += _draw(out, brains, surface, outlines, run, about, caveat)
        say("\n".join(coverage_lines(placed, surface)))
    files += _save_data(inputs, placed, runs, outlines, [name for name in formats if name != PNG])
    if simulated:
        say(f"the responses are SIMULATED, subjects: {', '.join(simulated)}")
    for line in leaked:
        say(f"WARNING: {line}")
    say(f"-> {out / 'maps'}: {plural(len(files), 'file')}")


def _scored_split(inputs: Inputs, runs: Iterable[str]) -> str:
    """Return the split of the first file of vertices: the maps are of the pictures scored last."""
    for run, subject in product(runs, inputs.subjects):
        if vertices_file(inputs.out, run, subject.name).is_file():
            return read_vertices(inputs.out, run, subject.name).meta["split"]
    return inputs.split


def _draw(
    out: Path,
    brains: Sequence[SubjectValues],
    mesh: Mesh,
    outlined: str,
    run: str,
    about: str,
    caveat: str,
) -> list[Path]:
    """Draw the maps of a run, and return the files."""
    pictures = render_views(mesh, WIDTH, measured_vertices(brains))
    sheets = [(brain, brain_map) for brain in brains for brain_map in maps_of(brain, brains)]
    files = []
    for brain, brain_map in progress(sheets, desc="drawing", unit="map"):
        counts = f"{brain.counts[0]} of {brain.counts[1]} vertices on {mesh.name}{caveat}"
        title = "mean over subjects" if brain.subject == "mean" else f"subject {brain.subject}"
        stem = out / "maps" / run / f"{_safe_name(brain.subject)}-{_safe_name(brain_map.name)}"
        png, svg = stem.with_name(f"{stem.name}.png"), stem.with_name(f"{stem.name}.svg")
        caption = f"{title}, {brain_map.source or about}, {counts}; outlines: {outlined}"
        with replacing(png) as to_png, replacing(svg) as to_svg:
            draw_map(brain_map, brain, pictures, outlined, caption, [to_png, to_svg])
        files += [png, svg]
    return files


def _check_formats(words: Sequence[str]) -> list[str]:
    """Return the formats; raise if there is no such format."""
    formats = [name for word in words for name in word.replace(",", " ").split()]
    if unknown := [name for name in formats if name not in (PNG, *FORMATS)]:
        choices = choose_from(unknown[0], (PNG, *FORMATS))
        raise EvaluateError(f"--format: found {unknown[0]!r}: {choices}")
    return formats


def _save_data(
    inputs: Inputs,
    subjects: Sequence[Subject],
    runs: Iterable[str],
    outlines: str,
    formats: Sequence[str],
) -> list[Path]:
    """Save all maps and the ROIs as data, and return the files."""
    if not formats:
        return []
    files = _save_rois(inputs.out, subjects, formats)
    for run in runs:
        brains = gather_subjects(inputs, run, WHOLE, outlines)
        files += _save(inputs.out, brains, run, formats)
    return files


def _save(
    out: Path, brains: Sequence[SubjectValues], run: str, formats: Sequence[str]
) -> list[Path]:
    """Save the values of the maps of a run, and return the files."""
    files = []
    for brain in brains:
        for brain_map in maps_of(brain, brains):
            name = f"{_safe_name(brain.subject)}-{_safe_name(brain_map.name)}"
            files += save_surface(brain_map.values, out / "maps" / run / name, formats)
    return files


def _save_rois(out: Path, subjects: Sequence[Subject], formats: Sequence[str]) -> list[Path]:
    """Save the ROIs of each class and subject as labels, and return the files."""
    files = []
    for subject, (roi_class, names) in product(subjects, ROI_CLASSES.items()):
        labels = {h: np.zeros(WHOLE.n_vertices, np.int64) for h in HEMISPHERES}
        for hemisphere, numbers in labels.items():
            places = fsaverage_vertices(subject, hemisphere)
            for roi in subject.rois(hemisphere):
                if roi.roi_class == roi_class:
                    numbers[places[roi.vertices]] = names.index(roi.name) + 1
        if any(numbers.any() for numbers in labels.values()):
            colours = [to_rgb(COLOURS[n % len(COLOURS)]) for n in range(len(names))]
            stem = out / "maps" / "rois" / f"{subject.name}-{roi_class}"
            files += save_labels(labels, names, colours, stem, formats)
    return files


def _safe_name(name: str) -> str:
    """Replace by "_" the characters that a file name should not have."""
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in name)

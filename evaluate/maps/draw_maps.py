"""PNG and SVG of every map, for papers."""

from collections.abc import Iterable, Sequence
from itertools import product
from pathlib import Path

from base import plural, progress, replacing, say
from challenge import SubjectChoice
from evaluate.errors import EvaluateError
from evaluate.fits.caveats import leak_lines
from evaluate.fits.inputs import Inputs, gather, report_missing
from evaluate.fits.run_labels import ENSEMBLE
from evaluate.maps.camera import render_views
from evaluate.maps.map_figure import draw_map
from evaluate.maps.paint import maps_of
from evaluate.maps.shown_subjects import coverage_lines, gather_subjects, measured_vertices
from evaluate.maps.space_values import PICTURES
from evaluate.maps.surface import Mesh, load_mesh
from evaluate.maps.values import SubjectValues, check_outlined, split_placed
from evaluate.scoring.vertex_files import read_vertices, vertices_file

WIDTH = 840


def draw_maps(
    data: Path, out: Path, subject: SubjectChoice, fits: list[str] | None, mesh: str, outlines: str
) -> None:
    """Draw maps of score, r, ceiling, best space and unique contributions on fsaverage."""
    check_outlined(outlines)
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
    simulated = [s.name for s in placed if s.simulated]
    leaked = leak_lines(inputs.caveats.leaked, inputs.split)
    caveat = " – SIMULATED responses" * bool(simulated)
    caveat += " – WARNING: test pictures were training pictures" * bool(leaked)
    files: list[Path] = []
    for run, label in runs.items():
        brains = gather_subjects(inputs, run, surface, outlines)
        if brains:
            about = f"{label}, {PICTURES[brains[0].split]} pictures"
            files += _draw(out, brains, surface, outlines, run, about, caveat)
    say("\n".join(coverage_lines(placed, surface)))
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


def _safe_name(name: str) -> str:
    """Replace by "_" the characters that a file name should not have."""
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in name)

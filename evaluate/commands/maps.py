"""`python -m evaluate maps`: PNG and SVG of every map, for papers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from base import convert_paths, plural, progress, replacing, say
from challenge import SubjectChoice
from evaluate.errors import EvaluateError
from evaluate.fits.caveats import leak_lines
from evaluate.fits.inputs import gather, report_missing
from evaluate.fits.runs import ENSEMBLE
from evaluate.maps.camera import render_views
from evaluate.maps.map_figure import draw_map
from evaluate.maps.paint import maps_of
from evaluate.maps.shown_subjects import coverage_lines, gather_subjects, measured_vertices
from evaluate.maps.space_values import PICTURES
from evaluate.maps.surface import Mesh, load_mesh
from evaluate.maps.values import (
    SubjectValues,
    check_outlined,
    split_placed,
)

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
        known = gather_subjects(out, inputs, run, surface, outlines)
        if known:
            about = f"{label}, {PICTURES[known[0].split]} pictures"
            written += _draw(out, known, surface, outlines, run, about, caveat)
    say("\n".join(coverage_lines(placed, surface)))
    if simulated:
        say(f"the responses are SIMULATED, subjects: {', '.join(simulated)}")
    for line in leaked:
        say(f"WARNING: {line}")
    say(f"-> {out / 'maps'}: {plural(len(written), 'file')}")


def _draw(
    out: Path,
    known: Sequence[SubjectValues],
    mesh: Mesh,
    outlined: str,
    run: str,
    about: str,
    caveat: str,
) -> list[Path]:
    pictures = render_views(mesh, WIDTH, measured_vertices(known))
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
            draw_map(shown, one, pictures, outlined, about_it, [to_png, to_svg])
        written += [png, svg]
    return written


def _plain(name: str) -> str:
    """Leave out of a name what a file's name cannot have."""
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in name)

"""The maps of the page: pictures of all views, and a brain that can be rotated."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.colors import to_hex
from PIL import Image, ImageDraw, ImageFont

from challenge import HEMISPHERES
from evaluate.arrays import Array, Floats
from evaluate.maps.camera import BRIGHT, FOLD, RenderedView, render_views
from evaluate.maps.outlines import place_names
from evaluate.maps.paint import Map, maps_of, paint, vertex_colours
from evaluate.maps.shown_subjects import measured_vertices
from evaluate.maps.surface import Mesh
from evaluate.maps.values import SubjectValues
from evaluate.report.examples import encode
from evaluate.tables.scores_figure import COLOURS

WIDTH = 560
LETTER = 15
# Number of stops of the colour bar's CSS gradient.
STOPS = 11
# Half the shift between the hemispheres of the rotatable brain, mm; each is about 85 wide.
APART = 46


def stills(
    subject_values: Sequence[SubjectValues], mesh: Mesh, pooled: str
) -> list[dict[str, Any]]:
    """Paint the maps: all views of the first subject or mean, and the flat view of the others.

    Each has `subject`, `name`, `title`, `bar`, `source`, which is `pooled` for score and r, and
    `pictures` (view, hemisphere, width, height, PNG in base64, alternative text).
    """
    views = render_views(mesh, WIDTH, measured_vertices(subject_values))
    entries = []
    for subject in subject_values:
        for brain_map in maps_of(subject, subject_values):
            source = brain_map.source or (pooled if brain_map.name in {"score", "r"} else "")
            pictures = [_still(view, brain_map, subject) for view in views]
            entries.append(
                {"subject": subject.subject, "name": brain_map.name, "title": brain_map.title,
                 "bar": bar(brain_map), "source": source, "pictures": pictures}
            )  # fmt: skip
        views = [view for view in views if view.view == "flat"]
    return entries


def _still(view: RenderedView, brain_map: Map, subject: SubjectValues) -> dict[str, Any]:
    rgba = paint(view, brain_map, subject)
    image = Image.fromarray(rgba)
    if view.view == "flat":
        draw, font = ImageDraw.Draw(image), ImageFont.load_default(LETTER)
        labels = subject.labels[view.hemisphere]
        places = place_names(view, labels, subject.regions, LETTER)
        for name, (x, y) in places.items():
            draw.text((x, y), name, font=font, anchor="mm", fill="white", stroke_width=2,
                      stroke_fill="black")  # fmt: skip
    values = brain_map.values[view.hemisphere]
    summary = f"{int(np.isfinite(values).sum())} vertices"
    if not brain_map.categories and np.isfinite(values).any():
        summary += f", median {np.nanmedian(values):.2f}, highest {np.nanmax(values):.2f}"
    side = {"lh": "left", "rh": "right"}[view.hemisphere]
    return {
        "view": view.view,
        "hemisphere": view.hemisphere,
        "width": image.width,
        "height": image.height,
        # 255 colours are as many as a scale has; the alpha channel is kept.
        "png": encode(image.quantize(255, Image.Quantize.FASTOCTREE), "PNG"),
        "alt": f"{brain_map.title}, {view.view} view of the {side} hemisphere: {summary} "
        f"{brain_map.unit}",
    }


def bar(brain_map: Map) -> dict[str, Any]:
    """Return the colour bar of a map: `unit`, and `categories`, or `gradient`, limits and `mark`.

    `mark` is the mean ceiling in percent of the bar's length.
    """
    if brain_map.categories:
        categories = [
            {"name": name, "colour": COLOURS[i % len(COLOURS)]}
            for i, name in enumerate(brain_map.categories)
        ]
        return {"unit": brain_map.unit, "categories": categories}
    stops = mpl.colormaps[brain_map.scale](np.linspace(0, 1, STOPS))
    mark = None
    if brain_map.mark is not None and np.isfinite(brain_map.mark):
        share = (brain_map.mark - brain_map.low) / (brain_map.high - brain_map.low)
        text = f"mean ceiling {brain_map.mark:.2f}"
        mark = {
            "at": round(100 * min(share, 1), 1),
            "text": "ceiling" if brain_map.name == "score" else text,
        }
    return {
        "unit": brain_map.unit,
        "gradient": ", ".join(to_hex(stop) for stop in stops),
        "low": f"{brain_map.low:g}",
        "high": f"{brain_map.high:g}",
        "mark": mark,
    }


def turning(maps: Sequence[tuple[str, str, Map]], mesh: Mesh) -> dict[str, Any]:
    """Pack the rotatable brain for JSON: the mesh once, and the colours of each map.

    Arrays are in base64: `places` (int16, hundredths of mm), `faces` (uint16), `grey` (uint8),
    `vertices` (uint16) that any map has, and `colours` of each map (uint8, three for each of these;
    0, 0, 0 where there is no value).
    """
    n = mesh.n_vertices
    places, faces = [], []
    for i, h in enumerate(HEMISPHERES):
        shape = mesh.shapes[h, "inflated"]
        shift = np.array([APART * (2 * i - 1), 0, 0])
        places.append((shape.coordinates + shift) * 100)
        faces.append(shape.faces + i * n)
    bare = np.concatenate([np.where(mesh.sulci[h] > 0, FOLD, BRIGHT) for h in HEMISPHERES])
    colours = [
        np.concatenate([vertex_colours(brain_map, "lh"), vertex_colours(brain_map, "rh")])
        for *_, brain_map in maps
    ]
    vertices = np.flatnonzero(np.any([rgba[:, 3] > 0 for rgba in colours], axis=0))
    return {
        "places": _pack(np.concatenate(places).round(), "<i2"),
        "faces": _pack(np.concatenate(faces), "<u2"),
        "grey": _pack((bare * 255).round(), "u1"),
        "vertices": _pack(vertices, "<u2"),
        "maps": [
            {
                "subject": subject,
                "model": model,
                "title": brain_map.title,
                "bar": bar(brain_map),
                "colours": _pack(_bytes(values[vertices]), "u1"),
            }
            for (subject, model, brain_map), values in zip(maps, colours, strict=True)
        ],
    }


def _bytes(rgba: Floats) -> Floats:
    # 0 means no value, but one scale begins with black: a vertex with a value has at least 1.
    return np.where(rgba[:, 3:] > 0, np.maximum((rgba[:, :3] * 255).round(), 1), 0)


def _pack(values: Array, dtype: str) -> str:
    return b64encode(np.ascontiguousarray(values.astype(dtype)).tobytes()).decode("ascii")


def regions_map(subject: SubjectValues, outlined: str) -> Map:
    """Return a map of the outlined regions themselves."""
    labels = subject.labels
    values = {h: np.where(labels[h] > 0, labels[h] - 1, np.nan) for h in HEMISPHERES}
    full: Mapping[str, Array] = {h: np.ones_like(labels[h]) for h in HEMISPHERES}
    return Map("regions", f"Regions of {outlined}", "", values, 1,
               categories=subject.regions, strength=dict(full))  # fmt: skip

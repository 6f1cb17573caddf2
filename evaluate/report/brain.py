"""The maps of the page: pictures of all views, and one brain that turns."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.colors import to_hex
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from challenge import HEMISPHERES
from evaluate.maps.camera import BRIGHT, FOLD, Picture, photograph
from evaluate.maps.outlines import name_places
from evaluate.maps.paint import Map, colours, maps_of, paint
from evaluate.maps.shown_subjects import measured
from evaluate.maps.surface import Mesh
from evaluate.maps.values import Known
from evaluate.report.examples import encode
from evaluate.tables.scores_figure import COLOURS

WIDTH = 560
LETTER = 15
# Of the colour bar, in CSS.
STOPS = 11
# Between the hemispheres of the brain that turns, mm, each being about 85 wide.
APART = 46


def stills(known: Sequence[Known], mesh: Mesh, pooled: str) -> list[dict[str, Any]]:
    """Paint the maps: of the first all views, of the others the flat one.

    Parameters
    ----------
    pooled : str
        What score and r are of: the ensemble, or the only fit.

    Returns
    -------
    list of dict
        `subject`, `name`, `title`, `bar` and `pictures` (view, hemisphere, width, height, PNG in
        base64, text for who does not see it).
    """
    every = photograph(mesh, WIDTH, measured(known))
    flat = [picture for picture in every if picture.view == "flat"]
    return [
        {
            "subject": one.subject,
            "name": shown.name,
            "title": shown.title,
            "bar": bar(shown),
            "source": shown.source or (pooled if shown.name in {"score", "r"} else ""),
            "pictures": [
                _still(picture, shown, one) for picture in (every if one is known[0] else flat)
            ],
        }
        for one in known
        for shown in maps_of(one, known)
    ]


def _still(picture: Picture, shown: Map, known: Known) -> dict[str, Any]:
    rgba = paint(picture, shown, known)
    image = Image.fromarray(rgba)
    if picture.view == "flat":
        draw, font = ImageDraw.Draw(image), ImageFont.load_default(LETTER)
        labels = known.labels[picture.hemisphere]
        places = name_places(picture, labels, known.regions, LETTER)
        for name, (x, y) in places.items():
            draw.text((x, y), name, font=font, anchor="mm", fill="white", stroke_width=2,
                      stroke_fill="black")  # fmt: skip
    values = shown.values[picture.hemisphere]
    told = f"{int(np.isfinite(values).sum())} vertices"
    if not shown.categories and np.isfinite(values).any():
        told += f", median {np.nanmedian(values):.2f}, highest {np.nanmax(values):.2f}"
    side = {"lh": "left", "rh": "right"}[picture.hemisphere]
    return {
        "view": picture.view,
        "hemisphere": picture.hemisphere,
        "width": image.width,
        "height": image.height,
        # 255 colours are as many as a scale has; the alpha channel is kept.
        "png": encode(image.quantize(255, Image.Quantize.FASTOCTREE), "PNG"),
        "alt": f"{shown.title}, {picture.view} view of the {side} hemisphere: {told} {shown.unit}",
    }


def bar(shown: Map) -> dict[str, Any]:
    """Describe the colour bar of a map.

    Returns
    -------
    dict
        `unit`, and either `categories` (name and colour) or `gradient`, `low`, `high` and
        `mark`, the mean ceiling in percent of the bar's length.
    """
    if shown.categories:
        named = [
            {"name": name, "colour": COLOURS[i % len(COLOURS)]}
            for i, name in enumerate(shown.categories)
        ]
        return {"unit": shown.unit, "categories": named}
    stops = mpl.colormaps[shown.scale](np.linspace(0, 1, STOPS))
    mark = None
    if shown.mark is not None and np.isfinite(shown.mark):
        mark = {
            "at": round(100 * min((shown.mark - shown.low) / (shown.high - shown.low), 1), 1),
            "text": "ceiling" if shown.name == "score" else f"mean ceiling {shown.mark:.2f}",
        }
    return {
        "unit": shown.unit,
        "gradient": ", ".join(to_hex(stop) for stop in stops),
        "low": f"{shown.low:g}",
        "high": f"{shown.high:g}",
        "mark": mark,
    }


def turning(shown: Sequence[tuple[str, str, Map]], mesh: Mesh) -> dict[str, Any]:
    """Pack the brain that turns: the mesh once, and the colours of each map.

    Returns
    -------
    dict
        In JSON's types, arrays in base64: `places` (int16, hundredths of mm), `faces` (uint16),
        `grey` (uint8), `vertices` (uint16) that any map has, and `maps` with `colours` (uint8,
        three for each of these; 0, 0, 0 where there is no value) and `bar`.
    """
    n = mesh.n_vertices
    places, faces = [], []
    for i, h in enumerate(HEMISPHERES):
        shape = mesh.shapes[h, "inflated"]
        shift = np.array([APART * (2 * i - 1), 0, 0])
        places.append((shape.coordinates + shift) * 100)
        faces.append(shape.faces + i * n)
    bare = np.concatenate([np.where(mesh.sulci[h] > 0, FOLD, BRIGHT) for h in HEMISPHERES])
    painted = [np.concatenate([colours(one, h) for h in HEMISPHERES]) for *_, one in shown]
    vertices = np.flatnonzero(np.any([one[:, 3] > 0 for one in painted], axis=0))
    return {
        "places": _pack(np.concatenate(places).round(), "<i2"),
        "faces": _pack(np.concatenate(faces), "<u2"),
        "grey": _pack((bare * 255).round(), "u1"),
        "vertices": _pack(vertices, "<u2"),
        "maps": [
            {
                "subject": subject,
                "model": model,
                "title": one.title,
                "bar": bar(one),
                "colours": _pack(_bytes(values[vertices]), "u1"),
            }
            for (subject, model, one), values in zip(shown, painted, strict=True)
        ],
    }


def _bytes(rgba: NDArray[np.float64]) -> NDArray[np.float64]:
    # Black itself is the colour of 0 on one scale, so what is shown is at least 1.
    return np.where(rgba[:, 3:] > 0, np.maximum((rgba[:, :3] * 255).round(), 1), 0)


def _pack(values: NDArray[Any], dtype: str) -> str:
    return b64encode(np.ascontiguousarray(values.astype(dtype)).tobytes()).decode("ascii")


def regions_map(known: Known, outlined: str) -> Map:
    """Make a map of the outlined regions themselves."""
    labels = known.labels
    values = {h: np.where(labels[h] > 0, labels[h] - 1, np.nan) for h in HEMISPHERES}
    full: Mapping[str, NDArray[Any]] = {h: np.ones_like(labels[h]) for h in HEMISPHERES}
    return Map("regions", f"Regions of {outlined}", "", values, 1,
               categories=known.regions, strength=dict(full))  # fmt: skip

"""Views of the mesh: the vertex at each pixel, computed once for all maps.

Every triangle is drawn into a depth buffer in which the nearest wins. A pixel then shows one
vertex, the nearest corner of its triangle: a map is an array indexed by another, no value is
mixed with its neighbour's, and the vertex at a pixel can be tested.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from challenge import HEMISPHERES
from evaluate.arrays import Floats, Indices, Mask, Singles
from evaluate.maps.surface import Mesh, Shape

VIEWS = ("lateral", "medial", "ventral", "flat")
# Light comes from the viewer: a face that is turned away is darker, down to this.
DARKEST = 0.45
FOLD, BRIGHT = 0.62, 0.82
MARGIN = 0.02
# Margin of a flat map around the measured vertices, as a fraction of their greatest extent.
AROUND = 0.12
ASPECT = 0.72


@dataclass(frozen=True)
class RenderedView:
    """One view of one hemisphere."""

    view: str  # one of `VIEWS`
    hemisphere: str  # "lh" or "rh"
    vertex: NDArray[np.int32]  # (height, width): the vertex at each pixel, -1 outside the brain
    # (height, width): brightness of the bare cortex, 0..1: sulci are darker.
    grey: Singles
    light: Singles  # (height, width): intensity of the light, 0..1; 1 on the flat map


def render_views(
    mesh: Mesh,
    width: int = 560,
    focus: Mapping[str, Indices] | None = None,
    views: Sequence[str] = VIEWS,
) -> list[RenderedView]:
    """Render both hemispheres from each side, `width` pixels wide.

    The flat map is cropped to the vertices of each hemisphere in `focus`; by default it is whole.
    """
    return [
        _render_view(mesh, hemisphere, view, width, focus[hemisphere] if focus else None)
        for view in views
        for hemisphere in HEMISPHERES
    ]


def _render_view(
    mesh: Mesh, hemisphere: str, view: str, width: int, focus: Indices | None
) -> RenderedView:
    shape = mesh.shapes[hemisphere, "flat" if view == "flat" else "inflated"]
    points = _rotate(shape, hemisphere, view)
    on_page, size = _fit_to_page(points, shape.faces, width, focus if view == "flat" else None)
    triangle = _find_triangles(on_page, points[:, 2], shape.faces, size)
    vertex = _nearest_corner(on_page, shape.faces, triangle)
    bare = np.where(mesh.sulci[hemisphere] > 0, FOLD, BRIGHT)
    return RenderedView(
        view=view,
        hemisphere=hemisphere,
        vertex=vertex.astype(np.int32),
        grey=bare[vertex].astype(np.float32),
        light=_light(points, shape.faces)[vertex] if view != "flat" else np.ones_like(vertex, "f4"),
    )


def _fit_to_page(
    points: Floats, faces: Indices, width: int, focus: Indices | None
) -> tuple[Floats, tuple[int, int]]:
    """Scale to the page's width; return the vertices in pixels, and the page's height and width."""
    # The flat mesh has no face at vertices of its cuts, which may lie anywhere.
    vertices = np.unique(faces)
    low, high = points[vertices, :2].min(0), points[vertices, :2].max(0)
    if focus is not None and np.isin(focus, vertices).any():
        focus_points = points[focus[np.isin(focus, vertices)], :2]
        across = (np.ptp(focus_points, axis=0) / (1, ASPECT)).max() * (1 + 2 * AROUND)
        middle = (focus_points.min(0) + focus_points.max(0)) / 2
        half = np.array([1, ASPECT]) * across / 2
        low, high = middle - half, middle + half
    scale = width * (1 - 2 * MARGIN) / (high - low)[0]
    on_page = (points[:, :2] - low) * scale + MARGIN * width
    height = int(np.ceil((high - low)[1] * scale + 2 * MARGIN * width))
    # Rows count from the top.
    on_page[:, 1] = height - on_page[:, 1]
    return on_page, (height, width)


def _rotate(shape: Shape, hemisphere: str, view: str) -> Floats:
    """Rotate the brain so that x points right and y up on the page, and z towards the viewer."""
    right, front, up = shape.coordinates.astype(np.float64).T
    outwards = 1 if hemisphere == "rh" else -1
    if view == "flat":
        return np.stack([right, front, np.zeros_like(right)], axis=1)
    if view == "ventral":  # from below, on its side: the front as in the lateral view
        return np.stack([outwards * front, outwards * right, -up], axis=1)
    side = outwards if view == "lateral" else -outwards
    return np.stack([side * front, up, side * right], axis=1)


def _find_triangles(
    on_page: Floats, depth: Floats, faces: Indices, size: tuple[int, int]
) -> Indices:
    """Return the front-most triangle at the centre of each pixel, -1 where there is none."""
    height, width = size
    corners = on_page[faces]  # (n_faces, 3, 2)
    low = np.clip(np.floor(corners.min(1) - 0.5).astype(int), 0, (width, height))
    high = np.clip(np.ceil(corners.max(1) - 0.5).astype(int) + 1, 0, (width, height))
    # Test every pixel of every triangle's bounding box, as one flat list.
    spans = high - low
    area = spans.prod(1)
    triangle = np.repeat(np.arange(len(faces)), area)
    step = np.arange(len(triangle)) - np.repeat(np.cumsum(area) - area, area)
    row, column = np.divmod(step, spans[triangle, 0])
    row, column = row + low[triangle, 1], column + low[triangle, 0]
    inside = _is_inside(corners, triangle, column + 0.5, row + 0.5)
    by_depth = np.argsort(depth[faces].mean(1), kind="stable")
    rank = np.argsort(by_depth)
    buffer = np.full(height * width, -1, np.int64)
    np.maximum.at(buffer, row[inside] * width + column[inside], rank[triangle[inside]])
    return np.where(buffer >= 0, by_depth[buffer], -1).reshape(size)


def _is_inside(corners: Floats, triangle: Indices, x: Floats, y: Floats) -> Mask:
    """Return, for each point, whether it is on the same side of all edges of its triangle."""
    left, right = np.ones(len(triangle), bool), np.ones(len(triangle), bool)
    for i in range(3):
        a, edge = corners[:, i], corners[:, (i + 1) % 3] - corners[:, i]
        offset = edge[:, 1] * a[:, 0] - edge[:, 0] * a[:, 1]
        side = edge[triangle, 0] * y - edge[triangle, 1] * x + offset[triangle]
        left &= side >= 0
        right &= side <= 0
    return left | right


def _nearest_corner(on_page: Floats, faces: Indices, triangle: Indices) -> Indices:
    rows, columns = np.nonzero(triangle >= 0)
    corners = faces[triangle[rows, columns]]
    point = np.stack([columns + 0.5, rows + 0.5], axis=1)
    distance = ((on_page[corners] - point[:, None]) ** 2).sum(2)
    vertex = np.full(triangle.shape, -1, np.int64)
    vertex[rows, columns] = corners[np.arange(len(corners)), distance.argmin(1)]
    return vertex


def _light(points: Floats, faces: Indices) -> Singles:
    a, b, c = (points[faces[:, i]] for i in range(3))
    normal = np.cross(b - a, c - a)
    normals = np.zeros_like(points)
    for corner in range(3):
        np.add.at(normals, faces[:, corner], normal)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    return (DARKEST + (1 - DARKEST) * np.abs(normals[:, 2])).astype(np.float32)

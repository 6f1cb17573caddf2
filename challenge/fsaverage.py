"""Coordinates of fsaverage's vertices: its sphere, which is computed, and the surfaces on disk.

FreeSurfer's fsaverage is an icosahedron that was subdivided several times. Each subdivision keeps
the vertices and appends the midpoints of the edges, in the order in which the faces reach them. So
the first 10,242 of fsaverage's 163,842 vertices are those of fsaverage5, which nilearn ships, and
subdividing fsaverage5's sphere twice gives fsaverage's sphere, vertex by vertex. The other surfaces
cannot be computed: only fsaverage5's vertices are known until fsaverage is downloaded.

References
----------
Fischl, Sereno, Tootell, Dale (1999). High-resolution intersubject averaging and a coordinate system
for the cortical surface. Human Brain Mapping 8.
"""

from collections.abc import Iterable
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from base import choose_from
from challenge.errors import DataError
from challenge.layout import HEMISPHERES, N_FSAVERAGE
from challenge.rois.regions import read_mask
from challenge.subject import Subject

Coordinates = NDArray[np.float64]
Faces = NDArray[np.int64]

SIDES = {"lh": "left", "rh": "right"}
# The beginning of the name of nilearn's files of each surface.
SURFACES = {
    "sphere": "sphere", "inflated": "infl", "pial": "pial", "white": "white", "flat": "flat",
}  # fmt: skip
RADIUS = 100.0


def fsaverage_vertices(subject: Subject, hemisphere: str) -> NDArray[np.int64]:
    """Return the fsaverage vertex of each column of the responses, (n_columns,), ascending."""
    return np.flatnonzero(read_mask(subject.folder, hemisphere))


def is_downloaded(files: Iterable[str]) -> bool:
    """Return whether one of nilearn's folders has all of some files of fsaverage.

    nilearn itself would download missing files.
    """
    from nilearn.datasets import get_data_dirs

    needed = list(files)
    folders = [Path(folder) / "fsaverage" for folder in get_data_dirs()]
    return any(all((folder / file).is_file() for file in needed) for folder in folders)


@cache
def coordinates(surface: str) -> dict[str, Coordinates]:
    """Return the coordinates of fsaverage's vertices on a surface, without downloading anything.

    For each hemisphere, (n_vertices, 3): right, front and up, mm; of "flat", the first two span the
    plane. All 163,842 vertices of "sphere", and of other surfaces if nilearn has downloaded
    fsaverage; else the first 10,242. A vertex that a surface lacks, as the flat one does at its
    cuts, has the coordinates of the nearest vertex on the sphere.
    """
    if surface not in SURFACES:
        raise DataError(f"unknown surface {surface!r}: {choose_from(surface, SURFACES)}")
    if surface == "sphere":
        spheres = {hemisphere: _divisions(hemisphere)[-1][0] for hemisphere in HEMISPHERES}
        return {
            hemisphere: vertices * (RADIUS / np.linalg.norm(vertices, axis=1, keepdims=True))
            for hemisphere, vertices in spheres.items()
        }
    names = {h: f"{SURFACES[surface]}_{SIDES[h]}" for h in HEMISPHERES}
    is_complete = is_downloaded(f"{name}.gii.gz" for name in names.values())
    return {
        h: _complete_coordinates("fsaverage" if is_complete else "fsaverage5", names[h], h)
        for h in HEMISPHERES
    }


def divide(vertices: Coordinates, faces: Faces) -> tuple[Coordinates, Faces]:
    """Divide each face of a sphere around the origin into four, in FreeSurfer's order.

    The vertices (n_vertices + n_edges, 3) are the same points, then the midpoints of the edges,
    projected to the sphere, in the order in which the faces reach them: from the third corner to
    the first, second to third, first to second. The faces (4 * n_faces, 3) are the triangles at the
    first corners; then, face by face, those at the third corner, in the middle, and at the second.
    """
    n = len(vertices)
    edges = np.sort(faces[:, [[2, 0], [1, 2], [0, 1]]], axis=-1).reshape(-1, 2)
    _, first, edge = np.unique(
        edges[:, 0] * n + edges[:, 1], return_index=True, return_inverse=True
    )
    # Edges are numbered in the order in which faces reach them, not by their ends.
    rank = np.argsort(np.argsort(first))
    middles = vertices[edges[np.sort(first)]].sum(1)
    radius = np.linalg.norm(vertices, axis=1).mean()
    middles *= radius / np.linalg.norm(middles, axis=1, keepdims=True)
    (a, b, c), (ca, bc, ab) = faces.T, n + rank[edge].reshape(-1, 3).T
    other_faces = np.stack([(ca, bc, c), (ab, bc, ca), (ab, b, bc)]).transpose(2, 0, 1)
    divided = np.concatenate([np.stack([a, ab, ca], axis=1), other_faces.reshape(-1, 3)])
    return np.concatenate([vertices, middles]), divided


def neighbours(vertices: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the pairs (n_edges, 2) of indices into `vertices` of fsaverage that are neighbours.

    They are the edges of the finest subdivision of the sphere on which most of the vertices have a
    neighbour. For measured vertices this is the mesh of fsaverage; for data that are cut to
    fsaverage5, that of fsaverage5.
    """
    index = np.full(N_FSAVERAGE, -1)
    index[vertices] = np.arange(len(vertices))
    edges = np.empty((0, 2), np.int64)
    # Both hemispheres have the same faces.
    for _, faces in reversed(_divisions("lh")):
        corners = index[faces]
        pairs = np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [2, 0]]])
        pairs = np.unique(np.sort(pairs[(pairs >= 0).all(1)]), axis=0)
        if 2 * len(np.unique(pairs)) > len(vertices):
            return pairs
        edges = max(edges, pairs, key=len)
    return edges


@cache
def _divisions(hemisphere: str) -> list[tuple[Coordinates, Faces]]:
    """Return fsaverage5's sphere and its subdivisions up to fsaverage's sphere."""
    divisions = [read_mesh("fsaverage5", f"sphere_{SIDES[hemisphere]}")]
    while len(divisions[-1][0]) < N_FSAVERAGE:
        divisions.append(divide(*divisions[-1]))
    return divisions


def _complete_coordinates(mesh: str, name: str, hemisphere: str) -> Coordinates:
    places, faces = read_mesh(mesh, name)
    has_face = np.zeros(len(places), bool)
    has_face[faces] = True
    if not has_face.all():
        sphere = coordinates("sphere")[hemisphere][: len(places)]
        from scipy.spatial import cKDTree

        nearest = cKDTree(sphere[has_face]).query(sphere[~has_face])[1]
        places[~has_face] = places[has_face][nearest]
    return places


def read_mesh(mesh: str, name: str) -> tuple[Coordinates, Faces]:
    """Read the vertices and faces of a surface that nilearn ships or has downloaded."""
    # nilearn takes a second to import, and only some callers need it.
    from nilearn.datasets import fetch_surf_fsaverage
    from nilearn.surface import load_surf_mesh

    surface = load_surf_mesh(fetch_surf_fsaverage(mesh)[name])
    return np.array(surface.coordinates, np.float64), np.asarray(surface.faces, np.int64)

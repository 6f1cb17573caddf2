"""Where the vertices of fsaverage lie: its sphere, which is computed, and the surfaces on disk.

FreeSurfer's fsaverage is an icosahedron divided again and again. Each division keeps the vertices
that were there and appends the middles of the edges, in the order in which the faces reach them. So
the first 10,242 of fsaverage's 163,842 vertices are fsaverage5's, which nilearn ships, and
fsaverage5's sphere divided twice is fsaverage's, vertex by vertex. The other surfaces follow no
rule: of them only fsaverage5's vertices are known, until fsaverage is downloaded.

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
from scipy.spatial import cKDTree

from base import choose_from
from challenge.errors import DataError
from challenge.layout import HEMISPHERES, N_FSAVERAGE
from challenge.rois.regions import read_mask
from challenge.subject import Subject

Coordinates = NDArray[np.float64]
Faces = NDArray[np.int64]

SIDES = {"lh": "left", "rh": "right"}
# How nilearn's files of each surface begin.
SURFACES = {
    "sphere": "sphere",
    "inflated": "infl",
    "pial": "pial",
    "white": "white",
    "flat": "flat",
}
RADIUS = 100.0


def fsaverage_vertices(subject: Subject, hemisphere: str) -> NDArray[np.int64]:
    """Find the vertex of fsaverage that each column of the responses is.

    Returns
    -------
    array of int64 (n_columns,)
        Ascending, below 163842.
    """
    return np.flatnonzero(read_mask(subject.folder, hemisphere))


def is_downloaded(files: Iterable[str]) -> bool:
    """Say whether nilearn has files of fsaverage; it would fetch any that is missing.

    Returns
    -------
    bool
        True where one of nilearn's folders has all of them.
    """
    from nilearn.datasets import get_data_dirs

    needed = list(files)
    folders = [Path(folder) / "fsaverage" for folder in get_data_dirs()]
    return any(all((folder / file).is_file() for file in needed) for folder in folders)


@cache
def coordinates(surface: str) -> dict[str, Coordinates]:
    """Give the places of fsaverage's vertices on a surface; never asks the network.

    Returns
    -------
    dict of str to array of float64 (n_vertices, 3)
        For each hemisphere: right, front and up, mm; of "flat", the first two are on the page. All
        163,842 vertices of "sphere", and of the others where nilearn has downloaded fsaverage; else
        the first 10,242. A vertex that a surface lacks, as the flat one does at its cuts, has the
        place of the one that is nearest on the sphere.
    """
    if surface not in SURFACES:
        raise DataError(f"unknown surface {surface!r}: {choose_from(surface, SURFACES)}")
    if surface == "sphere":
        return {hemisphere: _sphere(hemisphere) for hemisphere in HEMISPHERES}
    names = {h: f"{SURFACES[surface]}_{SIDES[h]}" for h in HEMISPHERES}
    whole = is_downloaded(f"{name}.gii.gz" for name in names.values())
    return {h: _whole("fsaverage" if whole else "fsaverage5", names[h], h) for h in HEMISPHERES}


def divide(vertices: Coordinates, faces: Faces) -> tuple[Coordinates, Faces]:
    """Divide each face of a sphere into four, in FreeSurfer's order.

    Parameters
    ----------
    vertices : array (n_vertices, 3)
        On a sphere about 0.
    faces : array of int (n_faces, 3)
        Their corners.

    Returns
    -------
    vertices : array (n_vertices + n_edges, 3)
        The same, and after them the middles of the edges, on the same sphere, in the order in which
        the faces reach them: from the last corner to the first, middle to last, first to middle.
    faces : array of int (4 * n_faces, 3)
        Those at the first corners; after them, face by face, those at the last corner, in the
        middle, and at the middle corner.
    """
    n = len(vertices)
    edges = np.sort(faces[:, [[2, 0], [1, 2], [0, 1]]], axis=-1).reshape(-1, 2)
    _, first, edge = np.unique(
        edges[:, 0] * n + edges[:, 1], return_index=True, return_inverse=True
    )
    # Numbered by where they are reached first, not by their ends.
    number = np.argsort(np.argsort(first))
    middles = vertices[edges[np.sort(first)]].sum(1)
    radius = np.linalg.norm(vertices, axis=1).mean()
    middles *= radius / np.linalg.norm(middles, axis=1, keepdims=True)
    (a, b, c), (ca, bc, ab) = faces.T, n + number[edge].reshape(-1, 3).T
    others = np.stack([(ca, bc, c), (ab, bc, ca), (ab, b, bc)]).transpose(2, 0, 1)
    divided = np.concatenate([np.stack([a, ab, ca], axis=1), others.reshape(-1, 3)])
    return np.concatenate([vertices, middles]), divided


def neighbours(vertices: NDArray[np.int64]) -> NDArray[np.int64]:
    """Find which of some vertices are neighbours on the mesh.

    Parameters
    ----------
    vertices : array of int (n,)
        Of fsaverage, in one hemisphere; each once.

    Returns
    -------
    array of int (n_edges, 2)
        Pairs of places in `vertices`, each pair once: the edges of the finest division of the
        sphere on which most of them have a neighbour. Of measured vertices that is fsaverage's own
        mesh; of data that are cut to fsaverage5, fsaverage5's.
    """
    at = np.full(N_FSAVERAGE, -1)
    at[vertices] = np.arange(len(vertices))
    found = np.empty((0, 2), np.int64)
    # Both hemispheres have the same faces.
    for _, faces in reversed(_divisions("lh")):
        corners = at[faces]
        pairs = np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [2, 0]]])
        pairs = np.unique(np.sort(pairs[(pairs >= 0).all(1)]), axis=0)
        if 2 * len(np.unique(pairs)) > len(vertices):
            return pairs
        found = max(found, pairs, key=len)
    return found


@cache
def _divisions(hemisphere: str) -> list[tuple[Coordinates, Faces]]:
    """Give fsaverage5's sphere, and each division of it up to fsaverage's."""
    divisions = [_read("fsaverage5", f"sphere_{SIDES[hemisphere]}")]
    while len(divisions[-1][0]) < N_FSAVERAGE:
        divisions.append(divide(*divisions[-1]))
    return divisions


def _sphere(hemisphere: str) -> Coordinates:
    vertices, _ = _divisions(hemisphere)[-1]
    return vertices * (RADIUS / np.linalg.norm(vertices, axis=1, keepdims=True))


def _whole(mesh: str, name: str, hemisphere: str) -> Coordinates:
    places, faces = _read(mesh, name)
    has = np.zeros(len(places), bool)
    has[faces] = True
    if not has.all():
        sphere = coordinates("sphere")[hemisphere][: len(places)]
        nearest = cKDTree(sphere[has]).query(sphere[~has])[1]
        places[~has] = places[has][nearest]
    return places


def _read(mesh: str, name: str) -> tuple[Coordinates, Faces]:
    # nilearn takes a second to import, which only what needs it should cost.
    from nilearn.datasets import fetch_surf_fsaverage
    from nilearn.surface import load_surf_mesh

    read = load_surf_mesh(fetch_surf_fsaverage(mesh)[name])
    return np.array(read.coordinates, np.float64), np.asarray(read.faces, np.int64)

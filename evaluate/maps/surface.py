"""The mesh of fsaverage, as maps show it, and values put on it.

The first 10,242 of fsaverage's 163,842 vertices are fsaverage5's, in the same order (see
`challenge.fsaverage`): a map of fsaverage, cut there, is a map on fsaverage5, each vertex with
its own value. nilearn ships fsaverage5; fsaverage itself has to be downloaded.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from base import choose_from
from challenge import HEMISPHERES
from challenge.fsaverage import SIDES, SURFACES, fsaverage_vertices, is_downloaded
from challenge.layout import N_FSAVERAGE
from evaluate.arrays import Array, Floats, Indices, Singles
from evaluate.errors import EvaluateError

__all__ = ["Mesh", "Shape", "fsaverage_vertices", "load_mesh", "place_on_mesh"]

MESHES = ("auto", "fsaverage5", "fsaverage")
SHAPES = ("inflated", "flat")


@dataclass(frozen=True)
class Shape:
    """A surface: the positions of the mesh's vertices."""

    # (n_vertices, 3): right, front and up, mm; for a flat surface, the first two are on the page.
    coordinates: Singles
    faces: Indices  # (n_faces, 3): the corners of the triangles, as vertices


@dataclass(frozen=True)
class Mesh:
    """Both hemispheres of the average brain."""

    name: str  # "fsaverage5" or "fsaverage"
    n_vertices: int  # number of vertices of a hemisphere
    shapes: Mapping[tuple[str, str], Shape]  # by hemisphere and "inflated" or "flat"
    # (n_vertices,): for each hemisphere, the depth of the folds, more than 0 in a sulcus.
    sulci: Mapping[str, Singles]


def load_mesh(name: str = "auto") -> Mesh:
    """Load the mesh "fsaverage5", which nilearn ships, or "fsaverage", downloaded if necessary.

    "auto" is fsaverage if it was downloaded before, else fsaverage5, never the network.
    """
    if name not in MESHES:
        raise EvaluateError(f"unknown mesh {name!r}: {choose_from(name, MESHES)}")
    # nilearn takes a second to import, which only maps should cost.
    from nilearn.datasets import fetch_surf_fsaverage

    if name == "auto":
        name = "fsaverage" if _is_downloaded() else "fsaverage5"
    try:
        files = fetch_surf_fsaverage(name)
        shapes = {
            (h, shape): _shape(files[f"{SURFACES[shape]}_{SIDES[h]}"])
            for h in HEMISPHERES
            for shape in SHAPES
        }
        sulci = {h: _folds(files[f"sulc_{SIDES[h]}"]) for h in HEMISPHERES}
    except (OSError, ValueError, KeyError) as error:
        raise EvaluateError(
            f"the mesh {name} could not be loaded ({error}): check the connection, or take "
            "--mesh fsaverage5, which needs none"
        ) from error
    return Mesh(name, len(sulci["lh"]), shapes, sulci)


def _is_downloaded() -> bool:
    needed = [*(SURFACES[shape] for shape in SHAPES), "sulc"]
    return is_downloaded(f"{name}_{side}.gii.gz" for name in needed for side in SIDES.values())


def _shape(file: str) -> Shape:
    from nilearn.surface import load_surf_mesh

    mesh = load_surf_mesh(file)
    coordinates = np.asarray(mesh.coordinates, np.float32)
    return Shape(coordinates, np.asarray(mesh.faces, np.int64))


def _folds(file: str) -> Singles:
    from nilearn.surface import load_surf_data

    return np.asarray(load_surf_data(file), np.float32)


def place_on_mesh(values: Array, vertices: Indices, n_vertices: int = N_FSAVERAGE) -> Floats:
    """Return values of columns (n_columns,) at their vertices of the mesh, as (n_vertices,).

    `vertices` are those of `fsaverage_vertices`; columns that the mesh does not have are left out.
    Other vertices are NaN.
    """
    if len(values) != len(vertices):
        raise EvaluateError(
            f"{len(values)} values for {len(vertices)} vertices of the all-vertices mask: they are "
            "of another subject or hemisphere"
        )
    on_mesh = np.full(n_vertices, np.nan)
    is_on_mesh = vertices < n_vertices
    on_mesh[vertices[is_on_mesh]] = values[is_on_mesh]
    return on_mesh

"""Positions of vertices on fsaverage, and the box and grid of each group of vertices."""

import logging
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from challenge import HEMISPHERES, Subject
from challenge.fsaverage import coordinates, fsaverage_vertices
from challenge.layout import vertices_file
from regress.data.position_grid import bounding_box, least_expansion, n_sharing, to_grid
from regress.errors import RegressError

log = logging.getLogger("regress")

# Number of axes of each surface.
SURFACES = {"sphere": 3, "inflated": 3, "pial": 3, "white": 3, "flat": 2}
# Gap between the hemispheres that `side_by_side` leaves, mm.
GAP = 10.0

DOWNLOAD = "from nilearn.datasets import fetch_surf_fsaverage; fetch_surf_fsaverage('fsaverage')"


@cache
def side_by_side(surface: str) -> dict[str, NDArray[np.float64]]:
    """Return the coordinates of both hemispheres, moved apart so that none overlap.

    Parameters
    ----------
    surface : str
        A key of `SURFACES`.

    Returns
    -------
    dict of str to array (n_vertices, n_axes)
        Coordinates in mm by hemisphere, the left one on the left, with a gap of `GAP` mm.
    """
    if surface not in SURFACES:
        raise RegressError(f"surface: found {surface!r}, expected one of {', '.join(SURFACES)}")
    apart = {}
    for hemisphere, places in coordinates(surface).items():
        x = places[:, 0]
        edge = x.max() + GAP / 2 if hemisphere == "lh" else x.min() - GAP / 2
        apart[hemisphere] = places[:, : SURFACES[surface]].copy()
        apart[hemisphere][:, 0] -= edge
    return apart


def positions_of(
    subject: Subject, surface: str, hemispheres: NDArray[Any], columns: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return the positions of some vertices.

    Parameters
    ----------
    hemispheres : array of str (n_vertices,)
        "lh" or "rh".
    columns : array of int (n_vertices,)
        Columns of that hemisphere's responses.

    Returns
    -------
    array of float32 (n_vertices, n_axes)
        Coordinates of `side_by_side`, mm.
    """
    coordinates_of = side_by_side(surface)
    positions = np.empty((len(columns), SURFACES[surface]), np.float32)
    n_missing = 0
    for hemisphere in HEMISPHERES:
        rows = np.flatnonzero(hemispheres == hemisphere)
        if len(rows):
            _check_mask(subject, hemisphere)
            vertices = fsaverage_vertices(subject, hemisphere)[columns[rows]]
            on_surface = vertices < len(coordinates_of[hemisphere])
            positions[rows[on_surface]] = coordinates_of[hemisphere][vertices[on_surface]]
            n_missing += int((~on_surface).sum())
            _log_coinciding(subject, hemisphere, surface, vertices, positions[rows])
    if n_missing:
        raise RegressError(
            f"subject {subject.name}: {n_missing} of {len(columns)} vertices have no place on the "
            f"{surface} surface, as only its fsaverage5 vertices are installed: take "
            f'--params.surface sphere, which has all; or run python -c "{DOWNLOAD}" on a machine '
            "with internet, and copy its folder ~/nilearn_data/fsaverage to the same place here"
        )
    return positions


def _log_coinciding(
    subject: Subject,
    hemisphere: str,
    surface: str,
    vertices: NDArray[np.int64],
    places: NDArray[np.float32],
) -> None:
    # A vertex may occur more than once: ROIs overlap.
    first = np.unique(vertices, return_index=True)[1]
    n_coinciding = len(first) - len(np.unique(places[first], axis=0))
    if n_coinciding:
        log.info(
            "subject %s %s: %d of %d vertices lie in cuts of the %s surface; each has the place, "
            "and the weights, of the nearest vertex on it",
            *(subject.name, hemisphere, n_coinciding, len(first), surface),
        )


def _check_mask(subject: Subject, hemisphere: str) -> None:
    file = vertices_file(subject.folder, hemisphere)
    if not file.is_file():
        raise RegressError(
            f"{file}: missing, but it holds the positions of the vertices on fsaverage: unpack the "
            "subject's zip again, or take a model that needs no positions, such as mlp"
        )


@dataclass(frozen=True)
class Frames:
    """The box and grid of each group of vertices.

    Attributes
    ----------
    boxes : Tensor (n_groups, 2, n_axes)
        The corners of each group's box, mm.
    expansions : Tensor (n_groups,)
        Cells of each group's grid per mm.
    places, sharing : Tensor of int (n_groups,)
        The number of distinct positions, and of those that share their cell with another.
    """

    boxes: Tensor
    expansions: Tensor
    places: Tensor
    sharing: Tensor


def frames(places: Tensor, member: Tensor, expansion: float | str) -> Frames:
    """Compute the box and grid of each group of vertices.

    Parameters
    ----------
    places : Tensor (n_vertices, n_axes)
        Coordinates, mm. Vertices of several subjects may have the same position.
    member : Tensor of int (n_vertices,)
        The group of each vertex; numbers from 0, none left out.
    expansion : float or str
        Cells per mm; "auto" for the `least_expansion` of each group.
    """
    boxes, expansions, n_places, sharing = [], [], [], []
    order = torch.argsort(member, stable=True)
    for inside in torch.split(places[order], torch.bincount(member).tolist()):
        distinct = torch.unique(inside, dim=0)
        box = bounding_box(distinct)
        factor = float(least_expansion(distinct) if expansion == "auto" else expansion)
        boxes.append(box)
        expansions.append(factor)
        n_places.append(len(distinct))
        sharing.append(n_sharing(to_grid(distinct, box, factor)))
    numbers = torch.tensor(expansions), torch.tensor(n_places), torch.tensor(sharing)
    return Frames(torch.stack(boxes), *numbers)


def describe(group_frames: Frames) -> str:
    """Describe the grids, and how many positions share a cell, in a line for the user."""
    low, high = float(group_frames.expansions.min()), float(group_frames.expansions.max())
    several = low != high or high > 1
    cells = f"{low:g}{f' to {high:g}' if low != high else ''} cell{'s' * several} a mm"
    sharing, groups = int(group_frames.sharing.sum()), int((group_frames.sharing > 0).sum())
    if not sharing:
        return f"positions: {cells}, each place has a cell of its own"
    return (
        f"positions: {cells}, {sharing} of {int(group_frames.places.sum())} places, in {groups} of "
        f"{len(group_frames.sharing)} groups, share a cell with another and get the same weights"
    )

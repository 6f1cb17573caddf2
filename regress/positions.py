"""Where vertices lie on fsaverage, and in which boxes and grids their groups place them."""

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
from regress.errors import RegressError
from regress.grid import bounding_box, least_expansion, n_sharing, to_grid

# Axes of each surface.
SURFACES = {"sphere": 3, "inflated": 3, "pial": 3, "white": 3, "flat": 2}
# mm between the two hemispheres, side by side.
GAP = 10.0

DOWNLOAD = "from nilearn.datasets import fetch_surf_fsaverage; fetch_surf_fsaverage('fsaverage')"


@cache
def side_by_side(surface: str) -> dict[str, NDArray[np.float64]]:
    """Give the vertices of both hemispheres, the left one on the left, so that none coincide.

    Parameters
    ----------
    surface : str
        A key of `SURFACES`. The two spheres, for one, have the same centre.

    Returns
    -------
    dict of str to array (n_vertices, n_axes)
        mm; between the hemispheres, as a whole, are `GAP` mm.

    Raises
    ------
    RegressError
        If there is no such surface.
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
    """Find where some columns of the responses lie.

    Parameters
    ----------
    subject : Subject
        Whose.
    surface : str
        A key of `SURFACES`.
    hemispheres : array of str (n_vertices,)
        "lh" or "rh".
    columns : array of int (n_vertices,)
        The columns of that hemisphere's responses.

    Returns
    -------
    array of float32 (n_vertices, n_axes)
        mm, from `side_by_side`.

    Raises
    ------
    RegressError
        If the subject has no mask of its vertices on fsaverage, or some have no coordinates; the
        message says how many, and how to get them.
    """
    known = side_by_side(surface)
    found = np.empty((len(columns), SURFACES[surface]), np.float32)
    lacking = 0
    for hemisphere in HEMISPHERES:
        here = np.flatnonzero(hemispheres == hemisphere)
        if len(here):
            _check_mask(subject, hemisphere)
            vertices = fsaverage_vertices(subject, hemisphere)[columns[here]]
            has = vertices < len(known[hemisphere])
            found[here[has]] = known[hemisphere][vertices[has]]
            lacking += int((~has).sum())
    if lacking:
        raise RegressError(
            f"subject {subject.name}: {lacking} of {len(columns)} vertices have no place on the "
            f"{surface} surface, of which only fsaverage5's are shipped: take --params.surface "
            f'sphere, which has all; or run python -c "{DOWNLOAD}" on a machine with internet, '
            "and copy its folder ~/nilearn_data/fsaverage to the same place here"
        )
    return found


def _check_mask(subject: Subject, hemisphere: str) -> None:
    file = vertices_file(subject.folder, hemisphere)
    if not file.is_file():
        raise RegressError(
            f"{file}: missing, and only it says where on fsaverage the vertices lie: unpack the "
            "subject's zip again; without it take a model that needs no positions, such as mlp"
        )


@dataclass(frozen=True)
class Frames:
    """In which box and with what grid each group's vertices are placed.

    Attributes
    ----------
    boxes : Tensor (n_groups, 2, n_axes)
        The corners of each group's box, mm.
    expansions : Tensor (n_groups,)
        Cells a mm.
    sharing : Tensor of int (n_groups,)
        How many vertices of a group share their cell with another.
    """

    boxes: Tensor
    expansions: Tensor
    sharing: Tensor


def frames(places: Tensor, member: Tensor, expansion: float | str) -> Frames:
    """Find box and grid of each group.

    Parameters
    ----------
    places : Tensor (n_vertices, n_axes)
        Coordinates, mm.
    member : Tensor of int (n_vertices,)
        The group of each vertex; numbers from 0, none left out.
    expansion : float or str
        Cells a mm; "auto" for `least_expansion`, each group its own.

    Returns
    -------
    Frames
        Of all groups.
    """
    boxes, expansions, sharing = [], [], []
    order = torch.argsort(member, stable=True)
    for inside in torch.split(places[order], torch.bincount(member).tolist()):
        box = bounding_box(inside)
        factor = float(least_expansion(inside) if expansion == "auto" else expansion)
        boxes.append(box)
        expansions.append(factor)
        sharing.append(n_sharing(to_grid(inside, box, factor)))
    return Frames(torch.stack(boxes), torch.tensor(expansions), torch.tensor(sharing))


def describe(found: Frames, n_vertices: int) -> str:
    """Say how far vertices are told apart.

    Parameters
    ----------
    found : Frames
        Of all groups.
    n_vertices : int
        Of all groups.

    Returns
    -------
    str
        A line for the log.
    """
    low, high = float(found.expansions.min()), float(found.expansions.max())
    several = low != high or high > 1
    cells = f"{low:g}{f' to {high:g}' if low != high else ''} cell{'s' * several} a mm"
    sharing, groups = int(found.sharing.sum()), int((found.sharing > 0).sum())
    if not sharing:
        return f"positions: {cells}, each vertex has a cell of its own"
    return (
        f"positions: {cells}, {sharing} of {n_vertices} vertices, in {groups} of "
        f"{len(found.sharing)} groups, share a cell with another and get the same weights"
    )

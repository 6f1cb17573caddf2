"""Borders of regions, and positions for their names."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation

from evaluate.maps.camera import RenderedView


def find_borders(
    view: RenderedView, labels: NDArray[np.float64]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Find the pixels at the borders of regions.

    Parameters
    ----------
    labels : array (n_mesh_vertices,)
        A label for each vertex, 0 outside all regions.

    Returns
    -------
    halo, line : array (height, width), bool
        The dark rim, and the line within it.
    """
    on_page = np.where(view.vertex >= 0, labels[view.vertex], 0)
    line = np.zeros(on_page.shape, bool)
    line[:, 1:] |= on_page[:, 1:] != on_page[:, :-1]
    line[1:] |= on_page[1:] != on_page[:-1]
    if view.view == "flat":
        line = binary_dilation(line)
    brain = view.vertex >= 0
    return binary_dilation(line) & brain, line & brain


def place_names(
    view: RenderedView, labels: NDArray[np.float64], names: Sequence[str], height: float = 24
) -> dict[str, tuple[float, float]]:
    """Return positions for the names of regions, such that no two overlap.

    Parameters
    ----------
    labels : array (n_mesh_vertices,)
        A label for each vertex, 0 outside all regions.
    height : float
        Height of a letter in pixels; regions of fewer pixels than its square get no name.

    Returns
    -------
    dict of str to (float, float)
        For each name, the column and row of its centre: that of the region's pixel nearest to the
        region's centre, moved down if another name is there.
    """
    on_page = np.where(view.vertex >= 0, labels[view.vertex], 0).astype(int)
    places: dict[str, tuple[float, float]] = {}
    for label, name in enumerate(names, start=1):
        rows, columns = np.nonzero(on_page == label)
        if len(rows) < height**2:
            continue
        nearest = ((rows - rows.mean()) ** 2 + (columns - columns.mean()) ** 2).argmin()
        x, y = float(columns[nearest]), float(rows[nearest])
        while any(
            abs(y - placed_y) < height
            and abs(x - placed_x) < 0.3 * height * (len(name) + len(placed_name))
            for placed_name, (placed_x, placed_y) in places.items()
        ):
            y += height / 4
        places[name] = (x, y)
    return places

"""Borders of regions, and positions for their names."""

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import binary_dilation

from evaluate.arrays import Floats, Mask
from evaluate.maps.camera import RenderedView


def find_borders(view: RenderedView, labels: Floats) -> tuple[Mask, Mask]:
    """Return the pixels of the dark rim, and of the line within it, at the borders of regions.

    `labels` has a label for each vertex of the mesh, 0 outside all regions.
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
    view: RenderedView, labels: Floats, names: Sequence[str], height: float = 24
) -> dict[str, tuple[float, float]]:
    """Return the column and row of each region's name, such that no two names overlap.

    A name is centred at the region's pixel nearest to the region's centre, and moved down if
    another name is there. Regions of fewer pixels than the square of a letter's `height` get none.
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

"""Where a vertex of a group lies, as a network takes it: from coordinates to sinusoids.

Step by step, for the vertices of a group, such as an ROI: their coordinates; the box around them;
an integer grid in the box, of cells 1 mm wide; an expanded grid, with so many cells a mm that
vertices no longer share one; the origin moved to the box's centre; sinusoids along each axis.
`python -m regress.show_positions` draws the steps.

References
----------
Vaswani et al. (2017). Attention is all you need. NeurIPS, section 3.5: the sinusoids.
Riccardo Chimisso et al. (2023). Exploration and comparison of deep learning architectures to
predict brain response to realistic pictures. arXiv:2309.09983: positions as an input.
"""

import torch
from torch import Tensor

# The most cells a mm that `least_expansion` tries: vertices 0.06 mm apart are then told apart.
MAX_EXPANSION = 16
# The longest wave is so many times the shortest, which is 2 pi cells. A transformer has 10,000, for
# its sentences; waves of more than 600 cells are the same all over an ROI.
LONGEST = 100.0


def bounding_box(places: Tensor) -> Tensor:
    """Find the box around some vertices."""
    return torch.stack([places.min(0).values, places.max(0).values])


def to_grid(places: Tensor, box: Tensor, expansion: float | Tensor = 1) -> Tensor:
    """Put vertices into the cells of a grid that begins at the box's lowest corner.

    Returns
    -------
    Tensor (n_vertices, n_axes)
        Whole numbers, from 0 for a vertex in the lowest corner.
    """
    return ((places - box[0]) * expansion).round()


def centred(cells: Tensor, box: Tensor, expansion: float | Tensor = 1) -> Tensor:
    """Move the origin to the centre of the box.

    Returns
    -------
    Tensor (n_vertices, n_axes)
        Whole numbers, or halves along an axis with an even number of cells.
    """
    return cells - to_grid(box[1:], box, expansion) / 2


def sinusoids(centred: Tensor, frequencies: int) -> Tensor:
    """Give the sines and cosines of a place, as a transformer has them of a word's.

    Returns
    -------
    Tensor (n_vertices, 2 * n_axes * frequencies)
        For each axis the sines, from the shortest wave to the longest, and then the cosines.

    References
    ----------
    Vaswani et al. (2017), section 3.5, with 2 * frequencies in the place of the model's width, and
    `LONGEST` in that of 10,000.
    """
    number = torch.arange(frequencies, device=centred.device)
    angles = centred[..., None] * LONGEST ** (-number / frequencies)
    return torch.cat([angles.sin(), angles.cos()], dim=-1).flatten(1)


def n_sharing(cells: Tensor) -> int:
    """Count the vertices that share their cell with another: no place tells them apart.

    Returns
    -------
    int
        0 where each vertex has a cell of its own.
    """
    count = torch.unique(cells, dim=0, return_counts=True)[1]
    return int(count[count > 1].sum())


def least_expansion(places: Tensor) -> int:
    """Find how many cells a mm keep vertices apart.

    Returns
    -------
    int
        The fewest, up to `MOST`, with which no two share a cell; where there are none, the fewest
        of those with which the fewest share one.
    """
    box, best, fewest = bounding_box(places), 1, len(places) + 1
    for expansion in range(1, MAX_EXPANSION + 1):
        sharing = n_sharing(to_grid(places, box, expansion))
        if sharing < fewest:
            best, fewest = expansion, sharing
        if not sharing:
            break
    return best

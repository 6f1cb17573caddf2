"""Positional encoding of vertices: from coordinates to sinusoids.

The steps for the vertices of a group, such as an ROI: their coordinates; the box around them; an
integer grid in the box, with cells 1 mm wide; an expanded grid, with enough cells per mm that no
vertices share one; the origin moved to the box's centre; sinusoids along each axis.
`python -m regress.show_positions` draws the steps.

References
----------
Vaswani et al. (2017). Attention is all you need. NeurIPS, section 3.5: the sinusoids.
Riccardo Chimisso et al. (2023). Exploration and comparison of deep learning architectures to
predict brain response to realistic pictures. arXiv:2309.09983: positions as an input.
"""

import torch
from torch import Tensor

# Largest expansion that `least_expansion` tries, cells per mm: it separates vertices 0.06 mm apart.
MAX_EXPANSION = 16
# Ratio of the longest wave to the shortest, which is 2 pi cells long. Transformers take 10,000, for
# long sentences; waves of more than 600 cells would be constant over an ROI.
LONGEST = 100.0


def bounding_box(places: Tensor) -> Tensor:
    """Return the box (2, n_axes) around vertices: its lowest and highest corner."""
    return torch.stack([places.min(0).values, places.max(0).values])


def to_grid(places: Tensor, box: Tensor, expansion: float | Tensor = 1) -> Tensor:
    """Round vertices (n_vertices, n_axes) to cells of a grid, numbered from the lowest corner."""
    return ((places - box[0]) * expansion).round()


def centred(cells: Tensor, box: Tensor, expansion: float | Tensor = 1) -> Tensor:
    """Move the origin to the centre of the box, which may lie half-way between two cells."""
    return cells - to_grid(box[1:], box, expansion) / 2


def sinusoids(centred: Tensor, frequencies: int) -> Tensor:
    """Compute the sinusoidal encoding of positions.

    Returns
    -------
    Tensor (n_vertices, 2 * n_axes * frequencies)
        For each axis the sines, from the shortest wave to the longest, then the cosines.

    References
    ----------
    Vaswani et al. (2017), section 3.5, with 2 * frequencies for the model's width, and `LONGEST`
    for 10,000.
    """
    number = torch.arange(frequencies, device=centred.device)
    angles = centred[..., None] * LONGEST ** (-number / frequencies)
    return torch.cat([angles.sin(), angles.cos()], dim=-1).flatten(1)


def n_sharing(cells: Tensor) -> int:
    """Count the vertices that share their cell with another."""
    count = torch.unique(cells, dim=0, return_counts=True)[1]
    return int(count[count > 1].sum())


def least_expansion(places: Tensor) -> int:
    """Return the fewest cells per mm, up to `MAX_EXPANSION`, with which the fewest share a cell."""
    box, best, fewest = bounding_box(places), 1, len(places) + 1
    for expansion in range(1, MAX_EXPANSION + 1):
        sharing = n_sharing(to_grid(places, box, expansion))
        if sharing < fewest:
            best, fewest = expansion, sharing
        if not sharing:
            break
    return best

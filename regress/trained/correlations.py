"""Losses that correlate: over the pictures of a batch, or over the vertices of a group.

What is written out, and why, stands with the other losses.
"""

import torch
from torch import Tensor

# Predictions of less than this share of the responses' spread have the gradient of r that they
# would have at this spread: that of constant ones, with which a training begins, is infinite.
LEAST_SPREAD = 0.1
# The same for predictions that spread less than this, in units of a session's standard deviation:
# of a vertex that hardly varies, r would else have a gradient that drowns all others.
EPSILON = 0.05
# r over two pictures is 1 or -1 whatever is predicted, and has no gradient; over a few it is noise.
LEAST_PICTURES = 8
# The same of r over vertices: a group of fewer has no pattern.
LEAST_VERTICES = 3


def pearson(predicted: Tensor, measured: Tensor) -> tuple[Tensor, Tensor]:
    """Give 1 - r, with Pearson's r over the pictures of the batch.

    Parameters
    ----------
    predicted, measured : Tensor (n_images, n_vertices)
        Responses.

    Returns
    -------
    values : Tensor (n_vertices,)
        1 where either is constant.
    gradient : Tensor (n_images, n_vertices)
        Of the sum of the values; where predictions spread less than a tenth as far as the
        responses, or than `EPSILON`, as it would be if they spread so far. 0 where the responses
        are constant.
    """
    p, p_norm = _about_mean(predicted)
    m, m_norm = _about_mean(measured)
    p_inverse, m_inverse = (torch.where(norm > 0, 1 / norm, 0) for norm in (p_norm, m_norm))
    r = dots(p, m).mul_(p_inverse).mul_(m_inverse)
    least = (LEAST_SPREAD * m_norm).clamp_min_(EPSILON * len(predicted) ** 0.5)
    scale = torch.where(m_norm > 0, 1 / torch.maximum(p_norm, least), 0)
    return 1 - r, p.mul_(scale * r * p_inverse).addcmul_(m, -scale * m_inverse)


def _about_mean(array: Tensor) -> tuple[Tensor, Tensor]:
    """Subtract the mean of each column; give also the norm, 0 where only rounding is left."""
    mean = _sums(array).div_(len(array))
    about = array - mean
    norm = dots(about, about).sqrt_()
    rounding = 4 * torch.finfo(array.dtype).eps * len(array) ** 0.5 * mean.abs()
    return about, norm.masked_fill_(norm <= rounding, 0)


def _sums(array: Tensor) -> Tensor:
    """Add up each column: as a product, which takes half as long as torch's own sum."""
    return torch.mm(array.new_ones(1, len(array)), array)[0]


def dots(first: Tensor, second: Tensor) -> Tensor:
    """Multiply column by column; torch's own norms and dots of columns take twice as long.

    Parameters
    ----------
    first, second : Tensor (n, n_columns)
        Of the same shape.

    Returns
    -------
    Tensor (n_columns,)
        The sum of the products of each column.
    """
    return _sums(first * second)


def pattern(predicted: Tensor, measured: Tensor) -> tuple[Tensor, Tensor]:
    """Give 1 - r, with Pearson's r over the vertices of a group, for each picture.

    Parameters
    ----------
    predicted, measured : Tensor (n_images, n_vertices)
        Responses of one group.

    Returns
    -------
    values : Tensor (n_vertices,)
        The mean over pictures, the same for all vertices; 1 where there are fewer than
        `LEAST_VERTICES`.
    gradient : Tensor (n_images, n_vertices)
        Of the sum of the values.
    """
    if predicted.shape[1] < LEAST_VERTICES:
        return torch.ones_like(predicted[0]), torch.zeros_like(predicted)
    each, slope = pearson(predicted.T, measured.T)
    n_vertices = predicted.shape[1]
    return each.mean().repeat(n_vertices), slope.T.mul_(n_vertices / len(each))

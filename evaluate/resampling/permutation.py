"""Which vertices are predicted at all: pictures shuffled against responses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import false_discovery_control

from evaluate.errors import EvaluateError
from evaluate.resampling.draws import standardised
from evaluate.resampling.threads import in_blocks

# A block of 159 x 512 in float32 is 0.3 MB: it stays in a core's cache while it is shuffled.
VERTICES = 512
# Two values of r this close are the same but for rounding in float32.
SAME = 1e-6


@dataclass(frozen=True)
class Permuted:
    """What shuffling gave for some vertices.

    Attributes
    ----------
    r : array (n_vertices,), float32
        Pearson's r as observed; 0 where either column is constant.
    as_great : array (n_vertices,), int64
        In how many permutations r was at least that.
    greatest : array (n_permutations,), float32
        The greatest r over the vertices in each.
    """

    r: NDArray[np.float32]
    as_great: NDArray[np.int64]
    greatest: NDArray[np.float32]


@dataclass(frozen=True)
class Significance:
    """One-sided p values of r > 0.

    Attributes
    ----------
    p : array (n_vertices,), float64
        Of each vertex alone.
    q : array (n_vertices,), float64
        After false-discovery control over all of them.
    p_max : array (n_vertices,), float64
        Against the greatest r of all of them (family-wise).
    """

    p: NDArray[np.float64]
    q: NDArray[np.float64]
    p_max: NDArray[np.float64]


def orders(pictures: NDArray[Any], n_permutations: int, seed: int = 0) -> NDArray[np.int64]:
    """Draw permutations of pictures.

    Parameters
    ----------
    pictures : array (n_images,), bytes
        What names each row's picture. Rows of one picture move together, to the rows of a picture
        that has as many.
    n_permutations : int
        How many.
    seed : int
        Draws them.

    Returns
    -------
    array (n_permutations, n_images), int64
        For each row, the row that takes its place.
    """
    rng = np.random.default_rng([seed, len(pictures)])
    _, place, counts = np.unique(np.asarray(pictures), return_inverse=True, return_counts=True)
    drawn = np.tile(np.arange(len(place)), (n_permutations, 1))
    by_picture = np.argsort(place, kind="stable")
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    for size in np.unique(counts):
        # (n_pictures of this size, size): the rows of each
        rows = by_picture[starts[counts == size, None] + np.arange(size)]
        shuffled = rng.permuted(np.tile(np.arange(len(rows)), (n_permutations, 1)), axis=1)
        drawn[:, rows.ravel()] = rows[shuffled].reshape(n_permutations, -1)
    return drawn


def permute(measured: NDArray[Any], predicted: NDArray[Any], drawn: NDArray[np.int64]) -> Permuted:
    """Correlate responses with the predictions of shuffled pictures.

    Parameters
    ----------
    measured : array (n_images, n_vertices)
        Responses.
    predicted : array (n_images, n_vertices)
        Predictions.
    drawn : array (n_permutations, n_images), int64
        From `orders`.

    Returns
    -------
    Permuted
        Counts and greatest values.
    """

    def count(block: slice) -> Permuted:
        y, p = standardised(measured[:, block]), standardised(predicted[:, block])
        y /= len(y)
        r = np.einsum("iv,iv->v", y, p)
        as_great = np.zeros(len(r), np.int64)
        greatest = np.empty(len(drawn), np.float32)
        shuffled = np.empty_like(p)
        for number, order in enumerate(drawn):
            np.take(p, order, axis=0, out=shuffled, mode="clip")
            again = np.einsum("iv,iv->v", y, shuffled)
            as_great += again >= r - SAME
            greatest[number] = again.max()
        return Permuted(r, as_great, greatest)

    if not measured.shape[1]:
        empty = np.full(len(drawn), -np.inf, np.float32)
        return Permuted(np.zeros(0, np.float32), np.zeros(0, np.int64), empty)
    blocks = list(in_blocks(count, measured.shape[1], VERTICES))
    return Permuted(
        np.concatenate([block.r for block in blocks]),
        np.concatenate([block.as_great for block in blocks]),
        np.max([block.greatest for block in blocks], axis=0),
    )


def significance(parts: Sequence[Permuted]) -> list[Significance]:
    """Turn counts into p values, corrected over all parts together.

    Parameters
    ----------
    parts : sequence of Permuted
        Such as the hemispheres of a subject, shuffled alike.

    Returns
    -------
    list of Significance
        Of each part. The observed order counts as one of the permutations [1]_, so that no p is
        0; q as Benjamini and Hochberg's [2]_, p_max by the greatest r over all parts [3]_.

    Raises
    ------
    EvaluateError
        If the parts were not shuffled equally often.

    References
    ----------
    .. [1] Phipson and Smyth (2010), "Permutation P-values should never be zero", Statistical
       Applications in Genetics and Molecular Biology 9 (1).
    .. [2] Benjamini and Hochberg (1995), "Controlling the false discovery rate", Journal of the
       Royal Statistical Society B 57 (1).
    .. [3] Nichols and Holmes (2002), "Nonparametric permutation tests for functional
       neuroimaging", Human Brain Mapping 15 (1).
    """
    if len({len(part.greatest) for part in parts}) > 1:
        counts = ", ".join(str(len(part.greatest)) for part in parts)
        raise EvaluateError(
            f"parts were permuted {counts} times: the greatest r over all needs the same orders"
        )
    n = len(parts[0].greatest)
    greatest = np.sort(np.max([part.greatest for part in parts], axis=0))
    p = [(1 + part.as_great) / (1 + n) for part in parts]
    q = false_discovery_control(np.concatenate(p)) if sum(map(len, p)) else np.zeros(0)
    split = np.split(q, np.cumsum([len(one) for one in p])[:-1])
    return [
        Significance(
            one, of, (1 + n - np.searchsorted(greatest, part.r - SAME, side="left")) / (1 + n)
        )
        for part, one, of in zip(parts, p, split, strict=True)
    ]

"""Permutation tests of r > 0 at each vertex: pictures are shuffled against responses."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import false_discovery_control

from evaluate.arrays import Array, Floats, Indices, Singles
from evaluate.errors import EvaluateError
from evaluate.resampling.standardise import standardise
from evaluate.resampling.threads import map_blocks

# Numbers in the columns of a block of vertices: in 32 orders they are 1 MB in float32.
NUMBERS = 2**13
# Values of r that differ by less are equal except for rounding in float32.
SAME = 1e-6


@dataclass(frozen=True)
class PermutationCounts:
    """Correlations of some vertices compared with those of permuted pictures."""

    r: Singles  # (n_vertices,): observed Pearson's r; 0 where either column is constant
    as_great: Indices  # (n_vertices,): number of permutations with r at least as great
    # (n_permutations,): the greatest r over the vertices in each permutation.
    greatest: Singles


@dataclass(frozen=True)
class Significance:
    """One-sided p values of r > 0."""

    p: Floats  # (n_vertices,): uncorrected p of each vertex
    q: Floats  # (n_vertices,): p after false-discovery control over all vertices
    # (n_vertices,): p against the greatest r over all vertices (family-wise).
    p_max: Floats


def draw_orders(pictures: Array, n_permutations: int, seed: int = 0) -> Indices:
    """Draw permutations of pictures, as all pairs of an order of responses and one of predictions.

    Each pair shuffles responses against predictions. Any two of these permutations are independent,
    as if each had been drawn on its own, but all correlations of a vertex are one product of small
    matrices. The first order of both is that of the data. If predictions are unrelated to
    responses, this pair is as likely as any other to have the greatest r, since the orders s, t and
    s', t' of two pairs can be relabelled into one another: the test is exact, as with permutations
    that are drawn one by one [1]_.

    `pictures` (n_images,): the name of each row's picture. Rows of one picture move together, to
    the rows of a picture with as many rows. `n_permutations`: the least number of permutations;
    with the order of the data, the next square is drawn. `seed`: seed of the generator. Returns (2,
    n_orders, n_images): row indices of each order, first of the responses, then of the predictions.

    References
    ----------
    .. [1] Hemerik and Goeman (2018), "Exact testing with random permutations", TEST 27 (4).
    """
    rng = np.random.default_rng([seed, len(pictures)])
    n_orders = int(np.ceil(np.sqrt(n_permutations + 1)))
    _, place, counts = np.unique(np.asarray(pictures), return_inverse=True, return_counts=True)
    rows_by_order = np.tile(np.arange(len(place)), (2, n_orders, 1))
    by_picture = np.argsort(place, kind="stable")
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    for size in np.unique(counts):
        # (n_pictures with this many rows, size): the rows of each picture
        rows = by_picture[starts[counts == size, None] + np.arange(size)]
        shuffled = np.tile(np.arange(len(rows)), (2, n_orders - 1, 1))
        shuffled = rng.permuted(shuffled, axis=2)
        rows_by_order[:, 1:, rows.ravel()] = rows[shuffled].reshape(2, n_orders - 1, -1)
    return rows_by_order


def permute(
    measured: Array, predictions: Sequence[Array], orders: Indices
) -> list[PermutationCounts]:
    """Correlate responses with the predictions of pictures shuffled in `orders`, all at once."""

    def count(block: slice) -> list[PermutationCounts]:
        y = _in_orders(measured[:, block], orders[0])
        y /= y.shape[2]
        return [_count(y @ _in_orders(p[:, block], orders[1]).transpose(0, 2, 1))
                for p in predictions]  # fmt: skip

    n_images, n_vertices = measured.shape
    if not n_vertices:
        none = np.full(orders.shape[1] ** 2 - 1, -np.inf, np.float32)
        empty = PermutationCounts(np.zeros(0, np.float32), np.zeros(0, np.int64), none)
        return [empty] * len(predictions)
    blocks = list(map_blocks(count, n_vertices, block_size(n_images, n_vertices)))
    return [_join(parts) for parts in zip(*blocks, strict=True)]


def _join(parts: Sequence[PermutationCounts]) -> PermutationCounts:
    """Join the counts of blocks of vertices."""
    return PermutationCounts(
        np.concatenate([part.r for part in parts]),
        np.concatenate([part.as_great for part in parts]),
        np.max([part.greatest for part in parts], axis=0),
    )


def block_size(n_images: int, n_vertices: int) -> int:
    """Return the number of vertices that are shuffled at once."""
    return max(1, min(n_vertices, max(NUMBERS // n_images, 8)))


def _in_orders(values: Array, orders: Indices) -> Singles:
    """Standardise columns and return them in several orders: (n_vertices, n_orders, n_images)."""
    columns = np.ascontiguousarray(standardise(values).T)
    return np.take(columns, orders, axis=1, mode="clip")


def _count(table: Singles) -> PermutationCounts:
    """Compare r of the data, the first entry of each vertex's table, with all other entries."""
    all_r = table.reshape(len(table), -1)
    r = all_r[:, 0].copy()
    as_great = np.count_nonzero(all_r >= r[:, None] - SAME, axis=1) - 1
    return PermutationCounts(r, as_great, all_r[:, 1:].max(axis=0))


def significance(parts: Sequence[PermutationCounts]) -> list[Significance]:
    """Compute p values from counts, corrected over all parts together.

    `parts`: counts of each part, such as the hemispheres of a subject, shuffled in the same orders.
    The observed order counts as one of the permutations [1]_, so
    that no p is 0; q is Benjamini and Hochberg's [2]_, p_max uses the greatest r over all parts
    [3]_.

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
    split = np.split(q, np.cumsum([*map(len, p)])[:-1])
    return [
        Significance(
            part_p,
            part_q,
            (1 + n - np.searchsorted(greatest, part.r - SAME, side="left")) / (1 + n),
        )
        for part, part_p, part_q in zip(parts, p, split, strict=True)
    ]

"""A test of two predictions of the same responses, by swapping them at random pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock

import numpy as np

from challenge import has_ceiling
from evaluate.arrays import Array, Floats, Indices, Singles
from evaluate.resampling.standardise import inverse_deviation, standardise
from evaluate.resampling.threads import map_blocks

# Columns in a block: with 2000 swaps, its arrays have 1 MB each.
COLUMNS = 128
# Differences per vertex that are closer than this are equal except for rounding in float32.
SAME = 1e-6


@dataclass(frozen=True)
class Swaps:
    """Score differences, second less first, under random swaps of two predictions."""

    n_vertices: int  # vertices that count
    # (1 + n_swaps,): sums over vertices of the difference in r, without swaps and for each set of
    # swaps.
    r: Floats
    # (1 + n_swaps,): the same for the official score as a share 0..1; NaN without ceilings.
    score: Floats

    def __add__(self, swaps: Swaps) -> Swaps:
        return Swaps(self.n_vertices + swaps.n_vertices, self.r + swaps.r, self.score + swaps.score)

    def p(self, statistic: str = "score") -> float | None:
        """Compute the two-sided p of no difference in "score" or "r"; None without a value."""
        values = np.abs(getattr(self, statistic))
        if not self.n_vertices or np.isnan(values).any():
            return None
        return float(np.mean(values >= values[0] - SAME * self.n_vertices))


def draw_swap_signs(pictures: Array, n_swaps: int, seed: int = 0) -> Singles:
    """Draw the pictures at which two predictions are swapped.

    `pictures` (n_images,): the name of each row's picture (the sha256 of its file). Rows of one
    picture are swapped together. `n_swaps`: the number of sets of swaps. `seed`: seed. A picture's
    swaps depend on the seed and on its name alone, and are the same in all hemispheres and
    subjects. Returns (1 + n_swaps, n_images): -1 where the predictions are swapped, else 1; the
    first line has no swaps.
    """
    names, picture_index = np.unique(np.asarray(pictures), return_inverse=True)
    signs = np.ones((1 + n_swaps, len(names)), np.float32)
    for column, name in enumerate(names):
        # The 1 keeps these draws apart from those of the picture's weights.
        rng = np.random.default_rng([seed, int.from_bytes(name, "big"), 1])
        signs[1:, column] -= 2 * rng.integers(0, 2, n_swaps, np.uint8)
    return signs[:, picture_index]


def swap(
    measured: Array,
    predictions: tuple[Array, Array],
    ceiling: Array | None,
    signs: Singles,
    parts: Sequence[Indices] | None = None,
) -> list[Swaps]:
    """Compute the score differences of two predictions when they are swapped at some pictures.

    Under the null hypothesis the two predictions are exchangeable: swapping them at any pictures,
    for all vertices of a picture at once, gives data as likely as the observed, and the test is
    exact [1]_. Predictions are standardised first, vertex by vertex, as neither r nor the score
    depends on their mean or scale. The hypothesis is that the predictions do not differ at any
    vertex, which is stronger than equal mean scores: two models of equal means, each of which was
    better at half of 20 vertices (true r 0.6 and 0.3; 0.6 and 0), were called different in 2 to 12
    of 100 simulations. `make calibrate` shows that correlated errors matter little.

    `measured` (n_images, n_columns): responses. `predictions` (n_images, n_columns): the first and
    the second prediction. `ceiling` (n_columns,), optional: noise ceilings as fractions 0..1.
    Columns of ceiling 0 count in no sum. `signs` (1 + n_swaps, n_images): the result of
    `draw_swap_signs`. `parts`: the columns of each part, such as a ROI; parts may overlap. One part
    of all by default. Returns differences of each part.

    References
    ----------
    .. [1] Edgington and Onghena (2007), "Randomization Tests", 4th edition, chapter 5: paired data.
    """
    n_columns = measured.shape[1]
    parts = [np.arange(n_columns)] if parts is None else parts
    counted = np.ones(n_columns, bool) if ceiling is None else has_ceiling(ceiling)
    inverse = np.zeros(n_columns) if ceiling is None else 1 / np.where(counted, ceiling, 1)
    member = np.zeros((len(parts), n_columns), np.float32)
    for number, part in enumerate(parts):
        member[number, part] = counted[part]
    sums = np.zeros((2, len(parts), len(signs)))
    adding = Lock()

    def add(block: slice) -> None:
        pair = (predictions[0][:, block], predictions[1][:, block])
        first, second = _swapped(measured[:, block], pair, signs)
        block_inverse = inverse[block, None].astype(np.float32)
        r = member[:, block] @ (second - first)
        score = member[:, block] @ (_score(second, block_inverse) - _score(first, block_inverse))
        with adding:
            sums[0] += r
            sums[1] += score

    for _ in map_blocks(add, n_columns, COLUMNS):
        pass
    if ceiling is None:
        sums[1] = np.nan
    return [
        Swaps(int(counted[part].sum()), r, score)
        for part, r, score in zip(parts, *sums, strict=True)
    ]


def _swapped(
    measured: Array, predictions: tuple[Array, Array], signs: Singles
) -> tuple[Singles, Singles]:
    """Correlate both predictions with the responses, for each line: (n_columns, n_lines)."""
    y = standardise(measured)
    p, q = map(standardise, predictions)
    # With signs s, the first prediction is centre + s * half, and the second centre - s * half.
    centre, half = np.float32(0.5) * (p + q), np.float32(0.5) * (p - q)
    share = signs.T / np.float32(len(y))
    mean, cross, product = (values.T @ share for values in (half, 2 * centre * half, y * half))
    square = np.mean(centre * centre + half * half, axis=0)[:, None]
    common = np.mean(y * centre, axis=0)[:, None]
    first = (common + product) * inverse_deviation(square + cross, mean)
    second = (common - product) * inverse_deviation(square - cross, mean)
    return first, second


def _score(r: Singles, inverse: Singles) -> Singles:
    positive = np.maximum(r, 0)
    return np.minimum(positive * positive * inverse, 1)

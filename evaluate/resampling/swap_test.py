"""Two predictions of the same responses, swapped picture by picture: is one better at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from challenge import has_ceiling
from evaluate.resampling.standardise import inverse_deviation, standardise
from evaluate.resampling.threads import map_blocks

# Columns in a block: with 2000 swaps, some arrays of 1 MB each.
COLUMNS = 128
# Differences per vertex this close are the same but for rounding in float32.
SAME = 1e-6


@dataclass(frozen=True)
class Swaps:
    """What the second of two predictions scores more than the first, over some vertices.

    Attributes
    ----------
    n_vertices : int
        Vertices that count.
    r : array (1 + n_swaps,), float64
        Sums of the difference in r: as the predictions are, then with those of some pictures
        swapped.
    score : array (1 + n_swaps,), float64
        Of the difference in the official score, as a share 0..1; NaN without ceilings.
    """

    n_vertices: int
    r: NDArray[np.float64]
    score: NDArray[np.float64]

    def __add__(self, swaps: Swaps) -> Swaps:
        return Swaps(self.n_vertices + swaps.n_vertices, self.r + swaps.r, self.score + swaps.score)

    def p(self, statistic: str = "score") -> float | None:
        """Give the two-sided p of no difference.

        Parameters
        ----------
        statistic : str
            "score" or "r".

        Returns
        -------
        float or None
            The share of swaps, the predictions as they are among them, with as great a difference;
            None where it has no value.
        """
        values = np.abs(getattr(self, statistic))
        if not self.n_vertices or np.isnan(values).any():
            return None
        return float(np.mean(values >= values[0] - SAME * self.n_vertices))


def draw_swap_signs(pictures: NDArray[Any], n_swaps: int, seed: int = 0) -> NDArray[np.float32]:
    """Draw for which pictures two predictions change places.

    Parameters
    ----------
    pictures : array (n_images,), bytes
        What names each row's picture (the sha256 of its file). Rows of one picture go together.
    n_swaps : int
        How many times.
    seed : int
        With a picture's name, it decides for that picture, whatever other pictures there are: in
        all hemispheres and subjects alike.

    Returns
    -------
    array (1 + n_swaps, n_images), float32
        -1 where they are swapped, else 1; the first line is of 1.
    """
    names, picture_index = np.unique(np.asarray(pictures), return_inverse=True)
    signs = np.ones((1 + n_swaps, len(names)), np.float32)
    for column, name in enumerate(names):
        # Not the draws that give the picture its weights.
        rng = np.random.default_rng([seed, int.from_bytes(name, "big"), 1])
        signs[1:, column] -= 2 * rng.integers(0, 2, n_swaps, np.uint8)
    return signs[:, picture_index]


def swap(
    measured: NDArray[Any],
    predictions: tuple[NDArray[Any], NDArray[Any]],
    ceiling: NDArray[Any] | None,
    signs: NDArray[np.float32],
    parts: Sequence[NDArray[np.int64]] | None = None,
) -> list[Swaps]:
    """Compare two predictions with what they would score, had some pictures theirs swapped.

    If neither prediction is better than the other, it could as well be the other's: swapping the
    two at any pictures, for all vertices of a picture at once, gives data as likely as these, and
    the test is exact [1]_. Predictions are standardised first, vertex by vertex, as neither r nor
    the score knows their mean or scale. What is tested is that no vertex tells them apart, which is
    more than that their mean scores are equal: two models of equal means, each of which was the
    better at half of 20 vertices (true r 0.6 and 0.3; 0.6 and 0), were called different in 2 to 12
    of 100 simulations. `make calibrate` shows how little it matters whether errors are alike.

    Parameters
    ----------
    measured : array (n_images, n_columns)
        Responses.
    predictions : (array (n_images, n_columns), array (n_images, n_columns))
        The first and the second.
    ceiling : array (n_columns,), optional
        Noise ceilings as fractions 0..1; where one is 0, the column counts in no sum.
    signs : array (1 + n_swaps, n_images), float32
        From `swap_signs`.
    parts : sequence of array of int64, optional
        The columns of each part, such as an ROI; they may overlap. One part of all by default.

    Returns
    -------
    list of Swaps
        Of each part.

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
    measured: NDArray[Any],
    predictions: tuple[NDArray[Any], NDArray[Any]],
    signs: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Correlate both with the responses, for each line of signs: (n_columns, n_lines)."""
    y = standardise(measured)
    first_columns, second_columns = map(standardise, predictions)
    # With s for the signs, the first is half + s * way, and the second half - s * way.
    half_sum, half_difference = (
        np.float32(0.5) * (first_columns + second_columns),
        np.float32(0.5) * (first_columns - second_columns),
    )
    share = signs.T / np.float32(len(y))
    mean, cross, product = (
        values.T @ share
        for values in (half_difference, 2 * half_sum * half_difference, y * half_difference)
    )
    square = np.mean(half_sum * half_sum + half_difference * half_difference, axis=0)[:, None]
    common = np.mean(y * half_sum, axis=0)[:, None]
    first = (common + product) * inverse_deviation(square + cross, mean)
    second = (common - product) * inverse_deviation(square - cross, mean)
    return first, second


def _score(r: NDArray[np.float32], inverse: NDArray[np.float32]) -> NDArray[np.float32]:
    positive = np.maximum(r, 0)
    return np.minimum(positive * positive * inverse, 1)

"""Sums over vertices in every resample, so that draws of parts add up to draws of the whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluate.correlation import correlation
from evaluate.resampling.threads import in_blocks
from evaluate.resampling.weights import Weights

# Blocks that stay in a core's cache: 256 resamples of 512 vertices in float32 are 0.5 MB.
RESAMPLES, VERTICES = 256, 512
# Below this variance, of columns of variance 1, a resample holds one value only.
CONSTANT = 1e-6

OBSERVED = ("r", "score", "ratio", "weight", "square")
DRAWN = ("r", "score", "ratio", "score_null", "ratio_null", "error")
LEFT_OUT = ("r", "score", "ratio")


@dataclass(frozen=True)
class Draws:
    """What some vertices sum to, as observed, in each resample, and without each picture.

    Sums are of r; of the official score as a share 0..1 (NaN without ceilings); of the `ratio`
    r^2 / ceiling; of the `weight` 1 / ceiling and the `square` r^2. Of a resample, too, score and
    ratio of the errors r* - r alone (`_null`: as if all true r were 0), and the `error`
    (r* - r) / ceiling.

    Attributes
    ----------
    n_vertices : int
        Vertices that count.
    n_pictures : int
        Different pictures; the fewest of what was added.
    observed : array (5,), float64
        The sums named in `OBSERVED`.
    drawn : array (n_resamples, 6), float64
        Those named in `DRAWN`.
    pictures : array (n_pictures,), bytes
        The pictures that were left out, in order.
    left_out : array (n_pictures, 3), float64
        What the sums named in `LEFT_OUT` change by without each.
    """

    n_vertices: int
    n_pictures: int
    observed: NDArray[np.float64]
    drawn: NDArray[np.float64]
    pictures: NDArray[np.bytes_]
    left_out: NDArray[np.float64]

    def __add__(self, other: Draws) -> Draws:
        both = np.concatenate([self.pictures, other.pictures])
        names, place = np.unique(both, return_inverse=True)
        left_out = np.zeros((len(names), len(LEFT_OUT)))
        np.add.at(left_out, place, np.vstack([self.left_out, other.left_out]))
        return Draws(
            self.n_vertices + other.n_vertices,
            min(self.n_pictures, other.n_pictures),
            self.observed + other.observed,
            self.drawn + other.drawn,
            names,
            left_out,
        )


def resample(
    measured: NDArray[Any],
    predicted: NDArray[Any],
    ceiling: NDArray[Any] | None,
    weights: Weights,
    parts: Sequence[NDArray[Any]] | None = None,
) -> list[Draws]:
    """Compute the sums of some parts of the vertices, such as ROIs, in every resample.

    Parameters
    ----------
    measured : array (n_images, n_vertices)
        Responses; memory maps are read block by block.
    predicted : array (n_images, n_vertices)
        Predictions.
    ceiling : array (n_vertices,), optional
        Noise ceilings as fractions 0..1. Vertices of ceiling 0 count in no sum.
    weights : Weights
        Of the images.
    parts : sequence of array of int, optional
        The vertices of each part, which may overlap; one part of all vertices by default.

    Returns
    -------
    list of Draws
        Of each part.
    """
    n_vertices = measured.shape[1]
    member = _members(n_vertices, parts, ceiling)
    inverse = np.full(n_vertices, np.nan)
    if ceiling is not None:
        known = np.asarray(ceiling, np.float64)
        inverse = np.divide(1.0, known, out=np.zeros(n_vertices), where=known > 0)
    n_parts = member.shape[1]
    drawn = np.zeros((len(DRAWN), len(weights.rows), n_parts))
    observed = np.zeros((len(OBSERVED), n_parts))
    adding = Lock()

    def add(block: slice) -> None:
        if member[block].any():
            found, resampled = _sums(measured[:, block], predicted[:, block], inverse[block],
                                     weights.rows, member[block])  # fmt: skip
            with adding:
                np.add(observed, found, out=observed)
                np.add(drawn, resampled, out=drawn)

    for _ in in_blocks(add, n_vertices, VERTICES):
        pass
    n = weights.n_resamples
    left_out = drawn[: len(LEFT_OUT), n:] - observed[: len(LEFT_OUT), None]
    return [
        Draws(
            n_vertices=int(member[:, part].sum()),
            n_pictures=len(weights.pictures),
            observed=observed[:, part],
            drawn=drawn[:, :n, part].T,
            pictures=weights.pictures,
            left_out=left_out[:, :, part].T,
        )
        for part in range(n_parts)
    ]


def _members(
    n_vertices: int, parts: Sequence[NDArray[Any]] | None, ceiling: NDArray[Any] | None
) -> NDArray[np.float32]:
    member = np.zeros((n_vertices, 1 if parts is None else len(parts)), np.float32)
    for column, vertices in enumerate(parts or [np.arange(n_vertices)]):
        member[vertices, column] = 1
    if ceiling is not None:
        member[np.asarray(ceiling) == 0] = 0
    return member


def _sums(
    measured: NDArray[Any],
    predicted: NDArray[Any],
    inverse: NDArray[np.float64],
    rows: NDArray[np.float32],
    member: NDArray[np.float32],
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Compute the sums of one block of vertices: as observed, and on each line of weights."""
    r = correlation(measured, predicted)
    score = np.minimum(np.maximum(r, 0) ** 2 * inverse, 1)
    observed = np.stack([r, score, r**2 * inverse, inverse, r**2])
    y, p = standardised(measured), standardised(predicted)
    columns = [y, p, y * y, p * p, y * p]
    r32, w = r.astype(np.float32), inverse.astype(np.float32)
    drawn = np.empty((len(DRAWN), len(rows), member.shape[1]), np.float32)
    for start in range(0, len(rows), RESAMPLES):
        lines = slice(start, start + RESAMPLES)
        resampled = _correlations([rows[lines] @ column for column in columns])
        for place, values in enumerate(_statistics(resampled, r32, w)):
            np.matmul(values, member, out=drawn[place, lines])
    return observed @ member, drawn


def standardised(values: NDArray[Any]) -> NDArray[np.float32]:
    """Centre and scale columns to variance 1, so that float32 is enough.

    Parameters
    ----------
    values : array (n_images, n_vertices)
        Any float dtype.

    Returns
    -------
    array (n_images, n_vertices), float32
        The columns; 0 where one is constant.
    """
    scaled = values.astype(np.float64)
    alike = scaled.max(axis=0) == scaled.min(axis=0)
    scaled -= scaled.mean(axis=0)
    norm = np.sqrt((scaled**2).mean(axis=0))
    alike |= norm == 0
    return np.where(alike, 0, scaled / np.where(alike, 1, norm)).astype(np.float32)


def _correlations(means: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Turn weighted means of y, p, y^2, p^2 and y p into r; 0 where y or p is constant."""
    y, p, yy, pp, yp = means
    yp -= y * p
    np.square(y, out=y)
    np.square(p, out=p)
    yy -= y
    pp -= p
    alike = np.minimum(yy, pp) < CONSTANT
    yy *= pp
    yy[alike] = 1
    yp[alike] = 0
    np.sqrt(yy, out=yy)
    yp /= yy
    return yp


def _statistics(
    resampled: NDArray[np.float32], r: NDArray[np.float32], inverse: NDArray[np.float32]
) -> tuple[NDArray[np.float32], ...]:
    """Compute what is summed, in the order of `DRAWN`."""
    error = resampled - r
    ratio = resampled * resampled
    ratio *= inverse
    score = np.where(resampled > 0, ratio, np.float32(0))
    np.minimum(score, 1, out=score)
    ratio_null = error * error
    ratio_null *= inverse
    score_null = np.where(error > 0, ratio_null, np.float32(0))
    np.minimum(score_null, 1, out=score_null)
    error *= inverse
    return resampled, score, ratio, score_null, ratio_null, error

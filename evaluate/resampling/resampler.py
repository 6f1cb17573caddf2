"""Scores of predictions of the same responses, on the same resamples of pictures."""

from collections.abc import Sequence
from threading import Lock

import numpy as np

from challenge import has_ceiling
from evaluate.arrays import Array, Floats, Indices, Singles
from evaluate.metrics._correlation import correlation
from evaluate.resampling.draws import LEFT_OUT, RESAMPLED, Draws
from evaluate.resampling.picture_weights import Weights
from evaluate.resampling.standardise import inverse_deviation, standardise
from evaluate.resampling.threads import map_blocks

# Size of a block that stays in a core's cache: 1000 resamples of 128 vertices are 0.5 MB.
VERTICES = 128

Parts = Sequence[Array]


class Resampler:
    """Compute sums of scores in resamples, for several predictions of the same responses.

    Mean and deviation of the responses in each resample are computed once: 8 bytes for each vertex
    and resample, 0.2 GB for 1000 resamples of a hemisphere of the challenge.

    `measured` (n_images, n_vertices): responses. `ceiling` (n_vertices,), optional: noise ceilings
    as fractions 0..1. Vertices of ceiling 0 count in no sum. `weights`: weights of the images.
    """

    def __init__(self, measured: Array, ceiling: Array | None, weights: Weights) -> None:
        n_vertices = measured.shape[1]
        self._weights = weights
        self._normalised = ceiling is not None
        ceilings = np.ones(n_vertices) if ceiling is None else np.asarray(ceiling, np.float64)
        self._counted = has_ceiling(ceilings)
        # Without ceilings, or where one is 0, the value is not used.
        self._inverse = 1 / np.where(self._counted, ceilings, 1)
        self._measured = np.empty(measured.shape, np.float32)
        # Vertices come first, so that a block is contiguous.
        self._mean = np.empty((n_vertices, weights.n_lines), np.float32)
        self._scale = np.empty_like(self._mean)

        def prepare(block: slice) -> None:
            y = self._measured[:, block] = standardise(measured[:, block])
            square, mean = np.split(weights.means(np.hstack([y * y, y])), 2)
            root = np.sqrt(self._inverse[block]).astype(np.float32)
            self._mean[block] = mean
            self._scale[block] = root[:, None] * inverse_deviation(square, mean)

        for _ in map_blocks(prepare, n_vertices, VERTICES):
            pass

    def draws(
        self, predicted: Array, r: Floats, parts: Parts, vertices: Indices | None = None
    ) -> list[Draws]:
        """Sum scores over parts of the predictions, such as ROIs, in every resample.

        `r` (n_columns,) is that of each column with the responses of its vertex. Parts are columns,
        and may overlap; by default column v is vertex v.
        """
        n_columns = predicted.shape[1]
        vertices = np.arange(n_columns) if vertices is None else vertices
        counted = self._counted[vertices]
        member = np.zeros((len(parts), n_columns), np.float32)
        for number, part in enumerate(parts):
            member[number, part] = counted[part]
        totals = np.zeros((len(parts), len(RESAMPLED), self._weights.n_lines))
        adding = Lock()

        def add(block: slice) -> None:
            # Most parts have no vertex in a block.
            part_indices = np.flatnonzero(member[:, block].any(axis=1))
            if part_indices.size:
                sums = self._sums(predicted[:, block], r[block], vertices[block],
                                  member[part_indices, block])  # fmt: skip
                with adding:
                    for number, of_part in zip(part_indices, sums, strict=True):
                        totals[number] += of_part

        for _ in map_blocks(add, n_columns, VERTICES):
            pass
        if not self._normalised:
            totals[:, 1:] = np.nan
        return self._draws(totals, self._observed(r, vertices), [p[counted[p]] for p in parts])

    def _observed(self, r: Floats, vertices: Indices) -> Floats:
        inverse = self._inverse[vertices] if self._normalised else np.full(len(r), np.nan)
        score = np.minimum(np.maximum(r, 0) ** 2 * inverse, 1)
        return np.stack([r, score, r**2 * inverse, inverse, r**2])

    def _draws(self, totals: Floats, values: Floats, parts: Parts) -> list[Draws]:
        n = len(self._weights.rows)
        draws = []
        for number, part in enumerate(parts):
            observed = values[:, part].sum(axis=1)
            left_out = totals[number, : len(LEFT_OUT), n:] - observed[: len(LEFT_OUT), None]
            draws.append(
                Draws(
                    n_vertices=len(part),
                    n_pictures=len(self._weights.pictures),
                    observed=observed,
                    resampled=totals[number, :, :n].T.copy(),
                    pictures=self._weights.pictures,
                    left_out=left_out.T,
                )
            )
        return draws

    def _sums(self, predicted: Array, r: Floats, vertices: Indices, member: Singles) -> Singles:
        """Sum a block of columns over parts, for each line of weights, in the order `RESAMPLED`."""
        p = standardise(predicted)
        y = self._measured[:, vertices]
        means = self._weights.means(np.hstack([p * p, p, y * p]))
        square, mean, product = np.split(means, 3)
        product -= mean * self._mean[vertices]
        product *= inverse_deviation(square, mean)
        product *= self._scale[vertices]
        root = np.sqrt(self._inverse[vertices])
        return _sum_statistics(product, r, root, member)


def resample(
    measured: Array,
    predicted: Array,
    ceiling: Array | None,
    weights: Weights,
    parts: Parts | None = None,
) -> list[Draws]:
    """Sum scores over parts of the vertices, by default all, in every resample."""
    parts = [np.arange(measured.shape[1])] if parts is None else parts
    r = correlation(measured, predicted)
    return Resampler(measured, ceiling, weights).draws(predicted, r, parts)


def _sum_statistics(ratio: Singles, r: Floats, root: Floats, member: Singles) -> Singles:
    """Sum the statistics `RESAMPLED` over parts.

    `ratio` is r* / sqrt(ceiling) (n_columns, n_lines), and `root` is 1 / sqrt(ceiling).
    """
    sums = np.empty((len(member), len(RESAMPLED), ratio.shape[1]), np.float32)
    single_root = root.astype(np.float32)
    error = ratio - (r * root).astype(np.float32)[:, None]
    np.matmul(member / single_root, ratio, out=sums[:, 0])
    np.matmul(member * single_root, error, out=sums[:, 5])
    spare = np.empty_like(error)
    for values, (clipped, whole) in ((ratio, (1, 2)), (error, (3, 4))):
        np.square(values, out=spare)
        np.matmul(member, spare, out=sums[:, whole])
        # The score is 0 where r is negative, and cut at 1.
        np.maximum(values, 0, out=values)
        np.minimum(values, 1, out=values)
        np.square(values, out=values)
        np.matmul(member, values, out=sums[:, clipped])
    return sums

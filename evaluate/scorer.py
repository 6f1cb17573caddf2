"""Predictions of one hemisphere's responses, scored, resampled and permuted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluate.correlation import correlation
from evaluate.errors import EvaluateError
from evaluate.hemisphere import Hemisphere
from evaluate.resampling import (
    FEWEST_PICTURES,
    Permuted,
    orders,
    permute,
    picture_weights,
    resample,
    significance,
)
from evaluate.score import Tally, VertexScores, score_vertices


@dataclass(frozen=True)
class Resampling:
    """How often pictures are drawn and shuffled.

    Attributes
    ----------
    resamples : int
        Draws for the intervals; 0 for none.
    permutations : int
        For the p values of vertices; 0 for none.
    seed : int
        Of both.
    """

    resamples: int = 1000
    permutations: int = 1000
    seed: int = 0

    def checked(self) -> Resampling:
        """Refuse numbers that make no interval or p value.

        Returns
        -------
        Resampling
            Itself.

        Raises
        ------
        EvaluateError
            If there are too few.
        """
        for name, fewest in (("resamples", 200), ("permutations", 99)):
            number = getattr(self, name)
            if number != 0 and number < fewest:
                raise EvaluateError(
                    f"--{name} {number}: expected at least {fewest}, below which the result is "
                    "chance itself, or 0 for none"
                )
        return self


@dataclass(frozen=True)
class VertexMap:
    """What is known of every vertex of a hemisphere, before p values are corrected.

    Attributes
    ----------
    arrays : dict of str to array (n_vertices,)
        `covered`, `excluded`, `constant`, `ceiling`, `r` and `score` of `evaluate.vertices`.
    permuted : Permuted, optional
        Of the covered vertices; None where pictures were not permuted.
    """

    arrays: dict[str, NDArray[Any]]
    permuted: Permuted | None


class Scorer:
    """Score predictions of the same responses with the same draws of pictures.

    Parameters
    ----------
    hemisphere : Hemisphere
        Whose responses, ceilings and pictures.
    split : str
        "test" or "heldout".
    how : Resampling
        How often pictures are drawn and shuffled.
    """

    def __init__(self, hemisphere: Hemisphere, split: str, how: Resampling) -> None:
        self._measured = hemisphere.measured(split)
        self._ceiling = hemisphere.ceiling(split)
        pictures = hemisphere.pictures(split)
        enough = len(np.unique(pictures)) >= FEWEST_PICTURES
        self._weights = (
            picture_weights(pictures, how.resamples, how.seed) if how.resamples and enough else None
        )
        self._orders = (
            orders(pictures, how.permutations, how.seed) if how.permutations and enough else None
        )

    def tally(self, predicted: NDArray[Any], vertices: NDArray[np.int64]) -> Tally:
        """Score a prediction of some vertices.

        Parameters
        ----------
        predicted : array (n_images, n_roi_vertices)
            The prediction.
        vertices : array (n_roi_vertices,), int64
            Which vertices.

        Returns
        -------
        Tally
            Sums, with draws.
        """
        measured = self._measured[:, vertices]
        ceiling = None if self._ceiling is None else self._ceiling[vertices]
        tally = score_vertices(measured, predicted, ceiling).tally()
        if self._weights is None:
            return tally
        return replace(tally, draws=resample(measured, predicted, ceiling, self._weights)[0])

    def tallies(
        self, predicted: NDArray[Any], values: VertexScores, parts: Sequence[NDArray[Any]]
    ) -> list[Tally]:
        """Sum the scores of a whole prediction over parts of the vertices.

        Parameters
        ----------
        predicted : array (n_images, n_vertices)
            The prediction.
        values : VertexScores
            Its scores, from `values`.
        parts : sequence of array of int or of bool
            Their vertices.

        Returns
        -------
        list of Tally
            Sums of each part, with draws.
        """
        found = [values.tally(part) for part in parts]
        if self._weights is None:
            return found
        draws = resample(self._measured, predicted, self._ceiling, self._weights, parts)
        return [replace(tally, draws=drawn) for tally, drawn in zip(found, draws, strict=True)]

    def values(self, predicted: NDArray[Any]) -> VertexScores:
        """Score every vertex.

        Parameters
        ----------
        predicted : array (n_images, n_vertices)
            The prediction.

        Returns
        -------
        VertexScores
            Every metric.
        """
        return score_vertices(self._measured, predicted, self._ceiling)

    def map(
        self, predicted: NDArray[Any], values: VertexScores, covered: NDArray[np.bool_]
    ) -> VertexMap:
        """Gather what is known of every vertex, and permute the pictures.

        Parameters
        ----------
        predicted : array (n_images, n_vertices)
            The prediction.
        values : VertexScores
            Its scores.
        covered : array (n_vertices,), bool
            Where there is a prediction.

        Returns
        -------
        VertexMap
            The arrays, and what the permutations gave.
        """
        r = correlation(self._measured, predicted)
        score = values.values["noise_normalised"]
        nothing = np.full(len(r), np.nan)
        permuted = None
        if self._orders is not None:
            # Reading a memory map column by column is slow; covered is mostly everything.
            seen = slice(None) if covered.all() else np.flatnonzero(covered)
            permuted = permute(self._measured[:, seen], predicted[:, seen], self._orders)
        return VertexMap(
            arrays={
                "covered": covered,
                "excluded": values.excluded,
                "constant": values.constant & covered,
                "ceiling": nothing if self._ceiling is None else self._ceiling,
                "r": np.where(covered, r, np.nan),
                "score": np.where(covered, score, np.nan),
            },
            permuted=permuted,
        )


def with_p_values(maps: dict[str, VertexMap]) -> dict[str, dict[str, NDArray[Any]]]:
    """Correct the p values over all vertices of a subject.

    Parameters
    ----------
    maps : dict of str to VertexMap
        Of each hemisphere.

    Returns
    -------
    dict of str to dict of str to array (n_vertices,)
        For each hemisphere, the arrays of `evaluate.vertices`.
    """
    permuted = [one.permuted for one in maps.values() if one.permuted is not None]
    corrected = iter(significance(permuted)) if permuted else iter(())
    found = {}
    for name, one in maps.items():
        p = {key: np.full(len(one.arrays["r"]), np.nan) for key in ("p", "q", "p_max")}
        if one.permuted is not None:
            of, covered = next(corrected), one.arrays["covered"]
            p["p"][covered], p["q"][covered], p["p_max"][covered] = of.p, of.q, of.p_max
        found[name] = one.arrays | p
    return found

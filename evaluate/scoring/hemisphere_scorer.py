"""Predictions of one hemisphere's responses, scored, resampled and permuted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from challenge import has_ceiling
from evaluate.errors import EvaluateError, check_seed
from evaluate.fits.hemisphere import Hemisphere
from evaluate.resampling import (
    FEWEST_PICTURES,
    Permuted,
    Resampler,
    orders,
    permute,
    picture_weights,
    significance,
    swap,
    swap_signs,
)
from evaluate.scoring.ensemble import Combined
from evaluate.scoring.predictions import Predicted
from evaluate.scoring.vertex_scores import Tally, VertexScores, score_vertices


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
        """Refuse numbers that make no interval or p value."""
        check_seed(self.seed)
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
        `covered`, `excluded`, `constant`, `ceiling`, `r` and `score`, as in
        `evaluate.scoring.vertex_files`.
    permuted : Permuted, optional
        Of the covered vertices; None where pictures were not permuted.
    """

    arrays: dict[str, NDArray[Any]]
    permuted: Permuted | None = None


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
        self._how = how
        self._measured = np.asarray(hemisphere.measured(split))
        self._ceiling = hemisphere.ceiling(split)
        pictures = hemisphere.pictures(split)
        enough = len(np.unique(pictures)) >= FEWEST_PICTURES
        self._resampler = None
        if how.resamples and enough:
            weights = picture_weights(pictures, how.resamples, how.seed)
            self._resampler = Resampler(self._measured, self._ceiling, weights)
        self._orders = (
            orders(pictures, how.permutations, how.seed) if how.permutations and enough else None
        )

    def score(
        self,
        predicted: NDArray[Any],
        vertices: NDArray[np.int64],
        parts: Sequence[NDArray[np.int64]],
    ) -> tuple[VertexScores, list[Tally]]:
        """Score predictions of vertices, and sum over parts of them.

        Parameters
        ----------
        predicted : array (n_images, n_columns)
            Predictions; a vertex may be predicted in several columns.
        vertices : array (n_columns,), int64
            Of which vertex each column is.
        """
        ceiling = None if self._ceiling is None else self._ceiling[vertices]
        values = score_vertices(self._measured[:, vertices], predicted, ceiling)
        found = [values.tally(part) for part in parts]
        if self._resampler is not None:
            draws = self._resampler.draws(predicted, values.r, parts, vertices)
            found = [replace(one, draws=drawn) for one, drawn in zip(found, draws, strict=True)]
        return values, found

    def compared(
        self, tallies: Sequence[Tally], first: Predicted, second: Predicted
    ) -> list[Tally]:
        """Add to sums of a prediction what they are more than another's.

        Returns
        -------
        list of Tally
            With `swaps`, as many as there are resamples, where the first is of the same pictures
            and has the part.
        """
        if self._resampler is None or not np.array_equal(first.pictures, second.pictures):
            return list(tallies)
        pairs = second.beside(first)
        there = [part for part in pairs.parts if part is not None]
        of = iter(
            swap(
                self._measured[:, pairs.vertices],
                (first.columns[:, pairs.first], second.columns[:, pairs.second]),
                None if self._ceiling is None else self._ceiling[pairs.vertices],
                swap_signs(second.pictures, self._how.resamples, self._how.seed),
                there,
            )
        )
        return [
            one if part is None else replace(one, swaps=next(of))
            for one, part in zip(tallies, pairs.parts, strict=True)
        ]

    def map(
        self, values: VertexScores, columns: NDArray[np.int64], covered: NDArray[np.bool_]
    ) -> VertexMap:
        """Gather what is known of every vertex.

        Parameters
        ----------
        columns : array (n_covered,), int64
            Which of its columns is the prediction of each covered vertex.
        covered : array (n_vertices,), bool
            Where there is a prediction.
        """
        r, score = np.full((2, len(covered)), np.nan)
        r[covered] = values.r[columns]
        score[covered] = values.values["noise_normalised"][columns]
        constant = np.zeros(len(covered), bool)
        constant[covered] = values.constant[columns]
        ceiling = np.full(len(covered), np.nan) if self._ceiling is None else self._ceiling
        return VertexMap(
            {
                "covered": covered,
                "excluded": ~(np.isnan(ceiling) | has_ceiling(ceiling)),
                "constant": constant,
                "ceiling": ceiling,
                "r": r,
                "score": score,
            }
        )

    def permute(
        self, maps: Mapping[str, VertexMap], predictions: Mapping[str, Combined]
    ) -> dict[str, VertexMap]:
        """Shuffle the pictures, for all predictions that cover the same vertices at once.

        Parameters
        ----------
        maps : mapping of str to VertexMap
            What is known, by name.
        predictions : mapping of str to Combined
            The predictions, by the same names.

        Returns
        -------
        dict of str to VertexMap
            The same with what the permutations gave, if there were any.
        """
        if self._orders is None:
            return dict(maps)
        alike: dict[bytes, list[str]] = {}
        for name, one in predictions.items():
            alike.setdefault(one.covered.tobytes(), []).append(name)
        found: dict[str, Permuted] = {}
        for names in alike.values():
            covered = predictions[names[0]].covered
            # Copying columns is slow; covered is mostly everything.
            seen = slice(None) if covered.all() else np.flatnonzero(covered)
            every = [predictions[name].predictions[:, seen] for name in names]
            permuted = permute(self._measured[:, seen], every, self._orders)
            found.update(zip(names, permuted, strict=True))
        return {name: replace(one, permuted=found[name]) for name, one in maps.items()}


def with_p_values(maps: dict[str, VertexMap]) -> dict[str, dict[str, NDArray[Any]]]:
    """Correct the p values over all vertices of a subject.

    Returns
    -------
    dict of str to dict of str to array (n_vertices,)
        For each hemisphere, the arrays of `evaluate.scoring.vertex_files`.
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

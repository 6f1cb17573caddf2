"""Score, resample and permute predictions of one hemisphere's responses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from challenge import has_ceiling
from evaluate.arrays import Array, Indices, Mask
from evaluate.errors import EvaluateError, check_seed
from evaluate.fits.hemisphere import Hemisphere
from evaluate.resampling import (
    FEWEST_PICTURES,
    PermutationCounts,
    Resampler,
    draw_orders,
    draw_swap_signs,
    permute,
    picture_weights,
    significance,
    swap,
)
from evaluate.scoring.ensemble import CombinedPrediction
from evaluate.scoring.predictions import Prediction
from evaluate.scoring.vertex_scores import Tally, VertexScores, score_vertices


@dataclass(frozen=True)
class Resampling:
    """Numbers of resamples and permutations of the pictures."""

    resamples: int = 1000  # resamples for the intervals; 0 for none
    permutations: int = 1000  # permutations for the p values of vertices; 0 for none
    seed: int = 0  # seed of both

    def validate(self) -> Resampling:
        """Raise if a number is too small for an interval or p value; return the settings."""
        check_seed(self.seed)
        for name, fewest in (("resamples", 200), ("permutations", 99)):
            number = getattr(self, name)
            if number != 0 and number < fewest:
                raise EvaluateError(
                    f"--{name} {number}: expected at least {fewest}, as the result of fewer is "
                    "mostly chance, or 0 for none"
                )
        return self


@dataclass(frozen=True)
class VertexMap:
    """Scores of every vertex of a hemisphere, before p values are corrected."""

    # (n_vertices,): `covered`, `excluded`, `constant`, `ceiling`, `r` and `score`, as in
    # `evaluate.scoring.vertex_files`.
    arrays: dict[str, Array]
    # Counts for the covered vertices; None if pictures were not permuted.
    permuted: PermutationCounts | None = None


class Scorer:
    """Score predictions of the same responses with the same draws of pictures."""

    def __init__(self, hemisphere: Hemisphere, split: str, resampling: Resampling) -> None:
        self._resampling = resampling
        self._measured = np.asarray(hemisphere.measured(split))
        self._ceiling = hemisphere.ceiling(split)
        pictures = hemisphere.pictures(split)
        has_enough = len(np.unique(pictures)) >= FEWEST_PICTURES
        self._resampler = None
        if resampling.resamples and has_enough:
            weights = picture_weights(pictures, resampling.resamples, resampling.seed)
            self._resampler = Resampler(self._measured, self._ceiling, weights)
        self._orders = None
        if resampling.permutations and has_enough:
            self._orders = draw_orders(pictures, resampling.permutations, resampling.seed)

    def score(
        self, predicted: Array, vertices: Indices, parts: Sequence[Indices]
    ) -> tuple[VertexScores, list[Tally]]:
        """Score columns of predictions, each of one of `vertices`, and sum over parts."""
        ceiling = None if self._ceiling is None else self._ceiling[vertices]
        values = score_vertices(self._measured[:, vertices], predicted, ceiling)
        tallies = [values.tally(part) for part in parts]
        if self._resampler is not None:
            draws = self._resampler.draws(predicted, values.r, parts, vertices)
            tallies = [replace(tally, draws=d) for tally, d in zip(tallies, draws, strict=True)]
        return values, tallies

    def add_swaps(
        self, tallies: Sequence[Tally], first: Prediction, second: Prediction
    ) -> list[Tally]:
        """Add to the tallies of the second prediction its swaps with the first.

        Tallies are unchanged where the first is of other pictures or lacks the part.
        """
        if self._resampler is None or not np.array_equal(first.pictures, second.pictures):
            return list(tallies)
        pairs = second.pair_columns(first)
        paired_parts = [part for part in pairs.parts if part is not None]
        part_swaps = iter(
            swap(
                self._measured[:, pairs.vertices],
                (first.columns[:, pairs.first], second.columns[:, pairs.second]),
                None if self._ceiling is None else self._ceiling[pairs.vertices],
                draw_swap_signs(second.pictures, self._resampling.resamples, self._resampling.seed),
                paired_parts,
            )
        )
        return [
            tally if part is None else replace(tally, swaps=next(part_swaps))
            for tally, part in zip(tallies, pairs.parts, strict=True)
        ]

    def map(self, values: VertexScores, columns: Indices, covered: Mask) -> VertexMap:
        """Arrange scores by vertex; `columns` has the column of each covered vertex."""
        r, score = np.full((2, len(covered)), np.nan)
        r[covered] = values.r[columns]
        score[covered] = values.values["noise_normalised"][columns]
        constant = np.zeros(len(covered), bool)
        constant[covered] = values.constant[columns]
        ceiling = np.full(len(covered), np.nan) if self._ceiling is None else self._ceiling
        excluded = ~(np.isnan(ceiling) | has_ceiling(ceiling))
        return VertexMap({"covered": covered, "excluded": excluded, "constant": constant,
                          "ceiling": ceiling, "r": r, "score": score})  # fmt: skip

    def permute(
        self, maps: Mapping[str, VertexMap], predictions: Mapping[str, CombinedPrediction]
    ) -> dict[str, VertexMap]:
        """Return the maps with permutation counts, if there are permutations.

        Predictions, which have the same names as the maps, are permuted at once where they cover
        the same vertices.
        """
        if self._orders is None:
            return dict(maps)
        names_by_coverage: dict[bytes, list[str]] = {}
        for name, prediction in predictions.items():
            names_by_coverage.setdefault(prediction.covered.tobytes(), []).append(name)
        counts_by_name: dict[str, PermutationCounts] = {}
        for names in names_by_coverage.values():
            covered = predictions[names[0]].covered
            # Copying columns is slow, and mostly all vertices are covered.
            columns = slice(None) if covered.all() else np.flatnonzero(covered)
            covered_predictions = [predictions[name].predictions[:, columns] for name in names]
            permuted = permute(self._measured[:, columns], covered_predictions, self._orders)
            counts_by_name.update(zip(names, permuted, strict=True))
        return {
            name: replace(vertex_map, permuted=counts_by_name[name])
            for name, vertex_map in maps.items()
        }


def correct_p_values(maps: dict[str, VertexMap]) -> dict[str, dict[str, Array]]:
    """Compute p values, corrected over both hemispheres, and add them to the arrays."""
    permuted = [m.permuted for m in maps.values() if m.permuted is not None]
    corrected = iter(significance(permuted)) if permuted else iter(())
    arrays_by_hemisphere = {}
    for name, vertex_map in maps.items():
        p = {key: np.full(len(vertex_map.arrays["r"]), np.nan) for key in ("p", "q", "p_max")}
        if vertex_map.permuted is not None:
            p_values, covered = next(corrected), vertex_map.arrays["covered"]
            for key, array in p.items():
                array[covered] = getattr(p_values, key)
        arrays_by_hemisphere[name] = vertex_map.arrays | p
    return arrays_by_hemisphere

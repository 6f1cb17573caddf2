"""Scores of vertices and their sums: every published score is a mean over vertices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce

import numpy as np

from base import load_plugin, plugin_names, run_hint
from challenge import constant_columns
from evaluate import metrics
from evaluate.arrays import Array, Floats, Mask
from evaluate.errors import EvaluateError
from evaluate.metrics._inputs import Pair
from evaluate.resampling import Draws, Swaps
from evaluate.scoring.chance import chance_score

OFFICIAL = "noise_normalised"


@dataclass(frozen=True)
class Tally:
    """Sums of scores over some vertices; tallies of disjoint vertices can be added.

    Attributes
    ----------
    n_vertices : int
        All vertices, excluded ones too.
    n_excluded : int
        Vertices with a noise ceiling below `challenge.SMALLEST_CEILING`, which count in no mean.
    n_clipped : int
        Counted vertices whose official score was cut off at 100.
    n_constant : int
        Counted vertices whose prediction was constant, so that r was set to 0.
    sums : mapping of str to float
        For each metric and `chance`, the sum over the counted vertices; NaN where it has no value.
    draws : Draws, optional
        The same sums in resamples of the pictures; None if they were not resampled.
    swaps : Swaps, optional
        Differences from a baseline prediction under swaps; None without a baseline.
    n_constant_measured : int
        Counted vertices whose measured responses were constant: r is 0 for any prediction.
    """

    n_vertices: int
    n_excluded: int
    n_clipped: int
    n_constant: int
    sums: Mapping[str, float]
    draws: Draws | None = None
    swaps: Swaps | None = None
    n_constant_measured: int = 0

    def __add__(self, tally: Tally) -> Tally:
        return Tally(
            self.n_vertices + tally.n_vertices,
            self.n_excluded + tally.n_excluded,
            self.n_clipped + tally.n_clipped,
            self.n_constant + tally.n_constant,
            {name: total + tally.sums[name] for name, total in self.sums.items()},
            None if self.draws is None or tally.draws is None else self.draws + tally.draws,
            None if self.swaps is None or tally.swaps is None else self.swaps + tally.swaps,
            self.n_constant_measured + tally.n_constant_measured,
        )

    def mean(self, metric: str) -> float | None:
        """Compute the mean of a metric over the vertices that count.

        Parameters
        ----------
        metric : str
            Name of a metric, or "chance".

        Returns
        -------
        float or None
            None if no vertex counts, or if the metric needs ceilings and some vertices have none.
        """
        counted = self.n_vertices - self.n_excluded
        total = self.sums[metric]
        return None if counted == 0 or np.isnan(total) else float(total) / counted


def pool(tallies: Iterable[Tally]) -> Tally:
    """Sum tallies of hemispheres, subjects or ROIs.

    The mean of the sum is the mean over all counted vertices, as in the challenge's overall score,
    not the mean of the parts' means.

    Parameters
    ----------
    tallies : iterable of Tally
        At least one tally; their vertices must be disjoint.

    Returns
    -------
    Tally
        The sum.
    """
    return reduce(Tally.__add__, tallies)


@dataclass(frozen=True)
class VertexScores:
    """Metrics of every vertex of one prediction."""

    # (n_vertices,): values of each metric, and of `chance`, the expected score of unrelated
    # predictions; NaN where there is no value.
    values: Mapping[str, Floats]
    r: Floats  # (n_vertices,): Pearson's r, also where the noise ceiling is 0
    excluded: Mask  # (n_vertices,): whether the noise ceiling is 0
    constant: Mask  # (n_vertices,): whether the prediction is constant
    # (n_vertices,): whether the measured responses are constant.
    constant_measured: Mask

    def tally(self, vertices: Array | slice = slice(None)) -> Tally:
        """Sum over the vertices of an index or slice, all by default."""
        counted = ~self.excluded[vertices]
        values = {name: value[vertices][counted] for name, value in self.values.items()}
        return Tally(
            n_vertices=len(counted),
            n_excluded=int((~counted).sum()),
            n_clipped=int((values[OFFICIAL] >= 100).sum()),
            n_constant=int(self.constant[vertices][counted].sum()),
            n_constant_measured=int(self.constant_measured[vertices][counted].sum()),
            sums={name: float(value.sum()) for name, value in values.items()},
        )


def score_vertices(measured: Array, predicted: Array, ceiling: Array | None) -> VertexScores:
    """Compute every metric of the folder `metrics`, and `chance`, of (n_images, n_vertices)."""
    pair = Pair(measured, predicted, ceiling)
    values = {
        name: load_plugin(metrics, name, "metric").compute(pair) for name in plugin_names(metrics)
    }
    for name, value in values.items():
        # A metric that needs ceilings is NaN everywhere without them, and must not be otherwise.
        if ceiling is not None or not np.isnan(value).all():
            _check_defined(name, value, ~pair.excluded)
    values["chance"] = chance_score(len(measured), pair.divisor)
    return VertexScores(
        values, pair.r, pair.excluded, constant_columns(predicted), constant_columns(measured)
    )


def _check_defined(metric: str, values: Floats, counted: Mask) -> None:
    wrong = np.flatnonzero(counted & ~np.isfinite(values))
    if wrong.size:
        raise EvaluateError(
            f"{metric}: not finite at {wrong.size} of {int(counted.sum())} vertices that count, "
            f"the first at index {wrong[0]} ({values[wrong[0]]}): look for NaN, infinite or huge "
            f"values in responses, predictions and ceilings with {run_hint('check')}"
        )

"""Pooling: the published figures, and parts that add up to the whole."""

import numpy as np
import pytest

from evaluate import EvaluateError
from evaluate.scoring.vertex_scores import Tally, pool, score_vertices
from tests.builders.published_scores import OVERALL, PUBLISHED


def test_the_sixteen_published_means_give_the_published_overall() -> None:
    tallies = [
        Tally(n, excluded, 0, 0, {"noise_normalised": mean * (n - excluded)})
        for row in PUBLISHED
        for mean, n, excluded in zip(row[:2], row[2:4], row[4:], strict=True)
    ]
    overall = pool(tallies).mean("noise_normalised")
    assert overall == pytest.approx(OVERALL, abs=1e-9)
    # The mean of the means is another number: the rule matters.
    assert abs(np.mean([row[:2] for row in PUBLISHED]) - OVERALL) > 1e-3


def test_parts_add_up_to_the_whole() -> None:
    rng = np.random.default_rng(0)
    measured = rng.standard_normal((60, 30))
    predicted = measured + rng.standard_normal((60, 30))
    predicted[:, 4] = 2
    ceiling = rng.uniform(0.1, 0.9, 30)
    ceiling[[0, 11]] = 0
    scores = score_vertices(measured, predicted, ceiling)
    parts = [scores.tally(np.arange(start, start + 10)) for start in (0, 10, 20)]
    whole, pooled = scores.tally(), pool(parts)
    assert (pooled.n_vertices, pooled.n_excluded, pooled.n_constant) == (30, 2, 1)
    for name in whole.sums:
        assert pooled.mean(name) == pytest.approx(whole.mean(name), rel=1e-13)
        assert whole.mean(name) == pytest.approx(np.nanmean(scores.values[name]), rel=1e-13)


def test_a_part_without_ceilings_leaves_the_whole_without_score() -> None:
    rng = np.random.default_rng(0)
    y = rng.standard_normal((20, 4))
    known, unknown = (score_vertices(y, y, c).tally() for c in (np.full(4, 0.5), None))
    assert known.mean("noise_normalised") == 100
    assert pool([known, unknown]).mean("noise_normalised") is None
    assert pool([known, unknown]).mean("pearson_r") == pytest.approx(1)


def test_all_vertices_excluded_have_no_mean() -> None:
    y = np.random.default_rng(0).standard_normal((20, 4))
    assert score_vertices(y, y, np.zeros(4)).tally().mean("noise_normalised") is None


def test_a_value_that_is_not_finite_is_an_error_not_a_missing_ceiling() -> None:
    y = np.random.default_rng(0).standard_normal((20, 4))
    wrong = y.copy()
    wrong[3, 2] = np.nan
    for ceiling in (np.full(4, 0.5), None):
        with pytest.raises(
            EvaluateError, match=r"not finite at 1 of 4 .* first at index 2 \(nan\)"
        ):
            score_vertices(wrong, y, ceiling)
    excluded = score_vertices(wrong, y, np.array([0.5, 0.5, 0, 0.5])).tally()
    assert excluded.mean("noise_normalised") == pytest.approx(100)

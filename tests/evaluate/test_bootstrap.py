"""Draws of pictures: the resampled r is scipy's, parts add up, intervals hold the truth."""

import numpy as np
import pytest
from scipy import stats

from evaluate.metrics._correlation import correlation
from evaluate.resampling import (
    Draws,
    Resampler,
    Weights,
    difference,
    draw_swap_signs,
    intervals,
    picture_weights,
    resample,
    swap,
)
from evaluate.resampling.calibration import format_rates, jobs, measure
from evaluate.resampling.draws import OBSERVED, RESAMPLED
from evaluate.resampling.intervals import student_quantile
from evaluate.resampling.simulated_scores import simulate_roi

N, V = 40, 30


def names(n: int, first: int = 0) -> np.ndarray:
    return np.array([b"%064d" % i for i in range(first, first + n)])


def arrays(seed: int = 0, n: int = N, v: int = V) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Responses with an offset and scale, predictions of them, and ceilings, one of them 0."""
    rng = np.random.default_rng(seed)
    measured = 50 + 7 * rng.standard_normal((n, v))
    predicted = 0.02 * measured + 0.2 * rng.standard_normal((n, v))
    ceiling = rng.uniform(0.1, 0.9, v)
    ceiling[3] = 0
    return measured, predicted, ceiling


def repeated(counts: np.ndarray, y: np.ndarray, p: np.ndarray, ceiling: np.ndarray) -> list[float]:
    """Compute what a resample sums to, by repeating rows: r, score, and r^2 / ceiling."""
    rows = np.repeat(np.arange(len(y)), counts)
    r = np.array([stats.pearsonr(y[rows, v], p[rows, v]).statistic for v in range(y.shape[1])])
    shares = r[ceiling > 0] ** 2 / ceiling[ceiling > 0]
    official = np.minimum(np.maximum(r[ceiling > 0], 0) ** 2 / ceiling[ceiling > 0], 1)
    return [r[ceiling > 0].sum(), official.sum(), shares.sum()]


def test_a_resample_is_what_repeated_pictures_give() -> None:
    y, p, ceiling = arrays()
    p[:, 5] *= -1
    counts = np.random.default_rng(1).multinomial(N, np.full(N, 1 / N), size=4)
    rows = (counts / N).astype(np.float32)
    [draws] = resample(y, p, ceiling, Weights(rows, names(N), np.arange(N)))
    for number in range(4):
        expected = repeated(counts[number], y, p, ceiling)
        assert draws.resampled[number, :3] == pytest.approx(expected, rel=1e-4)
    assert draws.n_vertices == V - 1
    assert draws.observed[:3] == pytest.approx(repeated(np.ones(N, int), y, p, ceiling), rel=1e-9)


def test_leaving_out_takes_all_rows_of_a_picture() -> None:
    y, p, ceiling = arrays()
    pictures = np.concatenate([names(N - 1), names(1)])  # the last row shows the first again
    [draws] = resample(y, p, ceiling, picture_weights(pictures, 200))
    assert draws.n_pictures == len(draws.left_out) == N - 1
    without = np.ones(N, int)
    without[[0, -1]] = 0
    change = np.subtract(repeated(without, y, p, ceiling), draws.observed[:3])
    assert draws.left_out[0] == pytest.approx(change, abs=2e-4)


def test_weights_follow_the_picture() -> None:
    one = picture_weights(names(30), 500)
    drawn = one.rows[:500] / one.rows[:500].min(axis=1, keepdims=True, where=one.rows[:500] > 0,
                                                initial=1)  # fmt: skip
    assert drawn == pytest.approx(drawn.round(), abs=1e-3)
    assert one.rows.sum(axis=1) == pytest.approx(1, abs=1e-5)
    more = picture_weights(np.concatenate([names(30, 20), names(10, 20)]), 500)
    # Pictures 20 to 29 are in both, and twice in the second: what they weigh to one another is
    # the same everywhere.
    first, again, twin = one.rows[:500, 20:], more.rows[:500, :10], more.rows[:500, 30:]
    np.testing.assert_array_equal(again, twin)
    shares = [some / some.sum(axis=1, keepdims=True).clip(1e-9) for some in (first, again)]
    np.testing.assert_allclose(*shares, atol=1e-6)
    other = picture_weights(names(30), 500, seed=1)
    assert not np.allclose(one.rows[:500], other.rows[:500])
    assert np.var(one.rows[:500] * 30) == pytest.approx(1, abs=0.1)  # Poisson of mean 1


def test_parts_add_up_over_blocks_and_subjects() -> None:
    y, p, ceiling = arrays(v=1100)
    weights = picture_weights(names(N), 200)
    parts = [np.arange(0, 1100, 2), np.arange(1, 1100, 2), np.arange(1100)]
    even, odd, whole = resample(y, p, ceiling, weights, parts)
    both = even + odd
    assert both.n_vertices == whole.n_vertices == 1099
    np.testing.assert_allclose(both.resampled, whole.resampled, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(both.left_out, whole.left_out, atol=1e-3)
    # Another subject saw ten of the pictures: those are left out of both at once.
    [other] = resample(y, p, ceiling, picture_weights(names(N, 30), 200))
    pooled = whole + other
    assert len(pooled.left_out) == 70
    assert pooled.n_pictures == N
    np.testing.assert_allclose(pooled.left_out[30:40], whole.left_out[30:] + other.left_out[:10])


def test_several_predictions_of_a_vertex_are_drawn_as_one_alone_is() -> None:
    y, p, ceiling = arrays(v=150)
    pictures = np.concatenate([names(N - 1), names(1)])
    weights = picture_weights(pictures, 200)
    rng = np.random.default_rng(2)
    vertices = np.concatenate([np.arange(150)[::-1], [4, 3, 7]])
    predicted = np.hstack([p[:, ::-1], p[:, [4, 3, 7]] + rng.standard_normal((N, 3))])
    resampler = Resampler(y, ceiling, weights)
    r = correlation(y[:, vertices], predicted)
    found = resampler.draws(predicted, r, [np.arange(150), np.arange(150, 153)], vertices)
    some = [4, 3, 7]
    expected = [
        resample(y, p, ceiling, weights)[0],
        resample(y[:, some], predicted[:, 150:], ceiling[some], weights)[0],
    ]
    for one, alone in zip(found, expected, strict=True):
        assert one.n_vertices == alone.n_vertices
        np.testing.assert_allclose(one.observed, alone.observed, rtol=1e-12)
        np.testing.assert_allclose(one.resampled, alone.resampled, rtol=1e-4, atol=1e-3)
        np.testing.assert_allclose(one.left_out, alone.left_out, atol=1e-3)


def test_a_picture_that_two_subjects_saw_counts_once() -> None:
    y, p, ceiling = arrays()
    alone, same, other = (
        resample(y, p, ceiling, picture_weights(names(N, first), 2000))[0] for first in (0, 0, 900)
    )

    def width(draws: Draws) -> float:
        found = intervals(draws)
        return found["score_high"] - found["score_low"]

    # The same responses to the same pictures tell nothing new; to other pictures they would.
    assert width(alone + same) == pytest.approx(width(alone), rel=1e-6)
    assert width(alone + other) == pytest.approx(width(alone) / np.sqrt(2), rel=0.1)


def test_what_has_no_interval_has_none() -> None:
    y, p, ceiling = arrays()
    weights = picture_weights(names(N), 200)
    assert set(intervals(None).values()) == {None}
    [excluded] = resample(y, p, np.zeros(V), weights)
    assert set(intervals(excluded).values()) == {None}
    [bare] = resample(y, p, None, weights)
    found = intervals(bare)
    assert found["pearson_r_low"] is not None
    assert found["score_low"] is found["explained"] is None
    [few] = resample(y[:9], p[:9], ceiling, picture_weights(names(9), 200))
    assert set(intervals(few).values()) == {None}


def test_constant_and_perfect_predictions() -> None:
    y, _, ceiling = arrays()
    weights = picture_weights(names(N), 300)
    [flat] = resample(y, np.full_like(y, 1.3), ceiling, weights)
    found = intervals(flat)
    assert found["score_low"] == found["score_high"] == found["explained"] == 0
    assert found["pearson_r_low"] == found["pearson_r_high"] == 0
    [perfect] = resample(y, 3 * y - 100, ceiling, weights)
    found = intervals(perfect)
    assert found["score_low"] == pytest.approx(100) == found["score_high"]
    assert found["pearson_r_low"] == pytest.approx(1, abs=1e-4)
    [upside_down] = resample(y, -y, ceiling, weights)
    found = intervals(upside_down)
    assert found["score_low"] == 0
    assert found["pearson_r_high"] == pytest.approx(-1, abs=1e-4)


@pytest.mark.parametrize("rho", [0.0, 0.3, 0.8])
def test_an_interval_holds_the_score_and_shrinks_with_pictures(rho: float) -> None:
    rng = np.random.default_rng(0)
    widths = []
    for n in (60, 600):
        of = simulate_roi(rho, 1 if rho == 0.3 else 20, np.random.default_rng(1))
        y = of.responses(n, rng)
        [draws] = resample(y, of.predictions(y, rng), of.ceiling, picture_weights(names(n), 500))
        found = intervals(draws)
        score = 100 * draws.observed[OBSERVED.index("score")] / draws.n_vertices
        assert 0 <= found["score_low"] <= score <= found["score_high"] <= 100
        assert found["explained_low"] <= max(found["explained"], 0) <= found["explained_high"]
        widths.append(found["score_high"] - found["score_low"])
    assert widths[1] < widths[0] / 2


def test_a_single_vertex_that_is_not_predicted() -> None:
    for seed in range(40):
        rng = np.random.default_rng(seed)
        y, p = rng.standard_normal((12, 1)), rng.standard_normal((12, 1))
        if seed % 4 == 0:  # r is 0 but for rounding
            y -= y.mean()
            p -= p.mean() + y * (y * p).sum() / (y * y).sum()
        draws = resample(y, p, np.array([0.5]), picture_weights(names(12), 200, seed))[0]
        found = intervals(draws)
        assert all(np.isfinite(value) for value in found.values())
        score = 100 * draws.observed[OBSERVED.index("score")]
        assert 0 <= found["score_low"] <= score <= found["score_high"] <= 100
        assert 0 <= found["explained_low"] <= max(found["explained"], 0) <= found["explained_high"]


def test_the_expected_score_is_that_of_simulated_pictures() -> None:
    of = simulate_roi("mixed", 20, np.random.default_rng(0))
    rng = np.random.default_rng(1)
    scores = []
    for _ in range(1500):
        y = of.responses(30, rng)
        p = of.predictions(y, rng)
        r = np.diag(np.corrcoef(y.T, p.T)[:20, 20:])
        scores.append(100 * np.mean(np.minimum(np.maximum(r, 0) ** 2 / of.ceiling, 1)))
    error = np.std(scores) / np.sqrt(len(scores))
    assert of.expected_score(30, rng) == pytest.approx(np.mean(scores), abs=4 * error)


def test_the_bias_of_a_small_sample_is_removed() -> None:
    of, rng = simulate_roi(0.1, 100, np.random.default_rng(0)), np.random.default_rng(1)
    explained, scores = [], []
    for number in range(60):
        y = of.responses(60, rng)
        weights = picture_weights(names(60), 200, number)
        [draws] = resample(y, of.predictions(y, rng), of.ceiling, weights)
        explained.append(intervals(draws)["explained"])
        scores.append(100 * draws.observed[OBSERVED.index("score")] / 100)
    error = np.std(explained) / np.sqrt(60)
    assert np.mean(explained) == pytest.approx(of.explained, abs=3 * error)
    assert np.mean(scores) > of.explained + 3 * error


def test_intervals_hold_and_tests_do_not_cry_wolf() -> None:
    wanted = [job for job in jobs(60, 0)
              if job[1] == 60 and job[3] in {20, 100} and job[2] in {0.3, "sparse"}]  # fmt: skip
    frame = measure(wanted)
    covered = frame[frame["nominal"] == 95]
    assert set(covered["of"]) == {"score", "explained", "pearson_r"}
    assert covered["rate"].between(86, 100).all()
    wolf = frame[frame["nominal"] < 95]
    assert (wolf["rate"] < wolf["nominal"] + 3 * wolf["standard_error"] + 0.5).all()
    text = format_rates(frame)
    assert max(map(len, text)) <= 100
    assert "SIMULATED" in text[0]


def test_a_paired_difference_is_surer_than_two_intervals() -> None:
    rng = np.random.default_rng(0)
    y = rng.standard_normal((N, 200)) + rng.standard_normal((N, 1))
    first = y + rng.standard_normal((N, 1)) + rng.standard_normal((N, 200))
    second = first + 0.8 * rng.standard_normal((N, 200))
    weights, ceiling = picture_weights(names(N), 500), np.full(200, 0.9)
    one, two = (resample(y, p, ceiling, weights)[0] for p in (first, second))
    signs = draw_swap_signs(names(N), 999)
    [swaps] = swap(y, (first, second), ceiling, signs)
    found = difference(one, two, swaps=swaps)
    assert found.p == 1 / 1000
    assert difference(one, two).p is None
    assert found.low < found.value < found.high < 0
    alone = intervals(one)
    assert 100 * (found.high - found.low) < (alone["score_high"] - alone["score_low"]) / 2
    [same] = swap(y, (first, 3 * first + 1), ceiling, signs)
    assert difference(one, one, swaps=same) == (0, 0, 0, 1)
    r = difference(one, two, "r", swaps)
    assert r.p == 1 / 1000
    assert r.value == pytest.approx((two.observed - one.observed)[0] / 200)
    assert r.high < 0
    back = difference(two, one)
    assert (back.low, back.high) == pytest.approx((-found.high, -found.low))
    [bare] = resample(y, first, None, weights)
    assert difference(bare, bare).value is None
    assert one.resampled.shape == (500, len(RESAMPLED))


def test_swaps_are_of_whole_pictures_and_scores_of_what_was_swapped() -> None:
    rng = np.random.default_rng(0)
    pictures = np.array([b"%d" % (i // 2) for i in range(40)])
    y = rng.standard_normal((40, 300))
    first, second = y + rng.standard_normal(y.shape), 3 * y + 2 * rng.standard_normal(y.shape) + 5
    ceiling = rng.uniform(0, 1, 300)
    ceiling[:5], first[:, 7] = 0, 4
    constant = np.arange(300) == 7
    signs = draw_swap_signs(pictures, 50)
    assert (signs[0] == 1).all()
    assert (signs[:, ::2] == signs[:, 1::2]).all()
    # A picture is swapped in the same draws whatever other pictures there are.
    assert (draw_swap_signs(pictures[10:20], 50) == signs[:, 10:20]).all()
    parts = [np.arange(300), np.arange(5), np.array([7, 40])]
    whole, nothing, two = swap(y, (first, second), ceiling, signs, parts)
    assert nothing.p() is None
    assert (whole.n_vertices, two.n_vertices) == (295, 2)
    scaled = [stats.zscore(np.where(constant, second, first)), stats.zscore(second)]
    scaled[0][:, constant] = 0
    for line in (0, 3, 50):
        kept = signs[line][:, None] > 0
        r = [correlation(y, np.where(kept, *of)) for of in (scaled, scaled[::-1])]
        for of, which in ((whole, slice(5, None)), (two, [7, 40])):
            assert of.r[line] == pytest.approx((r[1] - r[0])[which].sum(), abs=1e-4)
            score = [np.minimum(np.maximum(one, 0)[which] ** 2 / ceiling[which], 1) for one in r]
            assert of.score[line] == pytest.approx((score[1] - score[0]).sum(), abs=1e-4)
    [bare] = swap(y, (first, second), None, signs)
    assert bare.p() is None
    assert bare.p("r") < 0.05
    half = swap(y, (first, second), ceiling, signs, [np.arange(100), np.arange(100, 300)])
    assert (half[0] + half[1]).score == pytest.approx(whole.score, abs=1e-4)


def test_few_or_uneven_pictures_widen_the_quantile() -> None:
    rng = np.random.default_rng(0)
    for values in (rng.standard_normal(60), rng.standard_normal(60) ** 3, rng.uniform(size=12)):
        quantile, freedom = student_quantile(values)
        spread = stats.kurtosis(values, bias=False) + 2
        assert freedom == pytest.approx(np.clip(2 * len(values) / spread, 1, len(values) - 1))
        assert quantile == pytest.approx(stats.t.ppf(0.975, freedom))
    assert student_quantile(np.zeros(30))[0] == pytest.approx(stats.t.ppf(0.975, 29), rel=0.02)

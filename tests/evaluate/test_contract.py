"""Every metric, resample, swap and permutation against plain loops over the same arrays."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from scipy import stats

from base import load_plugin, plugin_names
from evaluate import metrics
from evaluate.metrics._inputs import Pair
from evaluate.resampling import (
    Draws,
    draw_orders,
    draw_swap_signs,
    intervals,
    permute,
    picture_weights,
    resample,
    significance,
    swap,
)
from evaluate.resampling.draws import LEFT_OUT, OBSERVED, RESAMPLED
from evaluate.scoring.vertex_scores import score_vertices

METRICS = plugin_names(metrics)
# What a metric is, of r and of a ceiling that is measured.
PLAIN: dict[str, Callable[[float, float], float]] = {
    "algonauts2021": lambda r, ceiling: r / ceiling**0.5,
    "noise_normalised": lambda r, ceiling: min(100.0, 100 * max(r, 0.0) ** 2 / ceiling),
    "pearson_r": lambda r, _: r,
    "r2": lambda r, _: r**2,
    "unclipped": lambda r, ceiling: 100 * max(r, 0.0) ** 2 / ceiling,
}
N_IMAGES, N_VERTICES = 40, 14
EXCLUDED = (0, 1, 2)
FLAT_PREDICTIONS, FLAT_RESPONSES = (4, 5, 8), (6, 7, 8)


def arrays(dtype: str, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw responses, predictions and ceilings with every special case that there is."""
    rng = np.random.default_rng(seed)
    y = rng.standard_normal((N_IMAGES, N_VERTICES))
    p = 3 + y + 1.5 * rng.standard_normal(y.shape)
    ceiling = rng.uniform(0.1, 0.9, N_VERTICES)
    ceiling[[*EXCLUDED, 3]] = 0, 1e-14, 9e-7, 1
    y, p = y.astype(dtype), p.astype(dtype)
    one = np.asarray(0.1, dtype)
    # Constant, and constant but for the last bit of some rows.
    p[:, [4, 5, 8]], y[:, [6, 7, 8]] = one, one
    for values, column in ((p, 5), (y, 7)):
        values[::3, column] = np.nextafter(one, np.asarray(1, dtype), dtype=dtype)
    return y, p, ceiling


def plain_r(y: np.ndarray, p: np.ndarray) -> list[float]:
    """Correlate by scipy, vertex by vertex; 0 where either is constant."""
    flat = {*FLAT_PREDICTIONS, *FLAT_RESPONSES}
    return [
        0.0 if v in flat else stats.pearsonr(y[:, v].astype(float), p[:, v].astype(float))[0]
        for v in range(y.shape[1])
    ]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", METRICS)
def test_contract_a_metric_is_what_plain_loops_give(name: str, dtype: str) -> None:
    assert name in PLAIN, f"{name}: give its plain definition above"
    y, p, ceiling = arrays(dtype)
    found = load_plugin(metrics, name, "metric").compute(Pair(y, p, ceiling))
    expected = [
        np.nan if v in EXCLUDED else PLAIN[name](r, ceiling[v]) for v, r in enumerate(plain_r(y, p))
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", METRICS)
def test_contract_counts_and_means(name: str) -> None:
    y, p, ceiling = arrays("float32")
    tally = score_vertices(y, p, ceiling).tally()
    each = [PLAIN[name](r, ceiling[v]) for v, r in enumerate(plain_r(y, p)) if v not in EXCLUDED]
    assert tally.mean(name) == pytest.approx(sum(each) / len(each), rel=1e-9)
    assert (tally.n_vertices, tally.n_excluded) == (N_VERTICES, len(EXCLUDED))
    assert (tally.n_constant, tally.n_constant_measured) == (3, 3)


def pictures(n: int = N_IMAGES) -> np.ndarray:
    """Name the pictures; the last is that of the first row again."""
    return np.array([b"%d" % (i % (n - 1)) for i in range(n)])


def weighted_r(y: np.ndarray, p: np.ndarray, weights: np.ndarray) -> float:
    y, p = y.astype(float), p.astype(float)
    y, p = y - weights @ y, p - weights @ p
    return float(weights @ (y * p) / np.sqrt((weights @ y**2) * (weights @ p**2)))


def plain_draws(
    y: np.ndarray, p: np.ndarray, ceiling: np.ndarray, lines: np.ndarray
) -> dict[str, list[float]]:
    """Sum what `DRAWN` names over the vertices that count, for each line of weights."""
    flat = {*FLAT_PREDICTIONS, *FLAT_RESPONSES}
    sums: dict[str, list[float]] = {name: [] for name in RESAMPLED}
    observed = plain_r(y, p)
    for weights in lines:
        total = dict.fromkeys(RESAMPLED, 0.0)
        for v, r in enumerate(observed):
            if v in EXCLUDED:
                continue
            drawn = 0.0 if v in flat else weighted_r(y[:, v], p[:, v], weights)
            error = drawn - r
            total["r"] += drawn
            total["score"] += min(max(drawn, 0) ** 2 / ceiling[v], 1)
            total["ratio"] += drawn**2 / ceiling[v]
            total["score_null"] += min(max(error, 0) ** 2 / ceiling[v], 1)
            total["ratio_null"] += error**2 / ceiling[v]
            total["error"] += error / ceiling[v]
        for name in RESAMPLED:
            sums[name].append(total[name])
    return sums


# Sums of 14 vertices, each a mean of 40 float32, divided by ceilings of 0.1 and more.
SINGLE = N_VERTICES * N_IMAGES * float(np.finfo(np.float32).eps) / 0.1


@cache
def drawn_and_plain(n: int = 200) -> tuple[Draws, dict[str, list[float]], np.ndarray]:
    y, p, ceiling = arrays("float32")
    weights = picture_weights(pictures(), n, seed=3)
    [draws] = resample(y, p, ceiling, weights)
    return draws, plain_draws(y, p, ceiling, weights.rows.astype(float)), ceiling


def test_contract_resamples_are_a_plain_bootstrap() -> None:
    draws, plain, ceiling = drawn_and_plain()
    assert draws.n_vertices == N_VERTICES - len(EXCLUDED)
    for column, name in enumerate(RESAMPLED):
        np.testing.assert_allclose(
            draws.resampled[:, column], plain[name], atol=SINGLE, err_msg=name
        )
    # As observed: the same weight for each row.
    y, p, _ = arrays("float32")
    observed = plain_draws(y, p, ceiling, np.full((1, N_IMAGES), 1 / N_IMAGES))
    for name in ("r", "score", "ratio"):
        found = draws.observed[OBSERVED.index(name)]
        assert found == pytest.approx(observed[name][0], rel=1e-9), name


def test_contract_leaving_out_is_a_plain_jackknife() -> None:
    y, p, ceiling = arrays("float32")
    names = pictures()
    [draws] = resample(y, p, ceiling, picture_weights(names, 200, seed=3))
    others = np.array([names != name for name in sorted(set(names))], float)
    others /= others.sum(axis=1, keepdims=True)
    plain = plain_draws(y, p, ceiling, others)
    for column, name in enumerate(LEFT_OUT):
        whole = draws.observed[OBSERVED.index(name)]
        np.testing.assert_allclose(
            draws.left_out[:, column], np.array(plain[name]) - whole, atol=SINGLE, err_msg=name
        )


def student(left_out: np.ndarray) -> float:
    """Take the quantile of Student's t with the degrees of freedom that the kurtosis leaves."""
    n = len(left_out)
    kurtosis = stats.kurtosis(left_out, fisher=True, bias=False)
    freedom = min(max(2 * n / max(kurtosis + 2, 1e-9), 1), n - 1)
    return float(stats.t.ppf(0.975, freedom))


def test_contract_the_interval_of_r() -> None:
    draws, plain, _ = drawn_and_plain()
    n, m = draws.n_pictures, draws.n_vertices
    mean = draws.observed[OBSERVED.index("r")] / m
    half = student(draws.left_out[:, 0]) * np.std(np.array(plain["r"]) / m) * np.sqrt(n / (n - 3))
    found = intervals(draws)
    assert found["pearson_r_low"] == pytest.approx(mean - half, abs=SINGLE)
    assert found["pearson_r_high"] == pytest.approx(mean + half, abs=SINGLE)


def test_contract_the_interval_of_the_score_ends_where_the_truth_is_too_far() -> None:
    draws, plain, _ = drawn_and_plain()
    n, m = draws.n_pictures, draws.n_vertices
    score, null = (np.array(plain[name]) / m for name in ("score", "score_null"))
    observed = draws.observed[OBSERVED.index("score")] / m
    square = draws.observed[OBSERVED.index("square")] / m
    quantile = student(draws.left_out[:, 1])
    raised = n / (n - 3)
    above = score.mean() - null.mean()

    def distance(truth: float) -> float:
        """In standard deviations of what was observed, were the truth another."""
        t = truth - null.mean()
        variance = null.var() * raised
        growth = max(score.var() * raised / (1 - square) - variance, 0) / above
        spread = (variance + growth * max(t, 0)) * (1 - square / above * max(t, 0))
        return abs(observed - truth) / np.sqrt(spread)

    found = intervals(draws)
    assert found["score_low"] is not None
    assert found["score_high"] is not None
    assert found["score_low"] / 100 < observed < found["score_high"] / 100
    for end in ("score_low", "score_high"):
        assert distance(found[end] / 100) == pytest.approx(quantile, rel=1e-3)


def test_contract_explained_has_no_chance_in_it() -> None:
    draws, plain, _ = drawn_and_plain()
    m = draws.n_vertices
    ratio, null = (np.mean(plain[name]) / m for name in ("ratio", "ratio_null"))
    observed = draws.observed[OBSERVED.index("ratio")] / m
    expected = (observed - null) / min(max((ratio - null) / observed, 0.8), 1.2)
    found = intervals(draws)
    assert found["explained"] == pytest.approx(100 * expected, abs=100 * SINGLE)
    assert found["explained_low"] <= found["explained"] <= found["explained_high"]


def test_contract_swaps_are_plain_swaps() -> None:
    y, p, ceiling = arrays("float32")
    rng = np.random.default_rng(5)
    other = (p + rng.standard_normal(p.shape)).astype(np.float32)
    other[:, 9] = 1
    signs = draw_swap_signs(pictures(), 60, seed=2)
    [found] = swap(y, (p, other), ceiling, signs)
    r, score = [], []
    counted = [v for v in range(N_VERTICES) if v not in EXCLUDED and v not in FLAT_RESPONSES]
    for line in signs:
        total = np.zeros(2)
        for v in counted:
            both = []
            for values in (p, other):
                z = values[:, v].astype(float)
                flat = np.ptp(z) < 1e-6
                both.append(np.zeros(len(z)) if flat else stats.zscore(z))
            first = np.where(line > 0, both[0], both[1])
            second = np.where(line > 0, both[1], both[0])
            each = [
                0.0 if np.ptp(z) == 0 else stats.pearsonr(y[:, v].astype(float), z)[0]
                for z in (first, second)
            ]
            shares = [min(max(one, 0) ** 2 / ceiling[v], 1) for one in each]
            total += each[1] - each[0], shares[1] - shares[0]
        r.append(total[0])
        score.append(total[1])
    assert found.n_vertices == N_VERTICES - len(EXCLUDED)
    np.testing.assert_allclose(found.r, r, atol=SINGLE)
    np.testing.assert_allclose(found.score, score, atol=SINGLE)
    for of, values in (("r", r), ("score", score)):
        as_great = sum(abs(value) >= abs(values[0]) - SINGLE for value in values)
        assert found.p(of) == as_great / len(values)


def test_contract_permutations_are_plain_permutations() -> None:
    y, p, _ = arrays("float32")
    drawn = draw_orders(pictures(), 99, seed=1)
    [found] = significance(permute(y, [p], drawn))
    flat = {*FLAT_PREDICTIONS, *FLAT_RESPONSES}
    table = np.zeros((N_VERTICES, drawn.shape[1] ** 2))
    for v in range(N_VERTICES):
        pairs = [(s, t) for s in drawn[0] for t in drawn[1]]
        for place, (s, t) in enumerate(pairs):
            if v not in flat:
                table[v, place] = stats.pearsonr(y[s, v].astype(float), p[t, v].astype(float))[0]
    rounding = 1e-6
    n = table.shape[1]
    assert n == 100
    alone = [sum(row >= row[0] - rounding) / n for row in table]
    greatest = [max(table[:, place]) for place in range(n)]
    family = [sum(one >= row[0] - rounding for one in greatest) / n for row in table]
    # Benjamini and Hochberg's step-up, from the greatest p down.
    order = sorted(range(N_VERTICES), key=lambda v: alone[v])
    q, least = [0.0] * N_VERTICES, 1.0
    for rank in range(N_VERTICES, 0, -1):
        least = min(least, alone[order[rank - 1]] * N_VERTICES / rank)
        q[order[rank - 1]] = least
    np.testing.assert_allclose(found.p, alone, atol=1e-12)
    np.testing.assert_allclose(found.q, q, atol=1e-12)
    # The greatest of all, in the order of the data, is that of the data.
    np.testing.assert_allclose(found.p_max, family, atol=1e-12)

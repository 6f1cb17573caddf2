"""Every metric: perfect, shuffled and constant predictions, excluded vertices, exact values."""

import numpy as np
import pytest
from scipy import stats

from base import RoiridgeError, load_plugin, plugin_names
from evaluate import metrics
from evaluate.metrics._correlation import BLOCK, correlation
from evaluate.metrics._inputs import Pair
from evaluate.scoring.vertex_scores import score_vertices

METRICS = plugin_names(metrics)
PERFECT = {"pearson_r": 1.0, "r2": 1.0, "noise_normalised": 100.0}


def data(n_images: int = 200, n_vertices: int = 50) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    measured = rng.standard_normal((n_images, n_vertices)).astype(np.float32)
    predicted = measured + rng.standard_normal(measured.shape).astype(np.float32)
    return measured, predicted, rng.uniform(0.05, 0.8, n_vertices)


def compute(name: str, *arrays: np.ndarray | None) -> np.ndarray:
    return load_plugin(metrics, name, "metric").compute(Pair(*arrays))


def test_there_are_the_three_of_the_table() -> None:
    assert set(METRICS) >= {"pearson_r", "r2", "noise_normalised"}
    with pytest.raises(RoiridgeError, match=r"unknown metric 'mse': choose from .*pearson_r"):
        load_plugin(metrics, "mse", "metric")


@pytest.mark.parametrize("name", METRICS)
def test_perfect_beats_noisy_beats_shuffled(name: str) -> None:
    measured, predicted, ceiling = data()
    shuffled = np.random.default_rng(1).permutation(predicted)
    best, some, none = (
        compute(name, measured, p, ceiling) for p in (measured * 3 + 1, predicted, shuffled)
    )
    assert all(x.dtype == np.float64 and x.shape == (50,) for x in (best, some, none))
    assert best.mean() >= some.mean() > none.mean() + 0.1 * abs(best.mean())
    if name in PERFECT:
        np.testing.assert_allclose(best, PERFECT[name], rtol=1e-6)


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("value", [0.0, 0.1, 1e6])
def test_a_constant_prediction_scores_zero(name: str, value: float) -> None:
    measured, predicted, ceiling = data()
    predicted[:, 7] = value
    found = compute(name, measured, predicted, ceiling)
    assert found[7] == 0
    assert np.isfinite(found).all()


@pytest.mark.parametrize("name", METRICS)
def test_vertices_of_ceiling_zero_are_excluded(name: str) -> None:
    measured, predicted, ceiling = data()
    ceiling[[3, 9]] = 0
    found = compute(name, measured, predicted, ceiling)
    assert np.flatnonzero(np.isnan(found)).tolist() == [3, 9]


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("tiny", [1e-14, 1e-300, 0.99e-6])
def test_r4_ceilings_that_no_measurement_gives_are_excluded(name: str, tiny: float) -> None:
    measured, predicted, ceiling = data()
    ceiling[[3, 9]] = tiny
    found = compute(name, measured, predicted, ceiling)
    assert np.flatnonzero(np.isnan(found)).tolist() == [3, 9]
    counts = score_vertices(measured, predicted, ceiling).tally()
    assert counts.n_excluded == 2
    assert counts.mean(name) == pytest.approx(np.nanmean(found))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_r8_a_prediction_that_is_constant_but_for_rounding_has_no_r(dtype: str) -> None:
    measured, predicted, _ = data()
    predicted = predicted.astype(dtype)
    predicted[:, 7] = -12.7
    # The last bit follows the responses: what is found would be rounding.
    high = measured[:, 7] > 0
    predicted[high, 7] = np.nextafter(predicted[high, 7], np.zeros(1, dtype), dtype=dtype)
    assert np.ptp(predicted[:, 7]) > 0
    assert correlation(measured, predicted)[7] == 0
    assert correlation(predicted, measured)[7] == 0
    assert score_vertices(measured, predicted, None).constant.nonzero()[0].tolist() == [7]
    # Small beside its mean, and yet no rounding.
    small = (1000 + measured).astype(dtype)
    np.testing.assert_allclose(correlation(measured, small), 1, atol=1e-3)


@pytest.mark.parametrize("name", METRICS)
def test_inputs_are_left_as_they_were(name: str) -> None:
    arrays = data()
    kept = [array.copy() for array in arrays]
    compute(name, *arrays)
    for array, copy in zip(arrays, kept, strict=True):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize("name", METRICS)
def test_without_ceilings_only_what_is_normalised_is_undefined(name: str) -> None:
    measured, predicted, _ = data()
    found = compute(name, measured, predicted, None)
    assert (np.isfinite if name in ("pearson_r", "r2") else np.isnan)(found).all()


def test_the_official_score_is_the_organisers_to_the_last_digits() -> None:
    # Written as their published script does it, from scipy's r, vertex by vertex.
    measured, predicted, ceiling = data(n_images=159)
    ceiling[[4, 8]] = 0.01
    each = []
    for v in range(measured.shape[1]):
        r = stats.pearsonr(measured[:, v].astype(float), predicted[:, v].astype(float))[0]
        each.append(min(100.0, max(r, 0.0) ** 2 / ceiling[v] * 100))
    found = compute("noise_normalised", measured, predicted, ceiling)
    np.testing.assert_allclose(found, each, rtol=1e-13)
    assert (found == 100).sum() >= 2


def test_the_cut_at_100_is_below_the_truth_and_without_it_is_not() -> None:
    rng = np.random.default_rng(0)
    signal, noise = (rng.standard_normal((159, 3000)) for _ in range(2))
    ceiling = np.full(3000, 0.2)
    measured = np.sqrt(ceiling) * signal + np.sqrt(1 - ceiling) * noise
    assert compute("noise_normalised", measured, signal, ceiling).mean() < 92
    assert compute("unclipped", measured, signal, ceiling).mean() == pytest.approx(101, abs=2)


def test_r_is_scipys() -> None:
    measured, predicted, _ = data(n_images=31, n_vertices=BLOCK + 5)
    expected = [
        stats.pearsonr(measured[:, v].astype(float), predicted[:, v].astype(float)).statistic
        for v in range(0, measured.shape[1], 7)
    ]
    np.testing.assert_allclose(correlation(measured, predicted)[::7], expected, atol=1e-13)


def test_r_of_responses_far_from_zero() -> None:
    rng = np.random.default_rng(0)
    y = (1e4 + rng.standard_normal((100, 3))).astype(np.float32)
    p = (1e-20 * rng.standard_normal((100, 3))).astype(np.float32)
    expected = [stats.pearsonr(y[:, v].astype(float), p[:, v].astype(float)).statistic
                for v in range(3)]  # fmt: skip
    np.testing.assert_allclose(correlation(y, p), expected, atol=1e-12)


def test_the_official_score_by_hand() -> None:
    # r = 0.5 and -0.5 exactly: of [1, 0, -1] with [1, 0, -1] turned by 60 degrees in its plane.
    y = np.array([[1.0], [0.0], [-1.0]])
    p = 0.5 * y / np.sqrt(2) + np.sqrt(0.75) * np.array([[1.0], [-2.0], [1.0]]) / np.sqrt(6)
    both = np.hstack([p, -p, p, y])
    ceiling = np.array([0.5, 0.5, 0.2, 0.9])
    found = compute("noise_normalised", np.repeat(y, 4, axis=1), both, ceiling)
    np.testing.assert_allclose(found, [50, 0, 100, 100], atol=1e-12)
    np.testing.assert_allclose(compute("r2", np.repeat(y, 4, axis=1), both, ceiling)[1], 0.25)
    free = compute("unclipped", np.repeat(y, 4, axis=1), both, ceiling)
    np.testing.assert_allclose(free, [50, 0, 125, 100 / 0.9], atol=1e-12)
    old = compute("algonauts2021", np.repeat(y, 4, axis=1), both, ceiling)
    expected = [0.5 / np.sqrt(0.5), -0.5 / np.sqrt(0.5), 0.5 / np.sqrt(0.2), 1 / np.sqrt(0.9)]
    np.testing.assert_allclose(old, expected, atol=1e-12)
    counts = score_vertices(np.repeat(y, 4, axis=1), both, ceiling).tally()
    assert (counts.n_vertices, counts.n_excluded, counts.n_clipped) == (4, 0, 2)


def test_shapes_that_disagree_and_too_few_pictures() -> None:
    measured, predicted, _ = data()
    with pytest.raises(RoiridgeError, match=r"\(200, 50\).*\(199, 50\)"):
        correlation(measured, predicted[1:])
    with pytest.raises(RoiridgeError, match="at least two"):
        correlation(measured[:1], predicted[:1])

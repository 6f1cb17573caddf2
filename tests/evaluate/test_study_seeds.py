"""Rows of several seeds: how often their intervals hold, and what is paired with what."""

from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats

from evaluate.resampling import Resampler, difference, picture_weights
from evaluate.scoring.seeds import PICTURES, PICTURES_AND_SEEDS, compare_seeds, score_range, widen
from evaluate.scoring.vertex_scores import Tally, pool, score_vertices


def _tally(measured: np.ndarray, predicted: np.ndarray, draws: int = 0) -> Tally:
    ceiling = np.full(measured.shape[1], 0.6)
    values = score_vertices(measured, predicted, ceiling)
    found = values.tally()
    if not draws:
        return found
    names = np.array([b"%032d" % i for i in range(len(measured))])
    resampler = Resampler(measured, ceiling, picture_weights(names, draws))
    (drawn,) = resampler.draws(predicted, values.r, [np.arange(measured.shape[1])])
    return Tally(**{**vars(found), "draws": drawn})


def _fits(n: int, quality: float, draws: int = 300, seed: int = 0) -> list[Tally]:
    """Make fits of a model, whose seeds add errors of their own to errors that all share."""
    rng = np.random.default_rng(1)
    measured = rng.standard_normal((60, 30))
    own = np.random.default_rng(seed)
    return [
        _tally(measured, quality * measured + own.standard_normal(measured.shape), draws)
        for _ in range(n)
    ]


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("n", [3, 5])
def test_the_interval_holds_over_pictures_and_seeds(share: float, n: int) -> None:
    # D = truth + what the pictures do + the mean of what each seed does, of a total variance of 1.
    rng = np.random.default_rng(0)
    pictures = np.sqrt(1 - share) * rng.standard_normal(4000)
    seeds = np.sqrt(n * share) * rng.standard_normal((4000, n))
    half = stats.norm.ppf(0.975) * np.sqrt(1 - share)
    held = []
    for picture, of_seeds in zip(pictures, seeds, strict=True):
        each = picture + of_seeds
        value = each.mean()
        low, high = widen(value, value - half, value + half, each)
        held.append(low <= 0 <= high)
    assert 0.94 < np.mean(held) < 1
    if share in (0, 1):
        assert np.mean(held) == pytest.approx(0.95, abs=0.012)


def test_what_seeds_and_pictures_do_together_makes_it_wider_not_narrower() -> None:
    # Each seed meets each picture in a way of its own: counted in both parts.
    rng = np.random.default_rng(0)
    held = []
    for _ in range(3000):
        each_picture = rng.standard_normal((3, 50)) * 2 + 0.3 * rng.standard_normal((3, 1))
        value = each_picture.mean()
        of_pictures = each_picture.mean(0)
        half = stats.t.ppf(0.975, 49) * of_pictures.std(ddof=1) / np.sqrt(50)
        low, high = widen(value, value - half, value + half, each_picture.mean(1))
        held.append(low <= 0 <= high)
    assert 0.95 <= np.mean(held) < 1


def test_the_mean_over_seeds_is_the_mean_over_all_their_vertices() -> None:
    each = _fits(3, 0.8)
    whole = pool(each)
    scores = [tally.mean("noise_normalised") for tally in each]
    assert whole.mean("noise_normalised") == pytest.approx(np.mean(scores))
    assert score_range(each, "score", "of")["of_low"] == min(scores)
    assert score_range(each, "score", "of")["of_high"] == max(scores)
    assert whole.draws is not None
    drawn = np.mean([tally.draws.resampled for tally in each], axis=0)  # type: ignore[union-attr]
    np.testing.assert_allclose(whole.draws.resampled / 3, drawn, rtol=1e-6)


def test_seeds_are_paired() -> None:
    good, bad = _fits(3, 0.9, seed=2), _fits(3, 0.5, seed=3)
    found = compare_seeds(bad, good, "score")
    means = [[t.mean("noise_normalised") for t in of] for of in (bad, good)]
    each = np.subtract(means[1], means[0])
    assert found["difference"] == pytest.approx(each.mean())
    assert found["covers"] == PICTURES_AND_SEEDS
    assert found["survives"] is True
    assert found["p"] is None
    over_pictures = difference(pool(bad).draws, pool(good).draws)  # type: ignore[arg-type]
    half = stats.t.ppf(0.975, 2) * stats.sem(each)
    assert over_pictures.low is not None
    expected = each.mean() - np.hypot(each.mean() - 100 * over_pictures.low, half)
    assert found["difference_low"] == pytest.approx(expected)
    # A model's own twin, of other seeds, is no better.
    twin = compare_seeds(_fits(3, 0.9, seed=4), good, "pearson_r")
    assert twin["survives"] is False
    assert twin["difference_low"] < 0 < twin["difference_high"]


@pytest.mark.parametrize(
    ("n", "solved", "covers", "paired"),
    [
        ((1, 3), True, PICTURES_AND_SEEDS, [0, 0, 0]),
        ((1, 3), False, PICTURES, [0, 0, 0]),
        ((3, 1), False, PICTURES, [0]),
        ((1, 1), False, PICTURES, [0]),
        ((2, 3), False, PICTURES_AND_SEEDS, [0, 1]),
    ],
)
def test_an_interval_says_what_it_covers(
    n: tuple[int, int], solved: bool, covers: str, paired: Sequence[int]
) -> None:
    first, second = _fits(n[0], 0.5, seed=5), _fits(n[1], 0.6, seed=6)
    found = compare_seeds(first, second, "score", solved)
    assert found["covers"] == covers
    each = [
        second[i].mean("noise_normalised") - first[k].mean("noise_normalised")  # type: ignore[operator]
        for i, k in enumerate(paired)
    ]
    assert found["difference"] == pytest.approx(np.mean(each))


def test_what_cannot_be_compared_is_left_empty() -> None:
    fits = _fits(2, 0.5)
    fewer = [Tally(**{**vars(tally), "n_vertices": 29}) for tally in fits]
    assert compare_seeds(fits, fewer, "score") == {}
    assert compare_seeds(_fits(2, 0.5, 0), _fits(2, 0.5, 0), "score") == {"difference": 0}

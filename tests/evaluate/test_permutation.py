"""Permutation tests: p is the exact test's, never 0, corrected over a subject, groups kept."""

from itertools import product

import numpy as np
import pytest
from scipy import stats

from base import RoiridgeError
from evaluate.resampling import draw_orders, permute, significance
from evaluate.resampling.simulated_scores import simulate_roi


def names(n: int) -> np.ndarray:
    return np.array([b"%064d" % i for i in range(n)])


def test_p_is_that_of_the_exact_test() -> None:
    rng = np.random.default_rng(0)
    y, p = rng.standard_normal((6, 4)), rng.standard_normal((6, 4))
    y[:, 0] += p[:, 0]
    [found] = significance(permute(y, [p], draw_orders(names(6), 20_000)))
    for v in range(4):
        # All 720 pairings of six pictures.
        exact = stats.permutation_test(
            (y[:, v],), lambda x, v=v: stats.pearsonr(x, p[:, v]).statistic,
            permutation_type="pairings", alternative="greater", n_resamples=np.inf,
        ).pvalue  # fmt: skip
        assert found.p[v] == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 20_000))


def test_p_is_never_0_and_1_where_nothing_varies() -> None:
    rng = np.random.default_rng(0)
    y = rng.standard_normal((30, 3))
    p = y.copy()
    p[:, 1] = 2.5
    [permuted] = permute(y, [p], draw_orders(names(30), 99))
    [found] = significance([permuted])
    assert found.p == pytest.approx([0.01, 1, 0.01])
    assert found.p_max == pytest.approx([0.01, 1, 0.01])
    assert permuted.r == pytest.approx([1, 0, 1], abs=1e-6)


def test_corrected_over_both_hemispheres() -> None:
    rng = np.random.default_rng(1)
    y, drawn = rng.standard_normal((40, 900)), draw_orders(names(40), 499)
    p = rng.standard_normal((40, 900)) + np.where(np.arange(900) < 200, 0.7, 0) * y
    [whole] = significance(permute(y, [p], drawn))
    halves = significance([permute(y[:, part], [p[:, part]], drawn)[0]
                           for part in (slice(0, 350), slice(350, 900))])  # fmt: skip
    for name in ("p", "q", "p_max"):
        together = np.concatenate([getattr(half, name) for half in halves])
        np.testing.assert_allclose(together, getattr(whole, name))
    # Benjamini and Hochberg's rule by its definition: the last p below its line, and all before.
    ordered = np.sort(whole.p)
    below = np.flatnonzero(ordered <= 0.05 * np.arange(1, 901) / 900)
    assert (whole.q <= 0.05).sum() == (below[-1] + 1 if below.size else 0) > 100
    assert (whole.p_max >= whole.p).all()
    r = np.array([stats.pearsonr(a, b).statistic for a, b in zip(y.T, p.T, strict=True)])
    greatest = [max(stats.pearsonr(y[s, v], p[t, v]).statistic for v in range(0, 900, 30))
                for s, t in product(drawn[0, :5], drawn[1, :5])]  # fmt: skip
    [some] = permute(y[:, ::30], [p[:, ::30]], drawn[:, :5])
    np.testing.assert_allclose(some.greatest, greatest[1:], atol=1e-5)
    np.testing.assert_allclose(some.r, r[::30], atol=1e-5)


def test_predictions_that_are_shuffled_together_are_as_each_alone() -> None:
    rng = np.random.default_rng(2)
    y, p, q = rng.standard_normal((3, 40, 700))
    p += y
    drawn = draw_orders(names(40), 150)
    for together, alone in zip(permute(y, [p, q], drawn), (p, q), strict=True):
        [one] = permute(y, [alone], drawn)
        for name in ("r", "as_great", "greatest"):
            np.testing.assert_array_equal(getattr(together, name), getattr(one, name))


def test_rows_of_a_picture_move_together() -> None:
    pictures = names(12)[[0, 1, 2, 3, 3, 4, 5, 5, 6, 7, 8, 9, 9, 9, 10, 11]]
    drawn = draw_orders(pictures, 300)
    assert drawn.shape == (2, 18, 16)
    np.testing.assert_array_equal(drawn[:, 0], np.tile(np.arange(16), (2, 1)))
    every = drawn.reshape(-1, 16)
    np.testing.assert_array_equal(np.sort(every, axis=1), np.tile(np.arange(16), (36, 1)))
    for order in every:
        moved = pictures[order]
        for name in np.unique(pictures):
            assert len(set(moved[pictures == name])) == 1
    pairs = {tuple(s[np.argsort(t)]) for s, t in product(*drawn)}
    assert len(pairs) > 300
    np.testing.assert_array_equal(drawn, draw_orders(pictures, 300))
    # Only pictures of as many rows change places: 9 is the one of three.
    assert (every[:, 11:14] == [11, 12, 13]).all()


def test_predictions_of_noise_are_rarely_significant() -> None:
    of, rng = simulate_roi(0.0, 60, np.random.default_rng(0)), np.random.default_rng(1)
    alone, family = [], []
    for number in range(150):
        y = of.responses(40, rng)
        drawn = draw_orders(names(40), 199, number)
        [found] = significance(permute(y, [of.predictions(y, rng)], drawn))
        alone.append((found.p <= 0.05).mean())
        family.append((found.p_max <= 0.05).any())
    assert np.mean(alone) == pytest.approx(0.05, abs=0.015)
    assert 0.005 <= np.mean(family) <= 0.11


def test_parts_that_were_permuted_apart_are_refused() -> None:
    y = np.random.default_rng(0).standard_normal((20, 3))
    parts = [permute(y, [y], draw_orders(names(20), n))[0] for n in (99, 100)]
    with pytest.raises(RoiridgeError, match=r"permuted 99, 120 times"):
        significance(parts)


def test_a_hemisphere_without_vertices() -> None:
    y, drawn = np.random.default_rng(0).standard_normal((20, 3)), draw_orders(names(20), 99)
    full, empty = significance([*permute(y, [y], drawn), *permute(y[:, :0], [y[:, :0]], drawn)])
    assert len(empty.p) == len(empty.q) == 0
    assert (full.p == 0.01).all()


def test_the_smallest_table_of_orders_is_exact() -> None:
    # Two orders of each: three permutations, so that a null p is 1/4, 2/4, 3/4 or 1, each as often.
    rng = np.random.default_rng(3)
    counts = np.zeros(4)
    for seed in range(300):
        y, p = rng.standard_normal((2, 9, 40))
        [found] = permute(y, [p], draw_orders(names(9), 3, seed))
        assert len(found.greatest) == 3
        counts += np.bincount(found.as_great, minlength=4)
    np.testing.assert_allclose(counts / counts.sum(), 0.25, atol=0.02)

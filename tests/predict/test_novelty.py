"""Distance from the training pictures: Mahalanobis' under scikit-learn's covariance."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.decomposition import PCA

from predict.novelty import PICTURES_PER_COMPONENT, Novelty, SpaceDistance


@pytest.mark.parametrize(("n_images", "n_columns"), [(200, 12), (80, 120)])
def test_distances_are_mahalanobis(n_images: int, n_columns: int) -> None:
    rng = np.random.default_rng(0)
    mixing = rng.standard_normal((n_columns, n_columns)) * np.geomspace(3, 0.1, n_columns)
    rows = (rng.standard_normal((n_images + 40, n_columns)) @ mixing + 5).astype(np.float32)
    training, heldout = rows[:n_images], rows[n_images:]
    distance = SpaceDistance.fit(training, heldout)
    n_components = min(n_columns - 1, n_images // PICTURES_PER_COMPONENT)
    pca = PCA(n_components).fit(training.astype(np.float64))
    inverse = np.linalg.inv(pca.get_covariance())
    expected = cdist(heldout, pca.mean_[None], "mahalanobis", VI=inverse)[:, 0]
    # The inverse of the covariance loses digits.
    np.testing.assert_allclose(distance.distances(heldout), expected / np.median(expected), 1e-5)


def test_the_median_heldout_picture_is_at_1_and_percentiles_count_heldout_pictures() -> None:
    rng = np.random.default_rng(1)
    rows = rng.standard_normal((300, 20)).astype(np.float32)
    novelty = Novelty.fit({"a": rows[:200]}, {"a": rows[200:]})
    distances = novelty.distances({"a": rows[200:]})
    assert np.median(distances) == pytest.approx(1, rel=1e-5)
    # Each held-out picture is farther than those before it, and not farther than itself.
    np.testing.assert_allclose(np.sort(novelty.percentiles(distances)), np.arange(100))
    assert novelty.percentiles(np.array([0.0, 1e9])).tolist() == [0, 100]


def test_pictures_of_another_kind_are_farther() -> None:
    rng = np.random.default_rng(2)
    rows = rng.standard_normal((300, 30)).astype(np.float32) * np.geomspace(5, 0.05, 30)
    novelty = Novelty.fit({"a": rows[:200]}, {"a": rows[200:]})
    # A small shift along a direction in which the training pictures hardly vary.
    shifted = rows[200:] + np.eye(30)[-1] * 0.5
    assert np.median(novelty.distances({"a": shifted})) > 1.3
    assert np.median(novelty.percentiles(novelty.distances({"a": shifted}))) > 90


def test_several_spaces_weigh_the_same_and_come_back_from_their_arrays() -> None:
    rng = np.random.default_rng(3)
    training = {"a": rng.standard_normal((100, 8)), "b": 1000 * rng.standard_normal((100, 50))}
    heldout = {"a": rng.standard_normal((30, 8)), "b": 1000 * rng.standard_normal((30, 50))}
    novelty = Novelty.fit(training, heldout)
    alone = [Novelty.fit({n: training[n]}, {n: heldout[n]}).distances(heldout) for n in "ab"]
    np.testing.assert_allclose(novelty.distances(heldout), np.mean(alone, axis=0), rtol=1e-5)
    again = Novelty.restore(novelty.arrays(), ["a", "b"])
    np.testing.assert_array_equal(again.distances(heldout), novelty.distances(heldout))


def test_columns_that_never_vary_do_no_harm() -> None:
    rows = np.random.default_rng(4).standard_normal((100, 6)).astype(np.float32)
    rows[:, 3:] = 7
    novelty = Novelty.fit({"a": rows[:80]}, {"a": rows[80:]})
    assert np.isfinite(novelty.distances({"a": rows[80:]})).all()
    constant = np.ones((50, 4), np.float32)
    assert np.isfinite(Novelty.fit({"a": constant}, {"a": constant[:9]}).heldout).all()

"""Features and responses of many kinds, to hold ridge solvers against others."""

from typing import Any

import numpy as np

ALPHAS = np.logspace(-2, 5, 15)
Data = tuple[np.ndarray, np.ndarray]


def plain(n: int = 120, p: int = 30, t: int = 25) -> Data:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, p))
    return X, X @ rng.standard_normal((p, t)) * 0.5 + 2 * rng.standard_normal((n, t))


def far_from_zero() -> Data:
    X, Y = plain()
    return X + 30, Y - 50


def collinear() -> Data:
    X, Y = plain()
    return np.hstack([X, X[:, :10], X[:, :5] - X[:, 5:10]]), Y


def six_decades() -> Data:
    X, Y = plain()
    return X * np.logspace(-3, 3, X.shape[1]), Y


def constant_column_and_vertex() -> Data:
    X, Y = plain()
    X[:, 4], Y[:, 3] = 2, 7
    return X, Y


def wide() -> Data:
    return plain(n=60, p=150)


def barely_wide() -> Data:
    # More columns than pictures in a training fold, but not in all.
    return plain(n=100, p=90)


def wide_six_decades() -> Data:
    X, Y = wide()
    return X * np.logspace(-4, 4, X.shape[1]), Y


def agree(ours: Any, theirs: Any, dtype: str) -> None:
    """Hold the tolerances that the README promises."""
    theirs_alphas, our_alphas = np.asarray(theirs.best_alphas_), np.asarray(ours.best_alphas_)
    same = np.isclose(our_alphas, theirs_alphas, rtol=1e-3)
    our_scores, their_scores = np.asarray(ours.cv_scores_), np.asarray(theirs.cv_scores_)
    loose = 1e-4 * max(1.0, float(np.abs(their_scores).max()))
    np.testing.assert_allclose(our_scores, their_scores, atol=loose)
    assert same.mean() >= 0.96
    tolerance = 1e-3 if dtype == "float32" else 1e-8
    scale = np.abs(theirs.coef_[:, same]).max()
    np.testing.assert_allclose(
        ours.coef_[:, same], theirs.coef_[:, same], atol=tolerance * scale, rtol=tolerance
    )

"""`RidgeCV` and `BandedRidgeCV` beside himalaya's own, on inputs of many kinds."""

from collections.abc import Callable, Iterator
from typing import Any

import himalaya.ridge
import numpy as np
import pytest
from himalaya.backend import set_backend
from himalaya.kernel_ridge import KernelRidgeCV
from himalaya.scoring import correlation_score, l2_neg_loss, r2_score
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold, ShuffleSplit, TimeSeriesSplit

from regress import BandedRidgeCV, RegressError, RidgeCV
from regress.solvers.arguments import Splits
from regress.solvers.forms import solve_banded_ridge
from regress.solvers.group_ridge import solve_group_ridge_moments
from tests.builders.ridge_inputs import (
    ALPHAS,
    Data,
    agree,
    barely_wide,
    collinear,
    constant_column_and_vertex,
    far_from_zero,
    plain,
    six_decades,
    wide,
    wide_six_decades,
)


@pytest.fixture(autouse=True)
def _numpy_backend() -> Iterator[None]:
    yield
    set_backend("numpy")


INPUTS = [
    plain, far_from_zero, collinear, six_decades, constant_column_and_vertex, wide,
    barely_wide,
]  # fmt: skip
SCORES = [l2_neg_loss, r2_score, correlation_score]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("make", INPUTS)
@pytest.mark.parametrize("score", SCORES)
def test_ridge_as_himalaya(make: Callable[[], Data], score: Any, dtype: str) -> None:
    X, Y = (a.astype(dtype) for a in make())
    # Beside columns of 1000, float32 holds no penalty below 1.
    alphas = ALPHAS[ALPHAS >= 1] if (dtype, make) == ("float32", six_decades) else ALPHAS
    options = {"alphas": alphas, "fit_intercept": True, "cv": 5}
    parameters = {"score_func": score}
    theirs = himalaya.ridge.RidgeCV(**options, solver_params={**parameters, "warn": False})
    theirs.fit(X, Y)
    ours = RidgeCV(**options, solver_params=parameters).fit(X, Y)
    varies = Y.std(0) > 0
    for model in (ours, theirs):
        model.coef_, model.best_alphas_ = model.coef_[:, varies], model.best_alphas_[varies]
        model.cv_scores_ = np.nan_to_num(model.cv_scores_[varies])
    agree(ours, theirs, dtype)


@pytest.mark.parametrize(("n", "p"), [(400, 60), (60, 100)])
@pytest.mark.parametrize("banded", [False, True])
def test_bands_eight_decades_apart_keep_their_digits(n: int, p: int, banded: bool) -> None:
    X, Y = plain(n, p)
    groups = np.sort(np.arange(p) % 3)
    X = X * np.array([1e-4, 1, 1e4])[groups]
    alphas = np.logspace(-3, 3, 7)
    theirs, ours = _both(groups if banded else None, alphas).values()
    for model in (theirs.fit(X, Y), ours.fit(X, Y)):
        model.cv_scores_ = np.atleast_2d(model.cv_scores_).max(0)
    np.testing.assert_allclose(ours.cv_scores_, theirs.cv_scores_, atol=1e-6)
    np.testing.assert_allclose(ours.best_alphas_, theirs.best_alphas_, rtol=1e-3)
    # himalaya's decomposition has no more than its rounding beside the largest columns, which is
    # another on each processor; a QR decomposition of columns of equal scale has all digits.
    deltas = ours.deltas_[groups] if banded else np.tile(-np.log(ours.best_alphas_), (p, 1))
    expected = np.stack([_by_qr(X, *of) for of in zip(Y.T, np.exp(-deltas).T, strict=True)], 1)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(ours.coef_, expected, atol=1e-8 * scale, rtol=1e-8)
    # The small coefficients beside large columns count as much for the prediction.
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), atol=1e-6)


def _by_qr(X: np.ndarray, y: np.ndarray, penalties: np.ndarray) -> np.ndarray:
    """Solve ridge regression with a penalty a column as least squares with rows for penalties."""
    stacked = np.vstack([X - X.mean(0), np.diag(penalties**0.5)])
    norms = np.linalg.norm(stacked, axis=0)
    right = np.concatenate([y - y.mean(), np.zeros(len(penalties))])
    return np.linalg.lstsq(stacked / norms, right, rcond=None)[0] / norms


@pytest.mark.parametrize(("n", "p"), [(120, 30), (60, 100)])
@pytest.mark.parametrize(("x", "y"), [(30, 0), (0, 100), (30, 100)])
@pytest.mark.parametrize("banded", [False, True])
def test_data_far_from_zero_without_an_intercept(
    n: int, p: int, x: float, y: float, banded: bool
) -> None:
    X, Y = plain(n, p)
    X = np.hstack([X + x, np.ones((n, 1))]).astype(np.float32)
    Y = (Y + y).astype(np.float32)
    groups = np.sort(np.arange(p + 1) % 3)
    theirs, ours = _both(groups if banded else None, ALPHAS, fit_intercept=False).values()
    # himalaya's own float32 has not the digits: what is right is its float64.
    theirs.fit(X.astype(np.float64), Y.astype(np.float64))
    ours.fit(X, Y)
    assert {str(a.dtype) for a in (ours.coef_, ours.cv_scores_)} == {"float32"}
    assert np.isclose(ours.best_alphas_, theirs.best_alphas_, rtol=1e-3).all()
    scale = np.abs(theirs.coef_).max()
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-5 * scale)


def _both(groups: Any, alphas: np.ndarray, fit_intercept: bool = True) -> dict[str, Any]:
    """Give himalaya's estimator and ours: banded, or with one penalty."""
    if groups is None:
        options: dict[str, Any] = {"alphas": alphas, "fit_intercept": fit_intercept}
        return {
            "theirs": himalaya.ridge.RidgeCV(**options, solver_params={"warn": False}),
            "ours": RidgeCV(**options),
        }
    options = {"groups": groups, "fit_intercept": fit_intercept, "random_state": 1}
    parameters = {"n_iter": 6, "alphas": alphas, "progress_bar": False}
    return {
        "theirs": himalaya.ridge.GroupRidgeCV(
            **options, solver_params={**parameters, "warn": False}
        ),
        "ours": BandedRidgeCV(**options, solver_params=parameters),
    }


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("make", [plain, far_from_zero, collinear, wide])
def test_banded_ridge_as_himalaya(make: Callable[[], Data], dtype: str) -> None:
    X, Y = (a.astype(dtype) for a in make())
    groups = np.arange(X.shape[1]) % 3
    options = {"groups": groups, "fit_intercept": True, "cv": 4, "random_state": 1}
    parameters = {"n_iter": 12, "alphas": ALPHAS, "progress_bar": False}
    theirs = himalaya.ridge.GroupRidgeCV(**options, solver_params={**parameters, "warn": False})
    ours = BandedRidgeCV(**options, solver_params=parameters)
    theirs.fit(X, Y)
    ours.fit(X, Y)
    assert np.isclose(ours.deltas_, theirs.deltas_, atol=1e-3).all(0).mean() >= 0.96
    assert ours.cv_scores_.shape == theirs.cv_scores_.shape
    ours.cv_scores_, theirs.cv_scores_ = ours.cv_scores_.max(0), theirs.cv_scores_.max(0)
    agree(ours, theirs, dtype)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize(
    "cv",
    [
        KFold(5),
        KFold(4, shuffle=True, random_state=0),
        ShuffleSplit(4, test_size=0.3, random_state=0),
        ShuffleSplit(3, test_size=0.2, train_size=0.5, random_state=0),
        TimeSeriesSplit(4),
    ],
    ids=["folds", "shuffled", "overlapping", "leaving some out", "growing"],
)
@pytest.mark.parametrize("form", ["primal", "dual"])
def test_any_folds_and_either_form(cv: Any, form: str, fit_intercept: bool) -> None:
    X, Y = plain()
    options = {"alphas": ALPHAS, "fit_intercept": fit_intercept, "cv": cv}
    theirs = himalaya.ridge.RidgeCV(**options).fit(X, Y)
    ours = RidgeCV(**options, solver_params={"form": form}).fit(X, Y)
    np.testing.assert_allclose(ours.best_alphas_, theirs.best_alphas_)
    np.testing.assert_allclose(ours.cv_scores_, theirs.cv_scores_, atol=1e-8)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-8)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), atol=1e-7)


def test_the_dual_form_is_himalayas_kernel_ridge() -> None:
    X, Y = wide()
    X = X - X.mean(0)
    theirs = KernelRidgeCV(alphas=ALPHAS, kernel="linear", fit_intercept=True).fit(X, Y)
    ours = RidgeCV(alphas=ALPHAS, fit_intercept=True).fit(X, Y)
    np.testing.assert_allclose(ours.best_alphas_, theirs.best_alphas_)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), atol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_band_of_weight_0_is_left_out(dtype: str) -> None:
    X, Y = (a.astype(dtype) for a in plain())
    groups = np.arange(30) // 10
    parameters = {"alphas": ALPHAS, "progress_bar": False, "n_iter": np.array([[0.5, 0.5, 0.0]])}
    ours = BandedRidgeCV(groups, solver_params=parameters, fit_intercept=True).fit(X, Y)
    assert (ours.coef_[20:] == 0).all()
    two = BandedRidgeCV(
        groups[:20], solver_params={**parameters, "n_iter": np.ones((1, 2)) / 2}, fit_intercept=True
    ).fit(X[:, :20], Y)
    np.testing.assert_allclose(ours.coef_[:20], two.coef_, rtol=1e-3, atol=1e-5)
    for bad in ([-0.5, 1, 0.5], [np.nan, 0.5, 0.5], [0, 0, 0]):
        wrong = {**parameters, "n_iter": np.array([bad], float)}
        with pytest.raises(ValueError, match="not negative"):
            BandedRidgeCV(groups, solver_params=wrong).fit(X, Y)


@pytest.mark.parametrize(
    ("make", "dtype"),
    [
        (plain, "float32"),
        (wide, "float32"),
        (six_decades, "float64"),
        (wide_six_decades, "float64"),
    ],
)
def test_torch_gives_the_same(make: Callable[[], Data], dtype: str) -> None:
    X, Y = (a.astype(dtype) for a in make())
    parameters = {"n_iter": 5, "alphas": ALPHAS, "progress_bar": False}
    options = {"groups": np.arange(X.shape[1]) % 2, "fit_intercept": True, "random_state": 0}
    expected = BandedRidgeCV(**options, solver_params=parameters).fit(X, Y)
    backend = set_backend("torch")
    found = BandedRidgeCV(**options, solver_params=parameters).fit(X, Y)
    tolerance = 2e-3 if dtype == "float32" else 1e-8
    scale = np.abs(expected.coef_).max()
    np.testing.assert_allclose(
        backend.to_numpy(found.coef_), expected.coef_, atol=tolerance * scale
    )


def test_solve_banded_ridge_with_an_intercept() -> None:
    X, Y = far_from_zero()
    deltas = -np.log(np.array([[1.0, 10.0] + [100.0] * 23]))
    coefficients, intercept = solve_banded_ridge(
        X, Y, np.zeros(30, int), deltas, fit_intercept=True
    )
    for vertex, alpha in ((0, 1.0), (1, 10.0), (7, 100.0)):
        reference = Ridge(alpha=alpha).fit(X, Y[:, vertex])
        np.testing.assert_allclose(coefficients[:, vertex], reference.coef_, atol=1e-9)
        np.testing.assert_allclose(intercept[vertex], reference.intercept_, atol=1e-7)


def test_bad_input() -> None:
    X, Y = plain(n=20)
    for alphas in ([0.0, 1.0], [-1.0], [np.nan], []):
        with pytest.raises((RegressError, ValueError), match=r"alphas|minimum of 1|NaN"):
            RidgeCV(alphas=alphas).fit(X, Y)
    with pytest.raises(ValueError, match=r"n_splits=21 greater than the number of samples"):
        RidgeCV(cv=21).fit(X, Y)
    with pytest.raises(ValueError, match=r"Empty train or validation set in fold 1"):
        Splits([np.arange(10), np.arange(20)], [np.arange(10, 20), np.arange(0)], 20)
    with pytest.raises(RegressError, match=r"memory: 100 bytes are too few .* are needed"):
        RidgeCV(solver_params={"memory": 100}).fit(X, Y)
    with pytest.raises(RegressError, match=r"band 1 has no columns"):
        solve_group_ridge_moments([X, X[:, :0]], Y)
    with pytest.raises(RegressError, match=r"form: found 'dula', expected auto, primal or dual"):
        RidgeCV(solver_params={"form": "dula"}).fit(X, Y)
    with pytest.raises(RegressError, match=r"jitter_alphas=True is not offered"):
        BandedRidgeCV(solver_params={"jitter_alphas": True}).fit(X, Y)
    with pytest.raises(RegressError, match=r"n_iter: found shape \(3, 2\), expected a number"):
        BandedRidgeCV(solver_params={"n_iter": np.ones((3, 2))}).fit(X, Y)
    Y[3, 2] = np.nan
    with pytest.raises(ValueError, match=r"NaN, infinity"):
        RidgeCV().fit(X, Y)


def test_a_constant_vertex_scores_0() -> None:
    X, Y = constant_column_and_vertex()
    for form in ("primal", "dual"):
        model = RidgeCV(
            alphas=ALPHAS,
            fit_intercept=True,
            solver_params={"score_func": r2_score, "form": form},
        ).fit(X, Y)
        assert model.cv_scores_[3] == 0
        np.testing.assert_allclose(model.coef_[:, 3], 0, atol=1e-12)
        np.testing.assert_allclose(model.intercept_[3], 7)

"""`RidgeCV` and `BandedRidgeCV` beside himalaya's own, on inputs of many kinds."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import himalaya.ridge
import numpy as np
import pytest
from himalaya.backend import set_backend
from himalaya.kernel_ridge import KernelRidgeCV
from himalaya.scoring import correlation_score, l2_neg_loss, r2_score
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold, ShuffleSplit, TimeSeriesSplit

from cache import read_artifact
from regress import BandedRidgeCV, RegressError, RidgeCV
from regress.checkpoint import Checkpoint
from regress.forms import shared_forms, solve_given
from regress.heldout import penalty_basis, quadratic
from regress.primal import Primal
from regress.search import Found, Rule, search
from regress.solvers import solve_group_ridge_moments
from regress.splits import Splits
from regress.sums import feature_moments, response_moments

ALPHAS = np.logspace(-2, 5, 15)
Data = tuple[np.ndarray, np.ndarray]


@pytest.fixture(autouse=True)
def _numpy_backend() -> Iterator[None]:
    yield
    set_backend("numpy")


def _plain(n: int = 120, p: int = 30, t: int = 25) -> Data:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, p))
    return X, X @ rng.standard_normal((p, t)) * 0.5 + 2 * rng.standard_normal((n, t))


def _far_from_zero() -> Data:
    X, Y = _plain()
    return X + 30, Y - 50


def _collinear() -> Data:
    X, Y = _plain()
    return np.hstack([X, X[:, :10], X[:, :5] - X[:, 5:10]]), Y


def _six_decades() -> Data:
    X, Y = _plain()
    return X * np.logspace(-3, 3, X.shape[1]), Y


def _constant_column_and_vertex() -> Data:
    X, Y = _plain()
    X[:, 4], Y[:, 3] = 2, 7
    return X, Y


def _wide() -> Data:
    return _plain(n=60, p=150)


def _barely_wide() -> Data:
    # More columns than pictures in a training fold, but not in all.
    return _plain(n=100, p=90)


INPUTS = [
    _plain, _far_from_zero, _collinear, _six_decades, _constant_column_and_vertex, _wide,
    _barely_wide,
]  # fmt: skip
SCORES = [l2_neg_loss, r2_score, correlation_score]


def _agree(ours: Any, theirs: Any, dtype: str) -> None:
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


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("make", INPUTS)
@pytest.mark.parametrize("score", SCORES)
def test_ridge_as_himalaya(make: Callable[[], Data], score: Any, dtype: str) -> None:
    X, Y = (a.astype(dtype) for a in make())
    # Beside columns of 1000, float32 holds no penalty below 1.
    alphas = ALPHAS[ALPHAS >= 1] if (dtype, make) == ("float32", _six_decades) else ALPHAS
    options = {"alphas": alphas, "fit_intercept": True, "cv": 5}
    parameters = {"score_func": score}
    theirs = himalaya.ridge.RidgeCV(**options, solver_params={**parameters, "warn": False})
    theirs.fit(X, Y)
    ours = RidgeCV(**options, solver_params=parameters).fit(X, Y)
    varies = Y.std(0) > 0
    for model in (ours, theirs):
        model.coef_, model.best_alphas_ = model.coef_[:, varies], model.best_alphas_[varies]
        model.cv_scores_ = np.nan_to_num(model.cv_scores_[varies])
    _agree(ours, theirs, dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("make", [_plain, _far_from_zero, _collinear, _wide])
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
    _agree(ours, theirs, dtype)


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
    X, Y = _plain()
    options = {"alphas": ALPHAS, "fit_intercept": fit_intercept, "cv": cv}
    theirs = himalaya.ridge.RidgeCV(**options).fit(X, Y)
    ours = RidgeCV(**options, solver_params={"form": form}).fit(X, Y)
    np.testing.assert_allclose(ours.best_alphas_, theirs.best_alphas_)
    np.testing.assert_allclose(ours.cv_scores_, theirs.cv_scores_, atol=1e-8)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-8)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), atol=1e-7)


def test_the_dual_form_is_himalayas_kernel_ridge() -> None:
    X, Y = _wide()
    X = X - X.mean(0)
    theirs = KernelRidgeCV(alphas=ALPHAS, kernel="linear", fit_intercept=True).fit(X, Y)
    ours = RidgeCV(alphas=ALPHAS, fit_intercept=True).fit(X, Y)
    np.testing.assert_allclose(ours.best_alphas_, theirs.best_alphas_)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), atol=1e-6)


@pytest.mark.parametrize(
    ("conservative", "local_alpha"), [(False, True), (False, False), (True, True)]
)
def test_rules_as_himalaya(conservative: bool, local_alpha: bool) -> None:
    X, Y = _plain()
    parameters = {"conservative": conservative, "local_alpha": local_alpha}
    theirs = himalaya.ridge.RidgeCV(alphas=ALPHAS, solver_params=parameters).fit(X, Y)
    ours = RidgeCV(alphas=ALPHAS, solver_params=parameters).fit(X, Y)
    np.testing.assert_allclose(ours.best_alphas_, theirs.best_alphas_)


def test_any_score_function() -> None:
    def absolute(measured: Any, predicted: Any) -> Any:
        return -np.abs(predicted - measured).mean(-2)

    X, Y = _plain()
    parameters = {"score_func": absolute}
    theirs = himalaya.ridge.RidgeCV(alphas=ALPHAS, solver_params=parameters).fit(X, Y)
    ours = RidgeCV(alphas=ALPHAS, solver_params=parameters).fit(X, Y)
    np.testing.assert_allclose(ours.best_alphas_, theirs.best_alphas_)
    np.testing.assert_allclose(ours.cv_scores_, theirs.cv_scores_, atol=1e-8)


def test_vertices_of_a_group_choose_together() -> None:
    X, Y = _plain(t=12)
    groups = np.repeat([0, 1, 2], 4)
    ours = RidgeCV(alphas=ALPHAS, solver_params={"scope": groups, "score_func": r2_score})
    ours.fit(X, Y)
    folds = list(KFold(5).split(X))
    for group in range(3):
        columns = groups == group
        means = []
        for alpha in ALPHAS:
            each = [
                r2_score(
                    Y[test][:, columns],
                    Ridge(alpha=alpha, fit_intercept=False)
                    .fit(X[train], Y[train][:, columns])
                    .predict(X[test]),
                ).mean()
                for train, test in folds
            ]
            means.append(np.mean(each))
        np.testing.assert_allclose(ours.best_alphas_[columns], ALPHAS[np.argmax(means)])


def test_scope_roi_is_one_roi_and_constant_vertices_do_not_vote() -> None:
    X, Y = _plain(t=6)
    parameters = {"score_func": r2_score}
    each = RidgeCV(ALPHAS, solver_params={**parameters, "scope": np.full(6, 9)}).fit(X, Y)
    roi = RidgeCV(ALPHAS, solver_params={**parameters, "scope": "roi"}).fit(X, Y)
    assert len(set(roi.best_alphas_.tolist())) == 1
    np.testing.assert_array_equal(each.best_alphas_, roi.best_alphas_)
    with pytest.raises(RegressError, match="scope: found 'voxel', expected vertex, roi or an ROI"):
        RidgeCV(ALPHAS, solver_params={"scope": "voxel"}).fit(X, Y)
    with pytest.raises(RegressError, match=r"scope: found shape \(5,\), expected .* each of the 6"):
        RidgeCV(ALPHAS, solver_params={"scope": np.zeros(5)}).fit(X, Y)


def test_an_interrupted_search_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    X, Y = _plain()
    calls = 0

    def interrupted(measured: Any, predicted: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 31:
            raise KeyboardInterrupt
        return r2_score(measured, predicted)

    splits = Splits(*zip(*KFold(5).split(X), strict=True), len(X))
    bands = np.arange(X.shape[1]) % 3
    gammas = np.random.default_rng(0).dirichlet(np.ones(3), 12)

    def run(score: Any, checkpoint: Checkpoint | None) -> Found:
        form = Primal(X, splits, True, score, bands)
        return search(form, form.load(Y), 25, gammas, ALPHAS, Rule(), checkpoint=checkpoint)

    whole = run(r2_score, None)
    path = tmp_path / "search.h5"
    with pytest.raises(KeyboardInterrupt):
        run(interrupted, Checkpoint(path, "this", every=0))
    # Five folds a weighting: the seventh was interrupted.
    assert len(read_artifact(path)[0]["tried"]) == 6
    with caplog.at_level("INFO", "regress"):
        resumed = run(r2_score, Checkpoint(path, "this"))
    assert "the search goes on after 6 weightings" in caplog.text
    for name in ("weighting", "alphas"):
        np.testing.assert_array_equal(getattr(resumed, name), getattr(whole, name))
    np.testing.assert_allclose(resumed.scores, whole.scores, atol=1e-10)
    # Another search, or a damaged file, is not taken up.
    assert Checkpoint(path, "another").load() is None
    path.write_bytes(path.read_bytes()[:300])
    assert Checkpoint(path, "this").load() is None
    assert "of another search" in caplog.text
    assert "damaged" in caplog.text


def test_a_checkpoint_knows_its_search(tmp_path: Path) -> None:
    X, Y = _plain()
    path, which = tmp_path / "search.h5", slice(0, 25)
    one = Checkpoint.of(path, which, (X, Y, ALPHAS, r2_score))
    assert one.path.name == "search-0-25.h5"
    changed = Y.copy()
    changed[3, 7] += 1e-9
    others = [(X, changed, ALPHAS, r2_score), (X, Y, ALPHAS[1:], r2_score), (X, Y, ALPHAS, None)]
    # Functions without a name of their own are never taken for the same.
    others += [(X, Y, ALPHAS, lambda y, p: r2_score(y, p))] * 2
    assert one.belongs == Checkpoint.of(path, which, (X.copy(), Y, ALPHAS, r2_score)).belongs
    assert one.belongs not in [Checkpoint.of(path, which, other).belongs for other in others]


def test_shared_forms_change_nothing(caplog: pytest.LogCaptureFixture) -> None:
    X, Y = _plain()
    apart = [RidgeCV(ALPHAS, True).fit(X, part) for part in (Y[:, :10], Y[:, 10:])]
    with caplog.at_level("INFO", "regress"), shared_forms():
        shared = [RidgeCV(ALPHAS, True).fit(X, part) for part in (Y[:, :10], Y[:, 10:])]
        assert caplog.text.count("primal form: 120 pictures, 30 columns") == 1
        RidgeCV(ALPHAS, True).fit(X * 2, Y)
        RidgeCV(ALPHAS, True, cv=4).fit(X, Y)
    assert caplog.text.count("primal form") == 3
    for one, other in zip(apart, shared, strict=True):
        np.testing.assert_array_equal(one.coef_, other.coef_)


def test_shared_forms_keep_their_own_features() -> None:
    X, Y = _plain()
    expected = RidgeCV(ALPHAS, True).fit(X, Y).coef_
    with shared_forms():
        buffer = X.copy()
        RidgeCV(ALPHAS, True).fit(buffer, Y)
        buffer *= 0
        np.testing.assert_allclose(RidgeCV(ALPHAS, True).fit(X, Y).coef_, expected, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_band_of_weight_0_is_left_out(dtype: str) -> None:
    X, Y = (a.astype(dtype) for a in _plain())
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


def test_an_roi_is_not_divided_when_memory_runs_out() -> None:
    X, Y = _plain()

    def starved(measured: Any, predicted: Any) -> Any:
        raise MemoryError("no more")

    for options in ({"scope": "roi"}, {"local_alpha": False}):
        model = RidgeCV(ALPHAS, solver_params={"score_func": starved, **options})
        with pytest.raises(MemoryError):
            model.fit(X, Y)


def test_patience_must_be_positive() -> None:
    X, Y = _plain()
    with pytest.raises(RegressError, match="patience: found 0, expected None, or 1 or more"):
        BandedRidgeCV(solver_params={"patience": 0, "progress_bar": False}).fit(X, Y)


def test_batches_change_nothing() -> None:
    X, Y = _plain(t=40)
    whole = RidgeCV(alphas=ALPHAS, fit_intercept=True).fit(X, Y)
    for parameters in ({"n_targets_batch": 7}, {"memory": 20_000}):
        parts = RidgeCV(alphas=ALPHAS, fit_intercept=True, solver_params=parameters).fit(X, Y)
        np.testing.assert_allclose(parts.best_alphas_, whole.best_alphas_)
        np.testing.assert_allclose(parts.coef_, whole.coef_, atol=1e-10)


def test_patience_stops_the_search() -> None:
    X, Y = _plain()
    parameters = {"n_iter": np.ones((30, 2)) / 2, "alphas": ALPHAS, "progress_bar": False}
    banded = BandedRidgeCV(groups=np.arange(30) % 2, solver_params={**parameters, "patience": 4})
    assert banded.fit(X, Y).cv_scores_.shape == (5, 25)


@pytest.mark.parametrize("make", [_plain, _wide])
def test_torch_gives_the_same(make: Callable[[], Data]) -> None:
    X, Y = (a.astype("float32") for a in make())
    parameters = {"n_iter": 5, "alphas": ALPHAS, "progress_bar": False}
    options = {"groups": np.arange(X.shape[1]) % 2, "fit_intercept": True, "random_state": 0}
    expected = BandedRidgeCV(**options, solver_params=parameters).fit(X, Y)
    backend = set_backend("torch")
    found = BandedRidgeCV(**options, solver_params=parameters).fit(X, Y)
    np.testing.assert_allclose(
        backend.to_numpy(found.coef_), expected.coef_, atol=2e-3 * np.abs(expected.coef_).max()
    )


def test_moments_add_and_keep_digits_far_from_zero() -> None:
    X, Y = _plain()
    X, Y = (X + 1000).astype("float32"), (Y - 500).astype("float32")
    rows = np.arange(120)
    centres = (X.mean(0), Y.mean(0))
    parts = [feature_moments(X, part, centres[0]) for part in (rows[:50], rows[50:])]
    whole = parts[0] + parts[1]
    exact = X.astype(float) - X.astype(float).mean(0)
    np.testing.assert_allclose(whole.about(whole.x / 120), exact.T @ exact, atol=1e-2, rtol=1e-4)
    np.testing.assert_allclose((whole - parts[1]).xx, parts[0].xx, atol=1e-9)
    responses = response_moments(X, Y, rows, centres)
    measured = Y.astype(float) - Y.astype(float).mean(0)
    np.testing.assert_allclose(
        responses.about(whole, whole.x / 120, responses.y / 120), exact.T @ measured, atol=0.05
    )


def test_solve_given_with_an_intercept() -> None:
    X, Y = _far_from_zero()
    deltas = -np.log(np.array([[1.0, 10.0] + [100.0] * 23]))
    coefficients, intercept = solve_given(X, Y, np.zeros(30, int), deltas, fit_intercept=True)
    for vertex, alpha in ((0, 1.0), (1, 10.0), (7, 100.0)):
        reference = Ridge(alpha=alpha).fit(X, Y[:, vertex])
        np.testing.assert_allclose(coefficients[:, vertex], reference.coef_, atol=1e-9)
        np.testing.assert_allclose(intercept[vertex], reference.intercept_, atol=1e-7)


def test_bad_input() -> None:
    X, Y = _plain(n=20)
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
    X, Y = _constant_column_and_vertex()
    for form in ("primal", "dual"):
        model = RidgeCV(
            alphas=ALPHAS,
            fit_intercept=True,
            solver_params={"score_func": r2_score, "form": form},
        ).fit(X, Y)
        assert model.cv_scores_[3] == 0
        np.testing.assert_allclose(model.coef_[:, 3], 0, atol=1e-12)
        np.testing.assert_allclose(model.intercept_[3], 7)


SPECTRA = st.sampled_from(
    [
        np.random.default_rng(0).uniform(4e3, 1.2e4, 60),
        1e6 * np.arange(1, 61) ** -1.5,
        1e7 * np.exp(-np.arange(60) / 4.0),
        np.concatenate([np.zeros(20), np.geomspace(1e-3, 1e8, 40)]),
        np.full(60, 3.0),
    ]
)


@given(SPECTRA, st.integers(2, 20), st.floats(-3, 3), st.floats(1, 9))
@settings(max_examples=400, deadline=None)
def test_a_few_penalties_stand_for_all(
    spectrum: np.ndarray, n_alphas: int, low: float, decades: float
) -> None:
    alphas = np.logspace(low, low + decades, n_alphas)
    some, mix = penalty_basis(spectrum, alphas, np.zeros(1, np.float32))
    kept = spectrum[:, None] / (spectrum[:, None] + alphas)
    pairs = kept[:, None] * kept[None]
    np.testing.assert_allclose(pairs[..., some] @ mix.T, pairs, atol=2e-6)
    assert len(some) <= n_alphas
    assert np.abs(mix).max() < 10


def test_the_double_sum() -> None:
    rng = np.random.default_rng(0)
    E = rng.standard_normal((150, 150))
    E, C, shrink = E + E.T, rng.standard_normal((150, 7)), rng.random((4, 150))
    weighted = shrink[:, :, None] * C[None]
    np.testing.assert_allclose(
        quadratic(E, C, shrink), np.einsum("ait,ij,ajt->at", weighted, E, weighted), rtol=1e-10
    )

"""Every model in `regress/models`, by existing, and each beside an independent reference."""

from typing import Any

import numpy as np
import pytest
from himalaya.backend import set_backend
from scipy.optimize import minimize
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from base import RoiridgeError
from regress.backend import use_device
from regress.models import load_model_class
from regress.models.stacked_ridge import stack
from regress.solvers.forms import solve_banded_ridge
from tests.builders.models import MODELS, QUICK
from tests.builders.positioned import OnALine

# A product of many pictures, of a single picture, or of pictures elsewhere in memory rounds
# differently in float32: the last of seven digits, and the checks ask for 1e-7.
ROUNDING = dict.fromkeys(
    ["check_methods_subset_invariance", "check_methods_sample_order_invariance"],
    "predictions are computed in float32; test_model_contract has a tolerance for that",
)
EXCLUDED = dict.fromkeys(["mlp", "conv1d", "positional", "shallow", "diffusion", "unet"], ROUNDING)


def _model(name: str, **parameters: Any) -> Any:
    model = OnALine if name == "positional" else load_model_class(name)
    return model(**QUICK.get(name, {}) | parameters)


def _data(n: int, p: int, t: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Columns over several scales and far from 0, responses with a known linear part."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) * np.exp(rng.standard_normal(p)) + 5
    B = rng.standard_normal((p, t)) * (rng.random((p, t)) < 0.3)
    Y = (X - X.mean(0)) @ B + 2 * rng.standard_normal((n, t)) + 3
    return X, Y


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_scikit_learn_checks(name: str) -> None:
    # Most of those that are trained need fewer epochs here.
    model = _model(name, **({"epochs": 12} if name in QUICK and name != "positional" else {}))
    results = check_estimator(model, on_fail=None, expected_failed_checks=EXCLUDED.get(name))
    failed = [f"{r['check_name']}: {r['exception']}" for r in results if r["status"] == "failed"]
    assert failed == []


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("shape", [(120, 30), (60, 150)])
def test_model_contract(name: str, shape: tuple[int, int]) -> None:
    X, Y = _data(*shape, t=6)
    X, Y = X.astype(np.float32), Y.astype(np.float32)
    train, test = slice(0, shape[0] * 3 // 4), slice(shape[0] * 3 // 4, None)
    model = _model(name).fit(X[train], Y[train])
    predicted = model.predict(X[test])
    assert predicted.shape == Y[test].shape
    assert predicted.dtype == np.float32

    mean = ((Y[test] - Y[train].mean(0)) ** 2).mean()
    assert ((Y[test] - predicted) ** 2).mean() < mean, "no better than the mean"

    # The order of the pictures changes nothing, nor do the pictures beside them.
    order = np.random.default_rng(0).permutation(len(X))
    np.testing.assert_allclose(model.predict(X[order]), model.predict(X)[order], rtol=0, atol=1e-4)
    np.testing.assert_allclose(model.predict(X[test][:1]), predicted[:1], rtol=0, atol=1e-4)

    # Saved and loaded, all vertices or some of them, it predicts the same bits.
    loaded = _model(name).restore(model.state())
    np.testing.assert_array_equal(loaded.predict(X[test]), predicted)
    some = np.array([4, 1])
    part = _model(name).restore(model.state(some)).predict(X[test])
    np.testing.assert_allclose(part, predicted[:, some], rtol=1e-5, atol=1e-5)

    # Each vertex on its own: a fit of some vertices is the slice of the fit of all. Of what all
    # share, it is not.
    alone = _model(name).fit(X[train], Y[train][:, some])
    if not model.together:
        np.testing.assert_allclose(alone.predict(X[test]), predicted[:, some], rtol=2e-3, atol=2e-3)

    # A refit on the same pictures changes nothing; on others, only the coefficients. Trained models
    # keep some of the pictures out of `fit`, unless they are told not to.
    all_pictures = {"validation": 0} if "validation" in model.get_params() else {}
    whole = _model(name, **all_pictures).fit(X[train], Y[train])
    again = clone(whole).fit(X[train], Y[train]).refit(X[train], Y[train])
    np.testing.assert_allclose(again.predict(X), whole.predict(X), rtol=1e-5, atol=1e-5)
    chosen = {n: getattr(model, n).copy() for n in model.hyperparameter_names()}
    model.refit(X, Y)
    for attribute, values in chosen.items():
        np.testing.assert_array_equal(getattr(model, attribute), values)


@pytest.mark.parametrize("name", MODELS)
def test_constant_vertices_and_columns(name: str) -> None:
    X, Y = _data(80, 20, 4)
    X[:, 3] = 7
    Y[:, 2] = 1.25
    model = _model(name).fit(X[:60], Y[:60])
    assert np.isfinite(model.predict(X)).all()
    if hasattr(model, "coef_"):
        assert (model.coef_[:, 2] == 0).all()
    np.testing.assert_array_equal(model.predict(X)[:, 2], 1.25)
    if hasattr(model, "cv_scores_"):
        assert model.cv_scores_[2] == 0
    # Constant for the fit, and varying afterwards: it stays at its mean.
    Y[70:, 2] = 2
    model.refit(X, Y)
    np.testing.assert_allclose(model.predict(X)[:, 2], Y[:, 2].mean())


@pytest.mark.parametrize("shape", [(120, 30), (60, 150)])
def test_ridge_equals_scikit_learn(shape: tuple[int, int]) -> None:
    X, Y = _data(*shape, t=5)
    model = _model("ridge").fit(X, Y)
    for vertex, alpha in enumerate(model.best_alphas_):
        reference = make_pipeline(StandardScaler(), Ridge(alpha=alpha)).fit(X, Y[:, vertex])
        np.testing.assert_allclose(
            model.predict(X)[:, vertex], reference.predict(X), rtol=1e-8, atol=1e-8
        )


def test_ridge_chooses_the_alpha_of_an_explicit_search() -> None:
    X, Y = _data(100, 40, 5)
    alphas = np.logspace(0, 5, 6)
    folds = [(np.flatnonzero(np.arange(100) % 4 != k), np.arange(k, 100, 4)) for k in range(4)]
    model = _model("ridge", alphas=alphas, cv=folds).fit(X, Y)
    Z = (X - X.mean(0)) / X.std(0)
    scores = np.zeros((len(alphas), 5))
    for train, test in folds:
        for number, alpha in enumerate(alphas):
            predicted = Ridge(alpha=alpha).fit(Z[train], Y[train]).predict(Z[test])
            rest = ((Y[test] - predicted) ** 2).sum(0)
            total = ((Y[test] - Y[test].mean(0)) ** 2).sum(0)
            scores[number] += (1 - rest / total) / len(folds)
    np.testing.assert_allclose(model.best_alphas_, alphas[scores.argmax(0)])
    np.testing.assert_allclose(model.cv_scores_, scores.max(0), rtol=1e-6)


def test_ols_pca_equals_a_pipeline() -> None:
    X, Y = _data(90, 60, 5)
    reference = make_pipeline(PCA(20, random_state=0), LinearRegression()).fit(X[:70], Y[:70])
    model = _model("ols_pca", n_components=20).fit(X[:70], Y[:70])
    np.testing.assert_allclose(model.predict(X[70:]), reference.predict(X[70:]), rtol=1e-6)


def test_banded_ridge_solution_by_its_normal_equations() -> None:
    X, Y = _data(50, 12, 3)
    X, Y = X - X.mean(0), Y - Y.mean(0)
    bands = np.repeat([0, 1], [4, 8])
    deltas = np.log([[0.2 / 10, 0.7 / 3, 0.2 / 7], [0.8 / 10, 0.3 / 3, 0.8 / 7]])
    solved, _ = solve_banded_ridge(X, Y, bands, deltas)
    for vertex in range(3):
        penalty = np.diag(1 / np.exp(deltas[bands, vertex]))
        expected = np.linalg.solve(X.T @ X + penalty, X.T @ Y[:, vertex])
        # solve_banded_ridge rounds the bands' shares to six digits, to solve equal ones together
        np.testing.assert_allclose(solved[:, vertex], expected, rtol=1e-4)


@pytest.mark.parametrize("n_noise", [20, 400])
def test_banded_ridge_turns_away_from_a_useless_band(n_noise: int) -> None:
    """The finding that it answers: a wide, poor space beside a narrow, good one."""
    rng = np.random.default_rng(1)
    good, noise = rng.standard_normal((300, 20)), rng.standard_normal((300, n_noise))
    Y = good @ rng.standard_normal((20, 8)) + 4 * rng.standard_normal((300, 8))
    X, bands = np.hstack([good, noise]), np.repeat([0, 1], [20, n_noise])
    banded = _model("banded_ridge", bands=bands).fit(X[:200], Y[:200])
    assert (banded.deltas_[0] > banded.deltas_[1]).mean() >= 0.75
    ridge = _model("ridge").fit(X[:200], Y[:200])
    assert banded.score(X[200:], Y[200:]) > ridge.score(X[200:], Y[200:])


def test_banded_ridge_with_one_band_is_ridge() -> None:
    X, Y = _data(80, 20, 4)
    banded, ridge = _model("banded_ridge").fit(X, Y), _model("ridge").fit(X, Y)
    np.testing.assert_allclose(banded.predict(X), ridge.predict(X), rtol=1e-6)
    np.testing.assert_allclose(banded.cv_scores_, ridge.cv_scores_, rtol=1e-6)


@pytest.mark.parametrize("name", ["banded_ridge", "stacked_ridge"])
def test_bands_are_checked(name: str) -> None:
    X, Y = _data(40, 6, 2)
    with pytest.raises(ValueError, match=r"bands: found shape \(6,\) with values \[0, 2\]"):
        _model(name, bands=np.array([0, 0, 2, 2, 2, 2])).fit(X, Y)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("shape", [(90, 25), (50, 120)])
def test_the_gpu_code_path_gives_the_same(name: str, shape: tuple[int, int]) -> None:
    X, Y = (a.astype(np.float32) for a in _data(*shape, t=4))
    expected = _model(name).fit(X, Y).predict(X)
    try:
        assert use_device("torch") == "torch"
        predicted = _model(name).fit(X, Y).predict(X)
    finally:
        set_backend("numpy")
    assert type(predicted) is np.ndarray
    np.testing.assert_allclose(predicted, expected, rtol=2e-3, atol=2e-3)


def test_unknown_device_and_model() -> None:
    with pytest.raises(RoiridgeError, match=r"--device tpu: expected auto, cpu, torch, cuda"):
        use_device("tpu")
    with pytest.raises(RoiridgeError, match=r"unknown model 'rigde': choose from banded_ridge"):
        load_model_class("rigde")


@pytest.mark.parametrize("name", MODELS)
def test_skipped_fits_are_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIMALAYA_SKIP_FIT", "1")
    with pytest.raises(RoiridgeError, match=r"HIMALAYA_SKIP_FIT is set: .* unset it"):
        _model(name).fit(*_data(20, 5, 2))


def test_stacking_weights_are_those_of_a_constrained_search() -> None:
    rng = np.random.default_rng(0)
    mixing = rng.standard_normal((6, 3, 3))
    residuals = np.einsum("tab,bit->ait", mixing, rng.standard_normal((3, 80, 6)))
    weights = stack(residuals)
    assert (weights >= 0).all()
    np.testing.assert_allclose(weights.sum(0), 1)
    for vertex in range(6):
        R = residuals[:, :, vertex]
        found = minimize(
            lambda w, R=R: ((w @ R) ** 2).sum(),
            np.full(3, 1 / 3),
            bounds=[(0, 1)] * 3,
            constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
            options={"ftol": 1e-12},
        )
        assert ((weights[:, vertex] @ R) ** 2).sum() <= found.fun * (1 + 1e-6)
        np.testing.assert_allclose(weights[:, vertex], found.x, atol=1e-3)


def test_stacked_ridge_weighs_the_space_that_predicts() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.standard_normal((300, 20)), rng.standard_normal((300, 15))
    Y = np.hstack([first @ rng.standard_normal((20, 4)), second @ rng.standard_normal((15, 4))])
    Y += 3 * rng.standard_normal(Y.shape)
    X, bands = np.hstack([first, second]), np.repeat([0, 1], [20, 15])
    model = _model("stacked_ridge", bands=bands).fit(X[:200], Y[:200])
    assert (model.weights_[0, :4] > 0.8).all()
    assert (model.weights_[1, 4:] > 0.8).all()
    # The weights are of predictions for unseen pictures: a space that memorises gets none.
    many = np.hstack([first, rng.standard_normal((300, 600))])
    memory = _model("stacked_ridge", bands=np.repeat([0, 1], [20, 600]), alphas=[1e-3])
    assert (memory.fit(many[:200], Y[:200, :4]).weights_[1] < 0.35).all()

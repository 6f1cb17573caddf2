"""Where rounding, few pictures or extreme values would make a fit wrong without a word."""

import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import himalaya.ridge
import numpy as np
import pytest
from himalaya.backend import set_backend
from himalaya.scoring import correlation_score
from himalaya.scoring import r2_score as r2_of_vertices
from sklearn.linear_model import Ridge as OneRidge
from sklearn.metrics import r2_score
from sklearn.model_selection import (
    GroupKFold,
    LeaveOneOut,
    LeavePOut,
    RepeatedKFold,
    StratifiedKFold,
    cross_val_predict,
)

from cache import FeatureStore
from challenge import find_subjects
from regress import BandedRidgeCV, RegressError, RidgeCV, load_design
from regress.ablation.moment_files import Batch
from regress.ablation.subsets import Ablation
from regress.backend import describe_devices
from regress.data.design import Design
from regress.data.extreme_features import check_extremes
from regress.models.banded_ridge import BandedRidge as Banded
from regress.models.linear import Linear
from regress.models.mlp import Mlp
from regress.models.ols_pca import OlsPca
from regress.models.ridge import Ridge
from regress.models.stacked_ridge import StackedRidge as Stacked
from regress.solvers.forms import shared_forms
from regress.solvers.group_ridge import solve_group_ridge_moments

SMALL_ALPHAS = np.logspace(-9, 3, 13)


@pytest.fixture(autouse=True)
def _numpy_backend() -> Iterator[None]:
    yield
    set_backend("numpy")


def _near_copies(noise: float) -> tuple[np.ndarray, np.ndarray]:
    """Draw a column, nearly the same column, another; responses are their difference."""
    rng = np.random.default_rng(0)
    first, difference, other = rng.standard_normal((3, 400))
    X = np.stack([first, first + noise * difference, other], 1)
    Y = difference[:, None] + 0.05 * rng.standard_normal((400, 5))
    return X.astype(np.float32), Y.astype(np.float32)


# 2e-3 lies where float32 sums have lost two digits of the difference, not all.
@pytest.mark.parametrize("noise", [2e-3, 1e-3, 1e-4])
@pytest.mark.parametrize("form", ["primal", "dual"])
@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_r7_float32_keeps_the_directions_that_small_alphas_leave(
    noise: float, form: str, backend: str
) -> None:
    X, Y = _near_copies(noise)
    theirs = himalaya.ridge.RidgeCV(SMALL_ALPHAS, fit_intercept=True)
    expected = r2_score(Y, theirs.fit(X.astype(float), Y.astype(float)).predict(X))
    arrays = set_backend(backend)
    model = RidgeCV(SMALL_ALPHAS, fit_intercept=True, solver_params={"form": form}).fit(X, Y)
    assert "float32" in str(model.coef_.dtype)
    # Coefficients of 1 / noise in float32.
    rounding = float(np.finfo(np.float32).eps) / noise
    found = r2_score(Y, arrays.to_numpy(model.predict(X)))
    assert found == pytest.approx(expected, abs=1e-4 + rounding)


@pytest.mark.parametrize("noise", [2e-3, 1e-3, 1e-4])
def test_r7_models_keep_the_directions_that_small_alphas_leave(noise: float) -> None:
    X, Y = _near_copies(noise)
    bands = np.array([0, 0, 1])
    for model in (
        Ridge(SMALL_ALPHAS),
        Banded(bands, SMALL_ALPHAS),
        Stacked(bands, SMALL_ALPHAS),
    ):
        predicted = model.fit(X, Y).predict(X)
        assert r2_score(Y, predicted) > 0.997, model
        assert model.coef_.dtype == np.float32


def test_r7_alphas_that_float32_holds_are_solved_in_it(caplog: pytest.LogCaptureFixture) -> None:
    X, Y = _near_copies(1e-4)
    with caplog.at_level(logging.INFO, "regress"):
        deltas = solve_group_ridge_moments([X], Y, np.ones((1, 1)), alphas=[1.0, 10.0])[0]
        assert "float64 is used" not in caplog.text
        for _ in range(2):
            RidgeCV([1e-8, 2e-8], fit_intercept=True).fit(X, Y)
    assert deltas.dtype == np.float32
    # Once, though two fits were made; not at all where an earlier test has said it.
    assert caplog.text.count("float64 is used") <= 1


def test_r7_an_ablation_wide_enough_is_solved_in_float64(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    n, p = 60, 70_000
    shared = rng.standard_normal((n, 1)).astype(np.float32)
    X = shared + 1e-2 * rng.standard_normal((n, p), dtype=np.float32)
    Y = rng.standard_normal((n, 3)).astype(np.float32)
    pictures = tuple(f"{number:064x}" for number in range(n))
    bands = np.zeros(p, np.int64)
    design = Design(("a",), {"a": "a"}, (), ("a",), ("a",), bands, X, X[:2], pictures, pictures[:2])
    ablation = Ablation(design, tmp_path, 0.2, 3, 0)
    form = ablation.form((0,))
    assert form.X.dtype == np.float64
    batch = Batch("lh", "0" * 64, slice(0, 3), lambda: Y[~ablation.held])
    assert np.isfinite(ablation.fit(form, (0,), batch, Y[ablation.held]).r2).all()


def _forty() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 5))
    Y = X @ rng.standard_normal((5, 3)) + 0.5 * rng.standard_normal((40, 3))
    return X, Y, np.logspace(-2, 8, 6)


@pytest.mark.parametrize("form", ["primal", "dual"])
@pytest.mark.parametrize("cv", [40, LeaveOneOut(), 27])
def test_r5_folds_of_one_picture_are_pooled(form: str, cv: Any) -> None:
    X, Y, alphas = _forty()
    parameters = {"score_func": r2_of_vertices, "form": form}
    model = RidgeCV(alphas, fit_intercept=True, cv=cv, solver_params=parameters).fit(X, Y)
    predictions = (cross_val_predict(OneRidge(alpha), X, Y, cv=cv) for alpha in alphas)
    scores = np.array([r2_score(Y, made, multioutput="raw_values") for made in predictions])
    np.testing.assert_allclose(model.best_alphas_, alphas[scores.argmax(0)])
    np.testing.assert_allclose(model.cv_scores_, scores.max(0))


@pytest.mark.parametrize("made", [Ridge, Banded, Stacked])
def test_r5_models_choose_by_folds_of_one_picture(made: Any) -> None:
    X, Y, alphas = _forty()
    own = {} if made is Ridge else {"bands": np.zeros(5, int)}
    Y = np.hstack([Y, np.full((40, 1), 3.0)])
    model = made(alphas=alphas, cv=40, **own).fit(X, Y)
    assert (model.cv_scores_[:3] > 0.8).all()
    assert model.cv_scores_[3] == 0
    assert r2_score(Y[:, :3], model.predict(X)[:, :3]) > 0.8


def test_r5_correlations_of_one_picture_are_refused() -> None:
    X, Y, _ = _forty()
    with pytest.raises(RegressError, match="holds out one picture alone"):
        RidgeCV(cv=40, solver_params={"score_func": correlation_score}).fit(X, Y)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("value", [14.62, 0.1, 1e-8, -3e7])
def test_r9_a_constant_column_has_coefficients_of_0(value: float, dtype: str) -> None:
    rng = np.random.default_rng(0)
    X = np.hstack([rng.standard_normal((1000, 4)), np.full((1000, 1), value)]).astype(dtype)
    Y = (X[:, :4] @ rng.standard_normal((4, 3)) + rng.standard_normal((1000, 3))).astype(dtype)
    bands = np.array([0, 0, 0, 1, 1])
    for model in (Ridge((1e-3, 1.0)), Banded(bands), Stacked(bands), OlsPca(4)):
        assert (model.fit(X, Y).coef_[4] == 0).all(), model
        assert (np.abs(model.coef_[:4]).max(0) > 0.1).all(), model


@pytest.mark.parametrize(
    "cv",
    [
        LeaveOneOut(),
        LeavePOut(1),
        RepeatedKFold(n_splits=3, n_repeats=20, random_state=0),
        list(GroupKFold(4).split(np.empty((40, 1)), groups=np.arange(40) // 4)),
    ],
    ids=["one", "p", "more folds than pictures", "listed"],
)
def test_r13_any_splitter(cv: Any) -> None:
    X, Y, alphas = _forty()
    theirs = himalaya.ridge.RidgeCV(alphas, fit_intercept=True, cv=list(_sides(cv, X))).fit(X, Y)
    ours = RidgeCV(alphas, fit_intercept=True, cv=cv).fit(X, Y)
    np.testing.assert_allclose(ours.best_alphas_, theirs.best_alphas_)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-8)
    parameters = {"alphas": alphas, "n_iter": 2, "progress_bar": False}
    BandedRidgeCV([0, 0, 1, 1, 1], solver_params=parameters, cv=cv).fit(X, Y)


def _sides(cv: Any, X: np.ndarray) -> Any:
    return cv.split(X) if hasattr(cv, "split") else cv


def test_r13_masks_are_rows_and_what_needs_groups_says_so() -> None:
    X, Y, alphas = _forty()
    first = np.arange(40) < 15
    masks = [(~first, first), (first, ~first)]
    rows = [(np.flatnonzero(a), np.flatnonzero(b)) for a, b in masks]
    found, expected = (Ridge(alphas, cv=cv).fit(X, Y).coef_ for cv in (masks, rows))
    np.testing.assert_allclose(found, expected)
    for cv in (GroupKFold(4), StratifiedKFold(3)):
        with pytest.raises(RegressError, match=r"needs labels or groups.*list\(cv.split\("):
            RidgeCV(alphas, cv=cv).fit(X, Y)


def test_r10_both_losses_are_means_over_the_same_vertices(caplog: pytest.LogCaptureFixture) -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 30)).astype(np.float32)
    wide = rng.standard_normal((200, 1))
    Y = np.hstack([wide, 0.2 * rng.standard_normal((200, 9))]).astype(np.float32)
    scope = np.array(["one"] + ["nine"] * 9)
    for model in (Linear(scope=scope, epochs=6, lr=0.02), Mlp(scope=scope, epochs=6, lr=0.02)):
        caplog.clear()
        model.fit(X, Y)
        said = re.search(
            r"\(loss (\S+) at best\) than the mean response does \((\S+)\)", caplog.text
        )
        assert said
        assert float(said[1]) >= float(said[2])


def test_n10_the_next_batch_finds_the_decompositions(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    decompose, calls = np.linalg.eigh, []

    def counted(*given: Any) -> Any:
        calls.append(given)
        return decompose(*given)

    monkeypatch.setattr(np.linalg, "eigh", counted)
    for n, p in ((60, 20), (30, 40)):
        X, Y = rng.standard_normal((n, p)), rng.standard_normal((n, 6))
        Y[:, :3] += X[:, :3]
        options = {"bands": np.arange(p) % 3, "n_iter": 6, "cv": 4}
        with shared_forms():
            calls.clear()
            Banded(**options).fit(X, Y[:, :3])
            first = len(calls)
            Banded(**options).fit(X, Y[:, 3:])
            both = len(calls)
            again = Banded(**options).fit(X, Y[:, 3:])
        # Each of 6 weightings in 4 folds once; those that were chosen, once for the solution.
        assert first >= 24
        assert both <= first + 3
        np.testing.assert_allclose(again.coef_, Banded(**options).fit(X, Y[:, 3:]).coef_, rtol=1e-9)


def test_a9_the_space_column_and_picture_of_a_spike_are_named(
    simulated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (subject,) = find_subjects(simulated, "01")
    names = [n for split in ("train", "test") for n in subject.picture_digests(split)]
    rng = np.random.default_rng(0)
    store = FeatureStore(tmp_path / "features")
    for name, spike in (("good", 3.0), ("high", 1e12), ("over", 1e30)):
        rows = rng.standard_normal((len(names), 6)).astype(np.float32)
        rows[3, 5] = spike
        with store.writer(name, {"made": name}, {"origin": "x"}) as writer:
            writer.add(names, rows)
    picture = subject.pictures("train")[3].name
    load_design(subject, store, [store.find("good")])
    assert capsys.readouterr().out == ""
    load_design(subject, store, [store.find("high")])
    said = capsys.readouterr().out
    assert f"warning: feature space high: column 5 holds 1e+12 for the picture {picture}" in said
    with pytest.raises(RegressError, match=f"space over: column 5 holds 1e.30 .*{picture}"):
        load_design(subject, store, [store.find("good"), store.find("over")])


def test_a9_sparse_columns_and_probabilities_are_no_spikes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rng = np.random.default_rng(0)
    sparse = np.zeros((50, 40), np.float32)
    sparse[3, 5] = 1
    logits = 5 * rng.standard_normal((50, 40))
    certain = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    for values in (sparse, certain.astype(np.float32), 1e6 + sparse):
        check_extremes("space", values, [str(row) for row in range(50)])
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (Banded(n_iter=10**15), "n_iter"),
        (OlsPca(n_components=10**15), "n_components"),
        (Linear(epochs=10**15), "epochs"),
        (Linear(l1_epochs=10**15), "l1_epochs"),
        (Mlp(blocks=10**15), "blocks"),
    ],
)
def test_a5_counts_without_end_are_refused(model: Any, name: str) -> None:
    X, Y, _ = _forty()
    with pytest.raises(ValueError, match=f"{name}: found {10**15}, expected at most 1000000"):
        model.fit(X, Y)


def test_a5_weightings_of_the_estimator_are_bounded() -> None:
    X, Y, _ = _forty()
    for count in (0, 10**15):
        with pytest.raises(
            RegressError, match=f"n_iter: found {count}, expected from 1 to 1000000"
        ):
            BandedRidgeCV(solver_params={"n_iter": count}).fit(X, Y)


def test_n11_the_line_of_a_fit_names_devices_not_another_library() -> None:
    assert describe_devices(["cpu"]) == "on cpu"
    assert describe_devices(["cuda:0", "cuda:1"]) == "on cuda:0, cuda:1"

"""How penalties and weights of bands are searched: rules, batches, interruptions."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import himalaya.ridge
import numpy as np
import pytest
from himalaya.backend import set_backend
from himalaya.scoring import r2_score
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold

from base import replacing
from cache import read_artifact
from regress import BandedRidgeCV, RegressError, RidgeCV
from regress.solvers.arguments import Splits
from regress.solvers.checkpoint import Checkpoint
from regress.solvers.forms import shared_forms
from regress.solvers.primal import Primal
from regress.solvers.random_search import Rule, SearchResult, search
from tests.builders.ridge_inputs import (
    ALPHAS,
    plain,
)


@pytest.fixture(autouse=True)
def _numpy_backend() -> Iterator[None]:
    yield
    set_backend("numpy")


@pytest.mark.parametrize(
    ("conservative", "local_alpha"), [(False, True), (False, False), (True, True)]
)
def test_rules_as_himalaya(conservative: bool, local_alpha: bool) -> None:
    X, Y = plain()
    parameters = {"conservative": conservative, "local_alpha": local_alpha}
    theirs = himalaya.ridge.RidgeCV(alphas=ALPHAS, solver_params=parameters).fit(X, Y)
    ours = RidgeCV(alphas=ALPHAS, solver_params=parameters).fit(X, Y)
    np.testing.assert_allclose(ours.best_alphas_, theirs.best_alphas_)


def test_any_score_function() -> None:
    def absolute(measured: Any, predicted: Any) -> Any:
        return -np.abs(predicted - measured).mean(-2)

    X, Y = plain()
    parameters = {"score_func": absolute}
    theirs = himalaya.ridge.RidgeCV(alphas=ALPHAS, solver_params=parameters).fit(X, Y)
    ours = RidgeCV(alphas=ALPHAS, solver_params=parameters).fit(X, Y)
    np.testing.assert_allclose(ours.best_alphas_, theirs.best_alphas_)
    np.testing.assert_allclose(ours.cv_scores_, theirs.cv_scores_, atol=1e-8)


def test_vertices_of_a_group_choose_together() -> None:
    X, Y = plain(t=12)
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
    X, Y = plain(t=6)
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
    X, Y = plain()
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

    def run(score: Any, checkpoint: Checkpoint | None) -> SearchResult:
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
    X, Y = plain()
    path, which = tmp_path / "search.h5", slice(0, 25)
    one = Checkpoint.for_batch(path, which, (X, Y, ALPHAS, r2_score))
    assert one.path.name == "search-0-25.h5"
    changed = Y.copy()
    changed[3, 7] += 1e-9
    others = [(X, changed, ALPHAS, r2_score), (X, Y, ALPHAS[1:], r2_score), (X, Y, ALPHAS, None)]
    # Functions without a name of their own are never taken for the same.
    others += [(X, Y, ALPHAS, lambda y, p: r2_score(y, p))] * 2
    assert one.digest == Checkpoint.for_batch(path, which, (X.copy(), Y, ALPHAS, r2_score)).digest
    assert one.digest not in [Checkpoint.for_batch(path, which, other).digest for other in others]


def test_shared_forms_change_nothing(caplog: pytest.LogCaptureFixture) -> None:
    X, Y = plain()
    apart = [RidgeCV(ALPHAS, True).fit(X, part) for part in (Y[:, :10], Y[:, 10:])]
    caplog.clear()
    with caplog.at_level("INFO", "regress"), shared_forms():
        shared = [RidgeCV(ALPHAS, True).fit(X, part) for part in (Y[:, :10], Y[:, 10:])]
        assert caplog.text.count("primal form: 120 pictures, 30 columns") == 1
        RidgeCV(ALPHAS, True).fit(X * 2, Y)
        RidgeCV(ALPHAS, True, cv=4).fit(X, Y)
    assert caplog.text.count("primal form") == 3
    for one, other in zip(apart, shared, strict=True):
        np.testing.assert_array_equal(one.coef_, other.coef_)


def test_shared_forms_keep_their_own_features() -> None:
    X, Y = plain()
    expected = RidgeCV(ALPHAS, True).fit(X, Y).coef_
    with shared_forms():
        buffer = X.copy()
        RidgeCV(ALPHAS, True).fit(buffer, Y)
        buffer *= 0
        np.testing.assert_allclose(RidgeCV(ALPHAS, True).fit(X, Y).coef_, expected, atol=1e-12)


def test_an_roi_is_not_divided_when_memory_runs_out() -> None:
    X, Y = plain()

    def starved(measured: Any, predicted: Any) -> Any:
        raise MemoryError("no more")

    for options in ({"scope": "roi"}, {"local_alpha": False}):
        model = RidgeCV(ALPHAS, solver_params={"score_func": starved, **options})
        with pytest.raises(MemoryError):
            model.fit(X, Y)


def test_patience_must_be_positive() -> None:
    X, Y = plain()
    with pytest.raises(RegressError, match="patience: found 0, expected None, or 1 or more"):
        BandedRidgeCV(solver_params={"patience": 0, "progress_bar": False}).fit(X, Y)


def test_batches_change_nothing() -> None:
    X, Y = plain(t=40)
    whole = RidgeCV(alphas=ALPHAS, fit_intercept=True).fit(X, Y)
    for parameters in ({"n_targets_batch": 7}, {"memory": 20_000}):
        parts = RidgeCV(alphas=ALPHAS, fit_intercept=True, solver_params=parameters).fit(X, Y)
        np.testing.assert_allclose(parts.best_alphas_, whole.best_alphas_)
        np.testing.assert_allclose(parts.coef_, whole.coef_, atol=1e-10)


def test_patience_stops_the_search() -> None:
    X, Y = plain()
    parameters = {"n_iter": np.ones((30, 2)) / 2, "alphas": ALPHAS, "progress_bar": False}
    banded = BandedRidgeCV(groups=np.arange(30) % 2, solver_params={**parameters, "patience": 4})
    assert banded.fit(X, Y).cv_scores_.shape == (5, 25)


def test_a_finished_search_leaves_nothing_of_killed_writers(tmp_path: Path) -> None:
    checkpoint, other = (Checkpoint(tmp_path / f"subj01.lh.0-0-{n}.h5", "this") for n in (60, 600))
    with replacing(checkpoint.path) as temporary:
        temporary.touch()
    other_temporary = temporary.with_stem(".subj01.lh.0-0-600-0123abcd")
    for file in (temporary, other.path, other_temporary):  # as kill -9 in a write leaves them
        file.touch()
    checkpoint.remove()
    assert set(tmp_path.iterdir()) == {other.path, other_temporary}

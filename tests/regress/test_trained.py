"""Trained models: losses and optimisers beside references, and what a training keeps."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.optimize import least_squares
from scipy.stats import pearsonr
from sklearn.base import clone
from sklearn.linear_model import Ridge

from base import RoiridgeError
from regress.data.responses import Responses
from regress.models.linear import Linear
from regress.training.losses import LOSSES, Loss
from regress.training.optimisers import OPTIMISERS, SCHEDULES, make_schedule

FULL = {"batch": 10_000, "validation": 0, "schedule": "constant", "warmup": 0}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Such small products are fastest on one thread, and bits do not depend on how many."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _data(n: int = 300, p: int = 20, t: int = 6, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Columns of several scales, far from 0; responses with a known linear part."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) * np.exp(rng.standard_normal(p)) + 5
    Z = (X - X.mean(0)) / X.std(0)
    Y = Z @ rng.standard_normal((p, t)) / np.sqrt(p) + rng.standard_normal((n, t)) + 3
    return X.astype(np.float32), Y.astype(np.float32)


def _r(predicted: np.ndarray, measured: np.ndarray) -> np.ndarray:
    return np.array([pearsonr(a, b)[0] for a, b in zip(predicted.T, measured.T, strict=True)])


def test_losses_are_those_of_scipy_and_torch() -> None:
    X, Y = (torch.from_numpy(array[:, :6].astype(np.float64)) for array in _data(80, 6, 6))
    np.testing.assert_allclose(LOSSES["pearson"](X, Y)[0], 1 - _r(X.numpy(), Y.numpy()), rtol=1e-9)
    for name, reference in (("mse", torch.nn.MSELoss()), ("huber", torch.nn.HuberLoss())):
        expected = [reference(a, b) for a, b in zip(X.T, Y.T, strict=True)]
        np.testing.assert_allclose(LOSSES[name](X, Y)[0], expected, rtol=1e-9)
    mixed = Loss("mse + 0.5*pearson").values(X, Y)[0]
    np.testing.assert_allclose(mixed, LOSSES["mse"](X, Y)[0] + 0.5 * LOSSES["pearson"](X, Y)[0])


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    rng = np.random.default_rng(0)
    measured = torch.from_numpy(rng.standard_normal((7, 3)) * 2)
    predicted = torch.from_numpy(rng.standard_normal((7, 3)) * 2)
    gradient = LOSSES[name](predicted, measured)[1].numpy()
    step = 1e-6
    for place in np.ndindex(7, 3):
        moved = [predicted.clone(), predicted.clone()]
        moved[0][place], moved[1][place] = predicted[place] - step, predicted[place] + step
        low, high = (float(LOSSES[name](one, measured)[0].sum()) for one in moved)
        assert gradient[place] == pytest.approx((high - low) / (2 * step), abs=1e-7)


def test_a_constant_vertex_or_prediction_has_no_correlation_and_a_finite_gradient() -> None:
    measured = torch.tensor([[1.0, 2], [1, 4], [1, 9]])
    predicted = torch.tensor([[1.0, 0.3], [3, 0.3], [2, 0.3]])
    values, gradient = LOSSES["pearson"](predicted, measured)
    np.testing.assert_array_equal(values, [1, 1])
    assert torch.isfinite(gradient).all()
    assert (gradient[:, 0] == 0).all()
    # From a constant prediction it leads towards the responses.
    assert _r(-gradient[:, 1:].numpy(), measured[:, 1:].numpy())[0] == pytest.approx(1)


@pytest.mark.parametrize(("optimiser", "lr"), [("sgd", 0.05), ("adam", 0.02)])
@pytest.mark.parametrize("alpha", [10.0, 300.0])
def test_trained_to_the_end_it_is_ridge(optimiser: str, lr: float, alpha: float) -> None:
    """L2's weight_decay is 2 alpha / n: the loss is the mean over pictures, and half is decayed."""
    X, Y = _data()
    model = Linear(optimiser=optimiser, lr=lr, weight_decay=2 * alpha / 200, epochs=300, **FULL)
    model.fit(X[:200], Y[:200])
    Z = (X - X[:200].mean(0)) / X[:200].std(0)
    ridge = Ridge(alpha=alpha).fit(Z[:200], Y[:200])
    assert _r(model.predict(X[200:]), ridge.predict(Z[200:])).min() > 0.9999
    np.testing.assert_allclose(model.predict(X[200:]), ridge.predict(Z[200:]), atol=0.02)


def test_huber_is_that_of_scipys_least_squares() -> None:
    X, Y = _data(t=1)
    Y[::17] += 30
    Z = np.column_stack([(X - X.mean(0)) / X.std(0), np.ones(len(X))])
    found = least_squares(lambda w: Z @ w - Y[:, 0], np.zeros(21), loss="huber", f_scale=1)
    model = Linear(loss="huber", optimiser="adam", weight_decay=0, lr=0.05, epochs=400, **FULL)
    predicted = model.fit(X, Y).predict(X)[:, 0]
    np.testing.assert_allclose(predicted, Z @ found.x, atol=0.01)


def test_trained_on_r_it_correlates_as_least_squares_do() -> None:
    """With all pictures in a batch, r is highest at the least-squares solution."""
    X, Y = _data()
    model = Linear(loss="pearson", optimiser="adam", weight_decay=0, lr=0.02, epochs=250, **FULL)
    model.fit(X, Y)
    best = Ridge(alpha=1e-6).fit(X.astype(np.float64), Y)
    np.testing.assert_allclose(_r(model.predict(X), Y), _r(best.predict(X), Y), atol=1e-3)


@pytest.mark.parametrize("optimiser", OPTIMISERS)
@pytest.mark.parametrize("loss", ["mse", "mse+0.5*pearson"])
def test_every_optimiser_learns(optimiser: str, loss: str) -> None:
    X, Y = _data(600)
    model = Linear(loss=loss, optimiser=optimiser, lr=0.01, epochs=40, batch=64, dropout=0.1)
    model.fit(X[:400], Y[:400])
    assert _r(model.predict(X[400:]), Y[400:]).mean() > 0.6


def test_shuffled_pictures_score_at_chance() -> None:
    X, Y = _data(1200, t=20)
    shuffled = np.random.default_rng(3).permutation(600)
    model = Linear(lr=0.01, epochs=30, batch=64).fit(X[:600][shuffled], Y[:600])
    predicted = model.predict(X[600:])
    # Many stay at the mean, and have no correlation; that of the others is of either sign.
    moved = predicted.std(0) > 1e-6
    r = _r(predicted[:, moved], Y[600:][:, moved]) if moved.any() else np.zeros(1)
    assert abs(r.mean()) < 3 / np.sqrt(600)
    assert _r(Linear(lr=0.01, epochs=30, batch=64).fit(X[:600], Y[:600]).predict(X[600:]), Y[600:]
              ).mean() > 0.6  # fmt: skip


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_groups_trained_together_are_those_trained_alone(optimiser: str) -> None:
    X, Y = _data(400, t=9)
    # One learns slowly, one is noise and stops at once, one has a constant vertex.
    Y[:, 3:6] = np.random.default_rng(1).standard_normal((400, 3))
    Y[:, 8] = 1.5
    scope = np.repeat(["slow", "noise", "part"], 3)
    own: dict[str, Any] = {"optimiser": optimiser, "lr": 0.005, "epochs": 25, "batch": 64}
    own |= {"patience": 3, "dropout": 0.1}
    together = Linear(scope=scope, **own).fit(X[:300], Y[:300])
    assert len(set(together.epochs_.tolist())) > 1
    predicted = together.predict(X[300:])
    refitted = clone(together).fit(X[:300], Y[:300]).refit(X, Y).predict(X)
    for name in ("slow", "noise", "part"):
        here = scope == name
        alone = Linear(**own).fit(X[:300], Y[:300][:, here])
        np.testing.assert_array_equal(alone.epochs_, together.epochs_[here])
        np.testing.assert_allclose(alone.predict(X[300:]), predicted[:, here], atol=2e-5)
        np.testing.assert_allclose(
            alone.refit(X, Y[:, here]).predict(X), refitted[:, here], atol=2e-5
        )
    assert (predicted[:, 8] == 1.5).all()


def test_the_best_weights_are_kept_and_groups_stop_alone(tmp_path: Path) -> None:
    X, Y = _data(300, p=60, t=8)
    scope = np.repeat(["a", "b", "c", "d"], 2)
    validation = np.arange(200) % 4 == 0
    model = Linear(scope=scope, validation=validation, lr=0.02, epochs=60, patience=4, batch=50)
    model.set_params(log=tmp_path / "log.csv").fit(X[:200], Y[:200])
    log = pd.read_csv(tmp_path / "log-fit.csv")
    for name in "abcd":
        rows = log[log["group"] == name]
        best = int(rows.loc[rows["validation_loss"].idxmin(), "epoch"])
        assert set(model.epochs_[scope == name]) == {best}
        # It went on for as long as patience has it, and no longer than the others needed.
        assert rows["epoch"].max() >= min(60, best + 4)
        # The loss in the log is that of the weights that were kept.
        rest = (model.predict(X[:200]) - Y[:200])[validation][:, scope == name]
        assert (rest**2).mean() == pytest.approx(rows["validation_loss"].min(), rel=1e-4)


def test_validation_pictures_are_not_trained_on() -> None:
    X, Y = _data(100)
    validation = np.arange(100) % 3 == 0
    own: dict[str, Any] = {"validation": validation, "patience": 100, "epochs": 5, "lr": 1e-3}
    first = Linear(**own).fit(X, Y)
    X[validation], other = X[validation] * 3, Y.copy()
    second = Linear(**own).fit(X, other)
    np.testing.assert_array_equal(first.centre_, second.centre_)
    fixed = Linear(**{**own, "validation": 0, "epochs": 5}).fit(X[~validation], Y[~validation])
    # At so small a rate each epoch betters the last, so that both have trained all of them.
    assert (first.epochs_ == 5).all()
    np.testing.assert_allclose(first.coef_, fixed.coef_, atol=1e-6)


def test_a_seed_gives_the_same_bits_and_another_seed_others() -> None:
    X, Y = _data(200)
    own: dict[str, Any] = {"epochs": 6, "lr": 0.01, "batch": 32, "dropout": 0.3}
    torch.manual_seed(1)
    first = Linear(**own).fit(X, Y).predict(X)
    state = torch.random.get_rng_state()
    again = Linear(**own).fit(X, Y).predict(X)
    np.testing.assert_array_equal(first, again)
    assert (Linear(random_state=1, **own).fit(X, Y).predict(X) != first).any()
    # The caller's random numbers are left alone.
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_loss_that_becomes_nan_is_told_and_nothing_is_lost(
    caplog: pytest.LogCaptureFixture,
) -> None:
    X, Y = _data(200)
    with pytest.raises(RoiridgeError, match=r"NaN or infinite at step \d+, in epoch 1, before any"):
        Linear(optimiser="sgd", lr=1e4, epochs=30, batch=16, warmup=0).fit(X, Y)
    # So large a rate that the errors grow by a fifth each step: those of one group, which begin
    # far up, are infinite after some epochs. The other is trained as if it were alone.
    Y[:, 3:] *= 1e17
    rate = 1.1 / np.linalg.eigvalsh(np.corrcoef(X.T)).max()
    own: dict[str, Any] = {"optimiser": "sgd", "lr": rate, "momentum": 0, "epochs": 60, **FULL}
    model = Linear(scope=np.repeat(["good", "bad"], 3), **own).fit(X, Y)
    assert re.search(r"the loss of 1 of 2 groups became NaN .* at step \d+, in epoch", caplog.text)
    alone = Linear(**own).fit(X, Y[:, :3])
    np.testing.assert_allclose(model.predict(X)[:, :3], alone.predict(X), rtol=1e-3)
    assert np.isfinite(model.predict(X)).all()
    assert 1 < model.epochs_[3] < 60


def test_a_training_that_diverges_is_said_and_one_group_of_noise_is_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    X, Y = _data()
    own: dict[str, Any] = {"epochs": 8, "lr": 10, "batch": 64}
    diverged = Linear(**own).fit(X, Y)
    np.testing.assert_array_equal(diverged.predict(X[:2]).std(0), 0)
    assert "1 of 1 groups learned nothing" in caplog.text
    assert "give a lower lr (now 10): --params.lr 0.001" in caplog.text
    assert "unless" not in caplog.text
    # It is said once: a refit goes on for 0 epochs.
    diverged.refit(X, Y)
    assert caplog.text.count("learned nothing") == 1
    caplog.clear()
    noise = np.random.default_rng(4).standard_normal((len(Y), 2)).astype(np.float32)
    both = np.concatenate([Y[:, :4], noise, np.ones((len(Y), 1), np.float32)], 1)
    scope = np.array(["seen"] * 4 + ["noise"] * 2 + ["constant"])
    model = Linear(scope=scope, **own | {"lr": 0.05, "batch": 16}).fit(X, both)
    assert (model.epochs_[:4] > 0).all()
    assert "1 of 3 groups learned nothing (noise)" in caplog.text
    assert "unless the features tell nothing of these responses" in caplog.text


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"loss": "mae"}, "loss 'mae': 'mae' is no loss; expected one of mse, l1, huber, pearson"),
        ({"loss": "mse+-1*pearson"}, "found the weight '-1', expected a number above 0"),
        ({"optimiser": "lamb"}, "optimiser: found 'lamb', expected one of adamw, adam, sgd, nadam"),
        ({"schedule": "step"}, "schedule: found 'step', expected one of cosine, constant"),
        ({"precision": "8"}, "precision: found '8', expected one of 32-true, 16-mixed, bf16-mixed"),
        ({"epochs": 0}, "epochs: found 0, expected a whole number from 1 on"),
        ({"lr": float("nan")}, "lr: found nan, expected a number above 0"),
        ({"weight_decay": -1}, "weight_decay: found -1, expected a number from 0 on"),
        ({"dropout": 1}, "dropout: found 1, expected a number from 0 on, below 1"),
        ({"validation": 1.5}, "validation: found 1.5, expected a share"),
        ({"scope": "lobe"}, "scope: found 'lobe', expected vertex or roi"),
        ({"validation": np.ones(300, bool)}, "pictures left to train on"),
        ({"scope": np.zeros(5)}, r"scope: found shape \(5,\), expected \(6,\)"),
    ],
)
def test_bad_parameters(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Linear(**wrong).fit(*_data())


def test_schedules_rise_and_fall() -> None:
    at = make_schedule("cosine", 0.1, 100)
    assert at(0) == pytest.approx(1 / 11)
    assert at(10) == 1
    assert at(55) == pytest.approx(0.5)
    assert at(100) == pytest.approx(0)
    assert [make_schedule("constant", 0, 10)(step) for step in (0, 9)] == [1, 1]
    assert set(SCHEDULES) == {"cosine", "constant"}


def test_responses_are_read_from_files_as_from_memory(tmp_path: Path) -> None:
    X, Y = _data(120, t=10)
    for name, part in (("lh", Y[:, :4]), ("rh", Y[:, 4:])):
        np.save(tmp_path / f"{name}.npy", part)
    maps = [np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in ("lh", "rh")]
    columns = np.array([7, 0, 3, 3, 9])
    lazy = Responses(maps, columns)
    np.testing.assert_array_equal(lazy.load(), Y[:, columns])
    some = lazy.pictures(np.arange(120) % 2 == 0).vertices(np.array([4, 1]))
    np.testing.assert_array_equal(some.read(np.array([5, 2])), Y[::2][[5, 2]][:, [9, 0]])
    np.testing.assert_allclose(some.means()[0], Y[::2][:, [9, 0]].mean(0), rtol=1e-6)
    own: dict[str, Any] = {"epochs": 4, "lr": 0.01, "batch": 32, "scope": "vertex"}
    expected = Linear(**own).fit(X, Y[:, columns]).predict(X)
    np.testing.assert_array_equal(Linear(**own).fit(X, lazy).predict(X), expected)
    # Known again by contents, pictures and vertices.
    assert lazy.digest() == Responses([Y[:, :4], Y[:, 4:]], columns).digest()
    assert lazy.digest() != some.digest()


def test_half_precision_is_near() -> None:
    X, Y = _data()
    own: dict[str, Any] = {"epochs": 20, "lr": 0.01, "batch": 64}
    full = Linear(**own).fit(X, Y).predict(X)
    half = Linear(precision="bf16-mixed", **own).fit(X, Y).predict(X)
    assert half.dtype == np.float32
    assert (half != full).any()
    assert _r(half, full).min() > 0.999

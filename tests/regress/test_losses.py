"""Losses that correlate: over what, with how many, and where there is hardly anything to see."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import pearsonr

from base import RoiridgeError
from regress.data.responses import Responses
from regress.data.several_subjects import Joint
from regress.models.mlp import Mlp
from regress.training.losses import LOSSES, Loss

QUICK: dict[str, Any] = {"lr": 3e-3, "epochs": 20, "batch": 64, "width": 16}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Such small products are fastest on one thread, and bits do not depend on how many."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _data(n: int = 300, t: int = 8) -> tuple[NDArray[Any], NDArray[Any]]:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, 12))
    Y = X @ rng.standard_normal((12, t)) / 3 + rng.standard_normal((n, t))
    return X.astype(np.float32), Y.astype(np.float32)


def _r(predicted: NDArray[Any], measured: NDArray[Any]) -> NDArray[Any]:
    pairs = zip(predicted.T, measured.T, strict=True)
    return np.array([pearsonr(a, b)[0] if np.ptp(a) > 1e-9 else 0 for a, b in pairs])


def test_pearson_is_over_pictures_and_pattern_over_the_vertices_of_a_group() -> None:
    predicted, measured = (array.astype(np.float64) for array in _data(20, 12))
    member = np.array([1, 0, 2, 1, 0, 1, 0, 0, 2, 1, 0, 1])
    given = [torch.from_numpy(array) for array in (predicted, measured, member)]
    np.testing.assert_allclose(Loss("pearson").values(*given)[0], 1 - _r(predicted, measured))
    values, gradient = Loss("0.5*pattern").values(*given)
    for group in (0, 1):
        own = member == group
        expected = 1 - _r(predicted[:, own].T, measured[:, own].T).mean()
        np.testing.assert_allclose(values[own], 0.5 * expected)
    # Two vertices have no pattern that could be wrong.
    np.testing.assert_array_equal(values[member == 2], 0.5)
    assert (gradient[:, member == 2] == 0).all()
    for place in [(0, 0), (7, 3), (19, 11)]:
        moved = [given[0].clone(), given[0].clone()]
        moved[0][place] -= 1e-6
        moved[1][place] += 1e-6
        low, high = (float(Loss("0.5*pattern").values(one, *given[1:])[0].sum()) for one in moved)
        assert gradient[place] == pytest.approx((high - low) / 2e-6, abs=1e-7)


@pytest.mark.parametrize("spread", [1e-2, 1e-6, 1e-12, 1e-25])
@pytest.mark.parametrize("begun", [False, True])
def test_a_vertex_of_tiny_variance_has_its_r_and_a_gradient_like_others(
    spread: float, begun: bool
) -> None:
    rng = np.random.default_rng(0)
    measured = rng.standard_normal((64, 2)) * [1, spread]
    predicted = rng.standard_normal((64, 2)) * [1, spread] if begun else np.zeros((64, 2))
    single = [torch.from_numpy(array.astype(np.float32)) for array in (predicted, measured)]
    values, gradient = LOSSES["pearson"](*single)
    expected = np.ones(2)
    # Where a variance is no number of float32 any more, the vertex counts as constant.
    for vertex in (0, 1) if spread > 1e-20 else (0,):
        if begun:
            expected[vertex] -= pearsonr(predicted[:, vertex], measured[:, vertex])[0]
    np.testing.assert_allclose(values, expected, rtol=1e-4)
    size = gradient.norm(dim=0)
    assert torch.isfinite(size).all()
    assert size[1] <= 25 * size[0]
    if spread > 1e-20:
        assert size[1] > 0.1 * size[0]


@pytest.mark.parametrize(
    ("loss", "optimiser"), [("pearson", "adamw"), ("l1+pearson", "sgd"), ("mse+pattern", "adamw")]
)
@pytest.mark.parametrize("scale", [0.0, 1e-6])
def test_a_vertex_that_hardly_varies_spoils_no_other(
    loss: str, optimiser: str, scale: float
) -> None:
    X, Y = _data()
    Y[:, 0] = Y[:, 0] * scale + 2
    rate = 1e-2 if optimiser == "sgd" else 3e-3
    own = QUICK | {"loss": loss, "optimiser": optimiser, "lr": rate}
    both = [
        _r(Mlp(**own).fit(X[:200], some[:200]).predict(X[200:]), some[200:])
        for some in (Y[:, 1:], Y)
    ]
    assert both[0].mean() > 0.6
    assert both[1][1:].mean() > both[0].mean() - 0.03


@pytest.mark.parametrize(
    ("own", "n", "said"),
    [
        ({"batch": 7}, 300, r"batch: found 7, expected at least 8: .* loss 'l1\+pearson'"),
        ({"batch": 8}, 9, r"the smallest batch has 4 of a subject's 9 .* expected at least 8"),
        ({}, 5, r"the smallest batch has 5 of a subject's 5 training pictures, expected at lea"),
    ],
)
def test_r_over_a_few_pictures_is_refused(own: dict[str, Any], n: int, said: str) -> None:
    X, Y = _data(n)
    with pytest.raises((ValueError, RoiridgeError), match=said):
        Mlp(loss="l1+pearson", validation=0, **QUICK | own).fit(X, Y)
    # The same without r.
    Mlp(loss="l1", validation=0, **QUICK | own | {"epochs": 1}).fit(X, Y)


def test_a_subject_of_few_pictures_is_named() -> None:
    X, Y = _data(106, 4)
    joint = Joint([Responses([Y[:100]]), Responses([Y[100:]])])
    with pytest.raises(RoiridgeError, match="smallest batch has 6 of a subject's 6 training pict"):
        Mlp(loss="pearson", validation=0, **QUICK).fit(X, joint)


@pytest.mark.parametrize("n", [65, 129, 136])
def test_no_batch_is_a_short_rest(n: int) -> None:
    """One picture more than a batch holds makes two of half its size, not one of one."""
    X, Y = _data(n)
    model = Mlp(loss="pearson", validation=0, **QUICK | {"epochs": 2}).fit(X, Y)
    assert np.isfinite(model.predict(X)).all()


@pytest.mark.parametrize("loss", ["pattern", "l1+0.5*pattern"])
def test_a_groups_pattern_is_what_it_is_alone(loss: str) -> None:
    X, Y = _data(t=9)
    scope = np.array(["a", "b", "b", "a", "b", "a", "b", "a", "b"])
    own = QUICK | {"loss": loss, "epochs": 6}
    together = Mlp(scope=scope, **own).fit(X[:200], Y[:200])
    for group in ("a", "b"):
        here = scope == group
        alone = Mlp(**own).fit(X[:200], Y[:200][:, here])
        np.testing.assert_array_equal(alone.epochs_, together.epochs_[here])
        np.testing.assert_allclose(
            alone.predict(X[200:]), together.predict(X[200:])[:, here], atol=1e-4
        )


def test_l1_is_trained_first_where_it_is_asked_for(tmp_path: Path) -> None:
    X, Y = _data()
    own = QUICK | {"epochs": 6, "validation": 0}
    predicted = {}
    for loss, epochs in (("l1", 0), ("huber", 6), ("huber", 3), ("huber", 0)):
        model = Mlp(loss=loss, l1_epochs=epochs, **own).fit(X, Y)
        predicted[loss, epochs] = model.predict(X)
    np.testing.assert_array_equal(predicted["huber", 6], predicted["l1", 0])
    # Half of it is neither.
    for other in (0, 6):
        assert np.abs(predicted["huber", 3] - predicted["huber", other]).max() > 0.01
    # What stops a training, and is best, is the loss that was asked for.
    own = QUICK | {"epochs": 6, "loss": "pearson", "log": tmp_path / "log.csv"}
    held = np.arange(300) % 5 == 0
    model = Mlp(l1_epochs=3, validation=held, **own).fit(X, Y)
    log = pd.read_csv(tmp_path / "log-fit.csv")
    log = log[log["group"] == "all"].set_index("epoch")
    assert log["validation_loss"].idxmin() == model.epochs_[0]
    best = 1 - _r(model.predict(X)[held], Y[held]).mean()
    assert log["validation_loss"].min() == pytest.approx(best, rel=1e-4)
    Mlp(**own | {"loss": "l1"}, validation=held).fit(X, Y)
    first = pd.read_csv(tmp_path / "log-fit.csv").query("group == 'all'").set_index("epoch")
    # But for the mean response, which l1 moves.
    assert log["training_loss"][1] == pytest.approx(first["training_loss"][1], rel=1e-3)


def test_r_that_begins_with_l1_knows_the_scale() -> None:
    X, Y = _data()
    own = QUICK | {"loss": "pearson", "epochs": 30, "patience": 30}
    errors = {}
    for epochs in (0, 20):
        model = Mlp(l1_epochs=epochs, **own).fit(X[:200], Y[:200])
        predicted = model.predict(X[200:])
        assert _r(predicted, Y[200:]).mean() > 0.55
        errors[epochs] = ((predicted - Y[200:]) ** 2).mean()
    assert errors[20] < 0.9 * errors[0]


@pytest.mark.parametrize("wrong", [-1, 2.5, True])
def test_wrong_numbers_of_l1_epochs(wrong: Any) -> None:
    with pytest.raises(ValueError, match=f"l1_epochs: found {wrong}, expected a whole number from"):
        Mlp(l1_epochs=wrong).fit(*_data(40))

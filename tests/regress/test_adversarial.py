"""Critics, and generators that are trained against them."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray

from challenge.fsaverage import coordinates, neighbours
from regress.adversarial import CRITICS, Adversary, VertexGeometry, make_critics
from regress.errors import RegressError
from regress.models.mlp import Mlp
from regress.models.shallow import Shallow
from regress.training.losses import LOSSES

QUICK: dict[str, Any] = {"lr": 3e-3, "epochs": 12, "batch": 64, "width": 32}


@pytest.fixture(autouse=True)
def _one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _data(n: int = 400, t: int = 40, seed: int = 0) -> tuple[NDArray[Any], NDArray[Any]]:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, 12))
    Y = X @ np.random.default_rng(9).standard_normal((12, t)) / 3 + rng.standard_normal((n, t))
    return X.astype(np.float32), Y.astype(np.float32)


def _sheet(t: int = 40) -> VertexGeometry:
    """Place a row of vertices in two hemispheres, with three ROIs, of which two overlap."""
    row = VertexGeometry.line(t)
    rois = np.arange(t // 2), np.arange(t // 4, t), np.arange(3)
    return VertexGeometry((row.hemispheres + np.arange(t) * 2) // t, rois, row.edges)


def _accuracy(name: str, real: NDArray[Any], other: NDArray[Any], X: NDArray[Any]) -> float:
    """Train a critic on some pictures; say how often it is right on others."""
    torch.manual_seed(0)
    critics = make_critics(name, _sheet(), X.shape[1], 32, True)
    adversary = Adversary(critics, "hinge", 0.0, 0.0)
    optimiser = torch.optim.Adam(adversary.parameters(), 3e-3)
    half = len(X) // 2
    arrays = [torch.from_numpy(a) for a in (X, other, real)]
    for _ in range(100):
        rows = torch.randperm(half)[:64]
        optimiser.zero_grad()
        adversary(*(a[rows] for a in arrays)).backward()
        optimiser.step()
    adversary.eval()
    adversary.begin()
    adversary(*(a[half:] for a in arrays))
    return adversary.accuracy


@pytest.mark.parametrize("name", CRITICS)
def test_critics_know_measured_from_shuffled_responses_and_not_from_measured(name: str) -> None:
    X, Y = _data(600)
    shuffled = Y[np.random.default_rng(1).permutation(len(Y))]
    assert _accuracy(name, Y, shuffled, X) > (0.54 if name == "patch" else 0.6)
    # The same pictures seen twice: both are measured.
    again = _data(600)[1] + 0
    assert _accuracy(name, Y, again, X) == pytest.approx(0.5, abs=0.01)


def test_a_patch_is_judged_by_what_is_near_it() -> None:
    torch.manual_seed(0)
    critic = make_critics("patch", VertexGeometry.line(40), 12, 32, True)["patch"].eval()
    X, Y = (torch.from_numpy(a[:5]) for a in _data())
    changed = Y.clone()
    changed[:, 20] += 3
    moved = (critic(changed, X) != critic(Y, X)).any(0).nonzero()[:, 0]
    assert moved.tolist() == [18, 19, 20, 21, 22]


def test_the_order_of_vertices_does_not_matter_to_a_patch() -> None:
    order = np.random.default_rng(0).permutation(40)
    place = np.argsort(order)
    row = VertexGeometry.line(40)
    other = VertexGeometry(row.hemispheres, row.rois, place[row.edges])
    X, Y = (torch.from_numpy(a[:5]) for a in _data())
    verdicts = []
    for sheet, responses in ((row, Y), (other, Y[:, order])):
        torch.manual_seed(0)
        critic = make_critics("patch", sheet, 12, 32, False)["patch"]
        if sheet is other:
            critic.picture.weight.data = critic.picture.weight.data[order]
        verdicts.append(critic(responses, X))
    torch.testing.assert_close(verdicts[0][:, order], verdicts[1])


def test_without_critics_it_is_plain_regression() -> None:
    X, Y = _data()
    plain = Mlp(**QUICK).fit(X, Y).predict(X)
    np.testing.assert_array_equal(Shallow(**QUICK).fit(X, Y).predict(X), plain)
    # Critics that weigh nothing learn, and change nothing.
    judged = Shallow(discriminators="single+patch", adversarial=0.0, **QUICK).fit(X, Y)
    np.testing.assert_allclose(judged.predict(X), plain, atol=1e-6)


@pytest.mark.parametrize(
    ("names", "game"),
    [*((name, "hinge") for name in CRITICS), ("patch+per_roi", "least_squares")],
)
def test_trained_against_critics_it_beats_the_mean(names: str, game: str) -> None:
    (X, Y), (Z, measured) = _data(), _data(seed=1)
    model = Shallow(discriminators=names, game=game, spectral=True, sheet=[_sheet()], **QUICK)
    rest = measured - model.fit(X, Y).predict(Z)
    assert (rest**2).mean() < 0.75 * ((measured - Y.mean(0)) ** 2).mean()


def test_with_noise_it_makes_both_of_two_modes() -> None:
    rng = np.random.default_rng(0)
    X = np.zeros((1000, 3), np.float32) + 0.01 * rng.standard_normal((1000, 3), np.float32)
    mode = rng.choice([-2, 2], (1000, 1))
    Y = (mode + 0.2 * rng.standard_normal((1000, 4))).astype(np.float32)
    own = {"lr": 1e-3, "epochs": 30, "validation": 0, "dropout": 0.0, "width": 64, "batch": 64}
    model = Shallow(
        discriminators="single",
        loss="0.01*l1",
        adversarial=1.0,
        noise=4,
        schedule="constant",
        **own,
    ).fit(X, Y)
    made = model.sample(X[:1], 400)[:, 0]
    low, high = (made < -1).all(1).mean(), (made > 1).all(1).mean()
    assert low > 0.2
    assert high > 0.2
    assert low + high > 0.7
    # The mean of both is what regression makes, and neither mode.
    plain = Shallow(loss="mse", **own).fit(X, Y).predict(X[:1])
    assert np.abs(plain).max() < 1


def test_pattern_is_r_over_vertices() -> None:
    X, Y = (torch.from_numpy(a[:30, :12].astype(np.float64)) for a in _data())
    values, _ = LOSSES["pattern"](X, Y)
    r = [np.corrcoef(a, b)[0, 1] for a, b in zip(X.numpy(), Y.numpy(), strict=True)]
    np.testing.assert_allclose(values, np.full(12, 1 - np.mean(r)))
    values, _ = LOSSES["l1"](X, Y)
    np.testing.assert_allclose(values, np.abs((X - Y).numpy()).mean(0))


def test_a_loss_of_nan_stops_with_the_step(tmp_path: Path) -> None:
    X, Y = _data()
    with pytest.raises(RegressError, match=r"NaN or infinite at step \d+, .*lower lr"):
        Shallow(discriminators="single", adversarial=1e38, **QUICK | {"lr": 1e30}).fit(X, Y)


def test_critics_learn_at_a_rate_of_their_own(tmp_path: Path) -> None:
    X, Y = _data()
    own = QUICK | {"discriminators": "patch", "validation": 0, "lr": 3e-4, "schedule": "constant"}
    right = []
    for rate in (0.0, 1.0, 10.0):
        Shallow(critic_lr=rate, log=tmp_path / "log.csv", **own).fit(X, Y)
        log = pd.read_csv(tmp_path / "log-fit.csv")
        right.append(log[log["group"] == "all"]["right_verdicts"].to_numpy()[-1])
    # At the generator's rate, 84 steps do not suffice to know measured responses.
    assert right[0] < right[1] < 0.6
    assert right[2] > 0.8


def test_what_nothing_was_learned_from_is_said(caplog: pytest.LogCaptureFixture) -> None:
    X, Y = _data(200)
    own = QUICK | {"epochs": 4, "discriminators": "single"}
    weighed = Shallow(**own, adversarial=1e30).fit(X, Y)
    np.testing.assert_array_equal(weighed.predict(X[:2]).std(0), 0)
    assert "1 of 1 groups learned nothing" in caplog.text
    assert "whatever the picture" in caplog.text
    assert "critics less weight (now 1e+30): --params.adversarial 0.1" in caplog.text
    caplog.clear()
    Shallow(**own).fit(X, Y)
    assert "learned nothing" not in caplog.text


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"discriminators": "double"}, "discriminators 'double'.*per_roi"),
        ({"discriminators": "single+single"}, "found one twice; expected each once"),
        ({"critic_lr": -1.0}, "critic_lr: found -1.0"),
        ({"game": "chess"}, "game: found 'chess', expected hinge or least_squares"),
        ({"critic_width": 6}, "critic_width: found 6"),
        ({"adversarial": -1.0}, "adversarial: found -1.0"),
        (
            {"discriminators": "single", "sheet": [VertexGeometry.line(7)]},
            "sheet: found 7 vertices",
        ),
    ],
)
def test_wrong_parameters_are_named(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises((ValueError, RegressError), match=named):
        Shallow(**wrong).fit(*_data(50))


def test_neighbours_are_near_on_the_sphere() -> None:
    sphere = coordinates("sphere")["lh"]
    near = np.argsort(-(sphere @ sphere[20_000]))[:500]
    whole = neighbours(near)
    apart = np.linalg.norm(sphere[near[whole[:, 0]]] - sphere[near[whole[:, 1]]], axis=1)
    # An icosahedron's divisions have six neighbours, here about 0.9 mm away.
    assert np.bincount(whole.ravel()).max() == 6
    assert apart.max() < 2
    # Cut to fsaverage5, its mesh.
    cut = np.flatnonzero(sphere[:10_242, 1] < -95)
    coarse = neighbours(cut)
    assert len(coarse) > 2 * len(cut)
    assert np.bincount(coarse.ravel()).max() == 6

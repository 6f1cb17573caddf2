"""A U-Net from pixels to responses: what it learns, where its vertices look, and how it is kept."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from base import RoiridgeError
from cache import FeatureStore, read_artifact
from challenge import find_subjects
from regress import load_design, load_fit
from regress.adversarial import Generator
from regress.commands.fit import fit as regress
from regress.data.design import find_spaces
from regress.layers import receptive_fields as fields
from regress.layers.receptive_fields import read_fields
from regress.models.linear import Linear
from regress.models.unet import UNet
from regress.training import TrainedModel

QUICK: dict[str, Any] = {"width": 4, "depth": 1, "epochs": 4, "batch": 32, "lr": 3e-3}
SIDE = 16


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Such small maps are fastest on one thread, and bits do not depend on how many."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _noise(n: int, t: int = 6, seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[Any]]:
    """Pictures of noise, and responses that read how bright they are on the left and the right."""
    rng = np.random.default_rng(seed)
    X = rng.integers(0, 256, (n, 3, SIDE, SIDE), dtype=np.uint8)
    X[:, :, :, : SIDE // 2] //= rng.integers(1, 4, (n, 1, 1, 1), dtype=np.uint8)
    bright = (X.mean((1, 2)) - 100) @ np.eye(2).repeat(SIDE // 2, 0) / 400
    Y = bright @ np.random.default_rng(9).standard_normal((2, t)) + rng.standard_normal((n, t)) / 3
    return X.reshape(n, -1), Y.astype(np.float32)


def _edges(n: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[Any], NDArray[Any]]:
    """Pictures whose contrast differs from place to place, and vertices that see it near a point.

    Returns
    -------
    array of uint8 (n, 768)
        Pictures.
    array of float32 (n, 24)
        How far neighbouring pixels differ about the point, whatever their sign, and some noise.
    array (24, 2)
        The points: row and column.
    """
    rng = np.random.default_rng(seed)
    contrast = rng.uniform(0.1, 1, (n, 1, 4, 4)).repeat(4, 2).repeat(4, 3)
    X = (128 + (rng.integers(0, 256, (n, 3, SIDE, SIDE)) - 128) * contrast).clip(0, 255)
    edges = np.abs(np.diff(X.mean(1), axis=2, append=X.mean(1)[:, :, -1:])) / 50
    points = np.random.default_rng(1).uniform(2, SIDE - 2, (24, 2))
    pixels = np.stack(np.mgrid[:SIDE, :SIDE], -1).reshape(-1, 1, 2)
    near = np.exp(-((pixels - points) ** 2).sum(-1) / 2 / 2**2)
    Y = (edges.reshape(n, -1) - 0.36) @ near / 2
    return X.astype(np.uint8).reshape(n, -1), (Y + rng.normal(0, 0.5, Y.shape)).astype("f4"), points


def _r(predicted: NDArray[Any], measured: NDArray[Any]) -> float:
    pairs = zip(predicted.T, measured.T, strict=True)
    return float(np.mean([np.corrcoef(a, b)[0, 1] if np.ptp(a) > 1e-6 else 0 for a, b in pairs]))


def test_it_learns_what_is_not_linear_and_where_each_vertex_looks() -> None:
    (X, Y, points), (Z, measured, _) = _edges(400, 0), _edges(200, 5)
    model = UNet(width=8, depth=1, epochs=30, batch=64, lr=1e-2).fit(X, Y)
    predicted = model.predict(Z)
    assert _r(predicted, measured) > 0.45
    assert _r(Linear(epochs=20).fit(X, Y).predict(Z), measured) < 0.1
    assert ((predicted - measured) ** 2).mean() < 0.9 * ((measured - Y.mean(0)) ** 2).mean()
    where = model.state()["where"]
    assert where.shape == (64, 24)
    peaks = np.abs(where).argmax(0)
    # The middle of each place of the grid, in pixels.
    found = np.stack([peaks // 8, peaks % 8], 1) * 2 + 0.5
    distance = np.linalg.norm(found - points, axis=1)
    shuffled = np.linalg.norm(found - np.roll(points, 7, 0), axis=1)
    assert np.median(distance) < 3
    assert np.median(shuffled) > 4


class Plain(TrainedModel):
    """The same network without anything that generative models have."""

    together = True

    def make_network(self, n_features: int, member: Tensor) -> Generator:
        return UNet(**QUICK).make_network(n_features, member)


def test_without_critics_it_is_plain_regression() -> None:
    X, Y = _noise(120)
    model = UNet(**QUICK).fit(X, Y)
    own = {"epochs": 4, "batch": 32, "lr": model.lr}
    plain = Plain(**own).fit(X, Y).predict(X)
    np.testing.assert_array_equal(model.predict(X), plain)
    assert np.ptp(plain) > 0.1
    # Critics that weigh nothing learn, and change nothing.
    judged = UNet(discriminators="single+patch", adversarial=0.0, **QUICK).fit(X, Y)
    np.testing.assert_allclose(judged.predict(X), plain, atol=1e-5)


@pytest.mark.parametrize("names", ["single", "patch+per_roi"])
def test_trained_against_critics_it_beats_the_mean(names: str) -> None:
    (X, Y), (Z, measured) = _noise(200), _noise(100, seed=1)
    model = UNet(discriminators=names, loss="l1+pearson", l1_epochs=2, **QUICK | {"epochs": 12})
    rest = measured - model.fit(X, Y).predict(Z)
    assert (rest**2).mean() < 0.8 * ((measured - Y.mean(0)) ** 2).mean()


def test_critics_see_the_large_parts_of_a_picture() -> None:
    model = UNet(discriminators="patch")
    critics = model.make_critics(3 * 128**2, [50])
    assert critics is not None
    # A weight a vertex for each of 3 x 8 x 8 numbers, and not for each of 49,152 pixels.
    assert dict(critics.named_parameters())["0.critics.patch.picture.weight"].shape == (50, 192)
    sight, columns = model.critic_view(3 * 16**2)
    picture = torch.arange(768.0).reshape(1, 3, 16, 16)
    expected = picture.unfold(2, 2, 2).unfold(3, 2, 2).mean((-1, -2)).reshape(1, -1)
    assert columns == 192
    torch.testing.assert_close(sight(picture.flatten(1)), expected)


def test_each_picture_is_predicted_as_it_is_alone() -> None:
    """Norms look at one picture; of 150, three blocks are predicted."""
    X, Y = _noise(150)
    model = UNet(**QUICK | {"noise": 2}).fit(X, Y)
    together = model.predict(X)
    for picture in (0, 70, 149):
        alone = model.predict(X[picture : picture + 1])[0]
        np.testing.assert_allclose(alone, together[picture], atol=1e-5)
    # Dropout and all, a picture's gradient is its own.
    network = model.network_.train()
    inputs = torch.from_numpy(model._standardised(X[:5])).requires_grad_()
    network(inputs)[2].sum().backward()
    assert inputs.grad is not None
    assert (inputs.grad.abs().sum(1) > 0).tolist() == [False, False, True, False, False]


def test_a_seed_gives_the_same_bits_and_another_seed_others() -> None:
    X, Y = _noise(100)
    first = UNet(**QUICK).fit(X, Y).predict(X)
    np.testing.assert_array_equal(UNet(**QUICK).fit(X, Y).predict(X), first)
    assert (UNet(random_state=1, **QUICK).fit(X, Y).predict(X) != first).any()


def test_kept_whole_or_in_parts_it_predicts_the_same() -> None:
    X, Y = _noise(100)
    model = UNet(**QUICK).fit(X, Y).refit(X, Y)
    predicted = model.predict(X)
    loaded = UNet(**QUICK).restore(model.state())
    np.testing.assert_array_equal(loaded.predict(X), predicted)
    some = np.array([4, 1])
    part = UNet(**QUICK).restore(model.state(some))
    np.testing.assert_allclose(part.predict(X), predicted[:, some], atol=1e-6)


def test_the_best_weights_are_kept(tmp_path: Path) -> None:
    X, Y = _noise(100)
    Y += np.random.default_rng(2).normal(0, 1, Y.shape).astype(np.float32)
    validation = np.arange(100) % 4 == 0
    scope = np.repeat(["a", "b"], 3)
    own = QUICK | {"epochs": 60, "patience": 4, "lr": 0.02, "scope": scope}
    model = UNet(validation=validation, log=tmp_path / "log.csv", **own).fit(X, Y)
    log = pd.read_csv(tmp_path / "log-fit.csv")
    rows = log[log["group"] == "all"]
    best = rows.loc[rows["validation_loss"].idxmin()]
    assert 1 <= best["epoch"] < rows["epoch"].max()
    # They share maps, and stop together.
    assert set(model.epochs_.tolist()) == {int(best["epoch"])}
    rest = (model.predict(X) - Y)[validation]
    assert (rest**2).mean() == pytest.approx(best["validation_loss"], rel=1e-4)


def test_a_loss_that_is_not_finite_stops_with_the_step() -> None:
    X, Y = _noise(100)
    with pytest.raises(RoiridgeError, match=r"NaN or infinite at step \d+, .*lower lr"):
        UNet(optimiser="sgd", **QUICK | {"lr": 1e12}).fit(X, Y)


def test_readouts_are_products_of_places_and_channels(monkeypatch: pytest.MonkeyPatch) -> None:
    # Three vertices at once, of seven.
    monkeypatch.setattr(fields, "MEMORY", 3 * 8 * 5 * 4)
    rng = torch.Generator().manual_seed(0)
    shapes = (5, 4, 9), (9, 7), (4, 7)
    given = [torch.randn(s, generator=rng, dtype=torch.float64, requires_grad=True) for s in shapes]
    assert torch.autograd.gradcheck(read_fields, given)
    plain = [array.detach().numpy() for array in given]
    expected = np.einsum("ncp,pv,cv->nv", *plain)
    np.testing.assert_allclose(read_fields(*given).detach(), expected, rtol=1e-12)
    with torch.inference_mode():
        np.testing.assert_allclose(read_fields(*given), expected, rtol=1e-12)


def test_noise_is_other_each_time_and_averaged_in_a_prediction() -> None:
    X, Y = _noise(100)
    model = UNet(noise=3, samples=5, **QUICK).fit(X, Y)
    made = model.sample(X[:70], 5)
    assert made.shape == (5, 70, 6)
    assert (made[0] != made[1]).any()
    np.testing.assert_allclose(made.mean(0), model.predict(X[:70]), atol=1e-5)


def _keep(out: Path, simulated: Path) -> None:
    """Keep pictures of 8 x 8 pixels, which are noise, a grid, and a vector, as extraction does."""
    rng = np.random.default_rng(0)
    subject = find_subjects(simulated)[0]
    names = list(dict.fromkeys(subject.picture_digests("train") + subject.picture_digests("test")))
    rgb = [{"layer": "rgb", "pooling": "flatten", "projection": None}]
    grid = [{"layer": "b", "pooling": "grid2", "projection": None}]
    kinds: tuple[Any, ...] = (
        ("pixels:8", {"family": "pixels", "layers": rgb}, 192, "uint8"),
        ("grid", {"family": "timm", "layers": grid}, 12, "float32"),
        ("vector", {"family": "timm", "layers": rgb}, 192, "float32"),
    )
    store = FeatureStore(out / "features")
    for name, key, width, dtype in kinds:
        values = rng.integers(0, 256, (len(names), width)).astype(dtype)
        with store.writer(name, key, {"origin": "x"}) as writer:
            writer.add(names, values)


@pytest.mark.parametrize(
    ("space", "own"), [("pixels:8", {"depth": 1}), ("grid", {"over": "tokens", "depth": 1})]
)
def test_from_the_command(simulated: Path, tmp_path: Path, space: str, own: dict[str, Any]) -> None:
    _keep(tmp_path, simulated)
    params = {"width": 4, "epochs": 1, **own}
    regress(simulated, tmp_path, "01", "unet", [space], "cpu", group_by="brain", params=params)
    subject, store = find_subjects(simulated)[0], FeatureStore(tmp_path / "features")
    design = load_design(subject, store, find_spaces(store, [space]))
    files = sorted(tmp_path.glob("fits/*/subj01/*.h5"))
    assert len(files) == sum(len(subject.regions(h)) for h in ("lh", "rh"))
    for path in files[::9]:
        model, _ = load_fit(path)
        kept = read_artifact(path)[0]["test_predictions"]
        # All ROIs were predicted in one go: the same but for rounding.
        np.testing.assert_allclose(model.predict(design.test), kept, rtol=0, atol=1e-5)


@pytest.mark.parametrize("names", [["vector"], ["grid"], ["pixels:8", "grid"]])
def test_what_is_no_picture_is_refused(simulated: Path, tmp_path: Path, names: list[str]) -> None:
    _keep(tmp_path, simulated)
    said = r"--params.over pixels: found .*, expected one space of pixels alone, such as pixels:8"
    said += "; or --params.over tokens$" if names == ["grid"] else "$"
    with pytest.raises(RoiridgeError, match=said):
        regress(simulated, tmp_path, "01", "unet", names, "cpu")
    assert not (tmp_path / "fits").exists()


@pytest.mark.parametrize(
    ("own", "width", "said"),
    [
        ({"width": 0}, 768, "width: found 0, expected a whole number from 1 on"),
        ({"depth": -1}, 768, "depth: found -1, expected a whole number from 0 on"),
        ({"over": "words"}, 768, "over: found 'words', expected pixels or tokens"),
        ({}, 512, "over='pixels': expected columns that are 3 x side x side: the 512 columns are"),
        ({"depth": 4}, 768, "depth: found 4, with which a side of 16 .* of 32; .* or --params.dep"),
        ({}, 75, "depth: found 3, with which a side of 5 .* of 16; expected pictures of such a si"),
        ({}, 3, "depth: found 3, with which a side of 1 would have to be a multiple of 16"),
        ({"depth": 1, "grid": 3}, 768, "grid: found 3, expected a divisor of the 8 places a side"),
        ({"over": "tokens"}, 12, "places: found None, expected how many places"),
        ({"over": "tokens", "places": 5}, 10, "components x 5 places, a square of them, not 10"),
        ({"over": "tokens", "places": 4}, 10, "components x 4 places, a square of them, not 10"),
    ],
)
def test_bad_parameters(own: dict[str, Any], width: int, said: str) -> None:
    X = np.random.default_rng(0).integers(0, 256, (40, width), dtype=np.uint8)
    with pytest.raises((ValueError, RoiridgeError), match=said):
        UNet(**own).fit(X, np.eye(40, 3, dtype=np.float32))


def test_more_maps_than_memory_holds() -> None:
    with pytest.raises(RoiridgeError, match=r"need \d+ GB to train, and this machine has \d+ GB"):
        UNet(width=512, batch=10_000).make_network(3 * 1024**2, torch.zeros(5, dtype=torch.int64))

"""The transformer that is trained further: what is trained, what stays, and whence its weights."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from torch import Tensor

from base import RoiridgeError
from cache import FeatureStore, read_artifact
from challenge import HEMISPHERES, find_subjects
from evaluate.commands.report import report
from networks.timm import full_name, make_transformer
from networks.tuning import ORIGINAL
from regress import load_design, load_fit
from regress.commands.fit import fit
from regress.data.design import find_spaces
from regress.data.responses import Responses
from regress.data.several_subjects import Joint
from regress.layers.vit_backbone import VitBackbone, side_of
from regress.models.vit import VisionTransformer
from regress.training import Network, TrainedModel
from tests.builders.commands import call

SIDE = 32
QUICK: dict[str, Any] = {
    "network": "test_vit",
    "weights": "random:0",
    "epochs": 4,
    "lr": 0.01,
    "grid": 2,
    "width": 16,
    "dropout": 0.1,
    "batch": 16,
}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _data(n: int = 160, t: int = 6, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Pictures whose quarters are dark or bright, and vertices that see some of them."""
    rng = np.random.default_rng(seed)
    bright = rng.integers(0, 2, (n, 2, 2))
    pictures = rng.uniform(0, 90, (n, 3, SIDE, SIDE)) + 150 * np.kron(
        bright, np.ones((SIDE // 2, SIDE // 2))
    ).reshape(n, 1, SIDE, SIDE)
    weights = np.random.default_rng(9).standard_normal((4, t))
    Y = 2 * (bright.reshape(n, 4) - 0.5) @ weights + 0.5 * rng.standard_normal((n, t))
    return pictures.astype(np.uint8).reshape(n, -1), Y.astype(np.float32)


def _trunk(model: VisionTransformer) -> dict[str, Tensor]:
    return model.network_.trunk.module.state_dict()  # type: ignore[union-attr]


def _before(model: VisionTransformer) -> dict[str, Tensor]:
    """Give the transformer as it was, made by timm alone."""
    module, _ = make_transformer(full_name("test_vit", None, ""), 0, SIDE)
    return module.state_dict()


class Plain(TrainedModel):
    """The same network, without anything that generative models have."""

    together = True

    def __init__(self, like: Any = None, **training: Any) -> None:
        super().__init__(**training)
        self.like = like

    def scale_of(self, X: Any, start: Any = None) -> Any:
        return self.like.scale_of(X, start)

    def make_network(self, n_features: int, member: Tensor) -> Network:
        return self.like.make_network(n_features, member)

    def prepare(self, network: Network) -> None:
        self.like.prepare(network)


def test_without_critics_it_is_plain_regression() -> None:
    X, Y = _data()
    model = VisionTransformer(**QUICK)
    training = {n: QUICK[n] for n in ("epochs", "lr", "dropout", "batch")}
    plain = Plain(like=model, **training).fit(X, Y).predict(X)
    np.testing.assert_allclose(VisionTransformer(**QUICK).fit(X, Y).predict(X), plain, atol=1e-6)
    judged = VisionTransformer(discriminators="single", adversarial=0.0, **QUICK).fit(X, Y)
    np.testing.assert_allclose(judged.predict(X), plain, atol=1e-5)
    against = VisionTransformer(discriminators="single", adversarial=1.0, **QUICK).fit(X, Y)
    assert np.abs(against.predict(X) - plain).max() > 1e-3


@pytest.mark.parametrize("tune", ["all", "last:1", "lora:2", "none"])
def test_only_what_is_said_is_trained_and_it_beats_the_mean(tune: str) -> None:
    (X, Y), (Z, measured) = _data(), _data(seed=1)
    model = VisionTransformer(tune=tune, **QUICK | {"epochs": 8}).fit(X, Y)
    rest = measured - model.predict(Z)
    assert (rest**2).mean() < 0.5 * ((measured - Y.mean(0)) ** 2).mean()
    then, now = _before(model), _trunk(model)
    moved = set()
    for name, values in then.items():
        own = name if name in now else name.removesuffix("weight") + ORIGINAL
        if own in now and not torch.equal(now[own], values):
            moved.add(name)
    added = {name for name in now if name.endswith((".up", ".down"))}
    if tune == "lora:2":
        # Four layers in each of six blocks, two matrices each; all of them learn.
        assert len(added) == 6 * 4 * 2
        assert all(bool(now[name].any()) for name in added)
    else:
        assert not added
    last = {n for n in then if n.startswith(("blocks.5.", "norm."))}
    assert moved <= last if tune == "last:1" else True
    assert bool(moved) == (tune in {"all", "last:1"})
    if tune == "all":
        assert len(moved) > 0.9 * len(now)
    # Frozen is not counted among what is decayed or stepped: bits stay through a refit too.
    model.refit(X, Y)
    again = _trunk(model)
    if tune == "none":
        assert all(torch.equal(again[name], now[name]) for name in now)


def test_low_ranks_begin_at_what_there_was() -> None:
    pixels = torch.from_numpy(_data(3)[0]).float() / 127.5 - 1
    seen = []
    for tune in ("none", "lora:4"):
        model = VisionTransformer(tune=tune, **QUICK)
        network = model.make_network(pixels.shape[1], torch.zeros(2, dtype=torch.int64))
        model.prepare(network)
        seen.append(network.encode_pictures(pixels))
    torch.testing.assert_close(seen[0], seen[1], atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "side"),
    [("test_vit", 32), ("test_vit2", 48), ("test_vit4", 32), ("eva02_tiny_patch14_224", 28)],
)
def test_what_is_seen_is_timms_own(name: str, side: int) -> None:
    """Class token, or the mean, and the tokens of a grid, averaged by numpy."""
    torch.manual_seed(0)
    eye = VitBackbone(full_name(name, None, ""), side, grid=2).eval()
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (2, 3, side, side)).astype(np.float32)
    seen = eye(torch.from_numpy(pixels.reshape(2, -1) / 127.5 - 1)).detach()
    module = timm.create_model(name, pretrained=False, num_classes=0, img_size=side).eval()
    module.load_state_dict(eye.module.state_dict(), strict=False)
    config = timm.data.resolve_model_data_config(module)
    mean, std = (np.array(config[what], np.float32)[:, None, None] for what in ("mean", "std"))
    with torch.no_grad():
        tokens = module.forward_features(torch.from_numpy((pixels / 255 - mean) / std))
        tokens = module.fc_norm(tokens).numpy()
    patches = tokens[:, module.num_prefix_tokens :]
    first = tokens[:, 0] if module.cls_token is not None else patches.mean(1)
    n, k = eye.grid, eye.places
    assert n == min(2, k)
    rows = np.array_split(patches.reshape(2, k, k, -1), n, 1) if k % n == 0 else None
    expected = [first]
    if rows is not None:
        expected += [c.mean((1, 2)) for row in rows for c in np.array_split(row, n, 2)]
        for number, one in enumerate(expected):
            z = (one - one.mean(-1, keepdims=True)) / np.sqrt(one.var(-1, keepdims=True) + 1e-5)
            found = seen[:, number * z.shape[1] : (number + 1) * z.shape[1]]
            np.testing.assert_allclose(found, z, atol=2e-3)
    assert seen.shape == (2, (1 + n * n) * first.shape[1])


def test_it_depends_on_the_seed_alone() -> None:
    X, Y = _data(80)
    own = QUICK | {"epochs": 2, "noise": 3, "samples": 2}
    first, again = (VisionTransformer(**own).fit(X, Y) for _ in range(2))
    np.testing.assert_array_equal(first.predict(X), again.predict(X))
    other = VisionTransformer(**own | {"random_state": 1}).fit(X, Y)
    assert np.abs(first.predict(X) - other.predict(X)).max() > 1e-3
    made = first.sample(X[:4], 3)
    assert made.shape == (3, 4, 6)
    assert np.abs(made[0] - made[1]).max() > 1e-6
    # The transformer's own seed is that of `weights`, not of the training.
    for model in (first, other):
        torch.testing.assert_close(_trunk(model)["pos_embed"], _before(model)["pos_embed"],
                                   atol=0.05, rtol=0)  # fmt: skip


def test_subjects_share_the_transformer() -> None:
    (X, Y), (Z, W) = _data(), _data(seed=1)
    joint = Joint([Responses([Y]), Responses([W[:, :4]])])
    scope = np.array([*"aaabbb", *"aabb"])
    model = VisionTransformer(scope=scope, embedding=2, **QUICK).fit(np.concatenate([X, Z]), joint)
    assert len(set(model.epochs_.tolist())) == 1
    rest = W[:, :4] - model.restore(model.state(np.arange(6, 10))).predict(Z)
    assert (rest**2).mean() < 0.6 * W[:, :4].var()


# Weights, and files.


def _file(path: Path, seed: int, **options: Any) -> Path:
    torch.manual_seed(seed)
    torch.save(timm.create_model("test_vit", **options).state_dict(), path)
    return path


def test_weights_of_a_file_for_pictures_of_another_size(tmp_path: Path) -> None:
    path = _file(tmp_path / "w.pth", 5)
    model = VisionTransformer(**QUICK | {"weights": str(path), "tune": "lora:1"})
    network = model.make_network(3 * SIDE * SIDE, torch.zeros(2, dtype=torch.int64))
    model.prepare(network)
    expected = torch.load(path)
    trunk = network.trunk.module.state_dict()
    torch.testing.assert_close(trunk["cls_token"], expected["cls_token"])
    torch.testing.assert_close(
        trunk["blocks.2.mlp.fc1." + ORIGINAL], expected["blocks.2.mlp.fc1.weight"]
    )
    # 10 x 10 places became 2 x 2.
    assert expected["pos_embed"].shape[1] in {100, 101}
    assert trunk["pos_embed"].shape[1] == expected["pos_embed"].shape[1] - 96
    assert model.untrained == ()
    assert model.origin_ == "file w.pth"


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"network": "vit_smal"}, r"timm has no model 'vit_smal'; near it: "),
        (
            {"network": "tf_efficientnet_lite0"},
            "is not a vision transformer.*EfficientNet.*expected",
        ),
        (
            {"network": "samvit_base_patch16"},
            "is not a vision transformer but .*SAM; expected one of timm's",
        ),
        ({"network": "vit_tiny_patch16_224.none"}, "has no weights 'none': choose from augreg"),
        ({"weights": "random:x"}, r"--params\.weights random:x: expected random:SEED"),
        ({"weights": "/no/file"}, r"--params\.weights /no/file: there is no such file; expected"),
        ({"tune": "last"}, "tune: found 'last', expected all, none, last:N"),
        ({"tune": "last:7"}, "tune: found last:7, expected at most last:6"),
        ({"tune": "lora:0"}, "tune: found 'lora:0'"),
        ({"tune": "lora:100000"}, "tune: found lora:100000, expected at most lora:64"),
        ({"grid": -1}, "grid: found -1"),
        ({"trunk_lr": -1}, "trunk_lr: found -1"),
    ],
)
def test_wrong_parameters_are_named(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises((ValueError, RoiridgeError), match=named):
        VisionTransformer(**QUICK | wrong).fit(*_data(20))


def test_what_is_no_picture_is_named() -> None:
    X, Y = _data(20)
    with pytest.raises(RoiridgeError, match=r"vit: found 20 columns.*--spaces pixels:128"):
        VisionTransformer(**QUICK).fit(X[:, :20], Y)
    with pytest.raises(RoiridgeError, match=r"found features from .*expected the bytes"):
        VisionTransformer(**QUICK).fit(X.astype(np.float32) * 2, Y)
    small = X.reshape(-1, 3, SIDE, SIDE)[:, :, :30, :30].reshape(20, -1)
    with pytest.raises(RoiridgeError, match=r"patches of 16 pixels, and 30 .*--spaces pixels:32"):
        VisionTransformer(**QUICK).fit(small, Y)
    assert side_of(3 * 128 * 128) == 128


def test_no_weights_to_be_had_is_told_with_the_fix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    fix = r"no weights for timm's test_vit\.r160_in1k: tried .*then pass --params\.weights FILE "
    with pytest.raises(RoiridgeError, match=fix + r'\(make: PARAMS="weights=FILE"\)'):
        VisionTransformer(**QUICK | {"weights": ""}).fit(*_data(20))
    path = _file(tmp_path / "other.pth", 0, embed_dim=32)
    with pytest.raises(RoiridgeError, match=r"file other\.pth are of another network"):
        VisionTransformer(**QUICK | {"weights": str(path)}).fit(*_data(20))


@pytest.fixture(scope="module")
def pixels(simulated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make pictures of 32 pixels, as `python -m extract --spaces pixels:32` keeps them."""
    out = tmp_path_factory.mktemp("vit")
    call("extract", "--data", simulated, "--out", out, "--spaces", f"pixels:{SIDE}")
    return out


@pytest.mark.slow
def test_fitted_saved_loaded_judged(
    simulated: Path, pixels: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = _file(tmp_path / "w.pth", 1)
    params = QUICK | {"epochs": 1, "blocks": 0, "width": 4, "tune": "lora:1"}
    own: dict[str, Any] = {"model": "vit", "spaces": [f"pixels:{SIDE}"], "device": "cpu"}
    own |= {"subject": "01", "group_by": "hemisphere"}
    untrained = fit(simulated, pixels, **own, params=params)
    (subject,) = find_subjects(simulated, "01")
    store = FeatureStore(pixels / "features")
    design = load_design(subject, store, find_spaces(store, own["spaces"]))
    assert design.train.dtype == np.uint8
    shared = sorted(untrained.glob("shared/*.h5"))
    assert len(shared) == len(HEMISPHERES)
    size = sum(file.stat().st_size for file in shared)
    for file in sorted(untrained.glob("subj01/*.h5"))[::7]:
        # An ROI's file has no transformer in it.
        assert file.stat().st_size < 0.3 * size
        model, meta = load_fit(file)
        stored = read_artifact(file)[0]["test_predictions"]
        np.testing.assert_allclose(model.predict(design.test), stored, rtol=0, atol=1e-5)
        assert meta["untrained"] == ["test_vit"]
        assert meta["training"]["weights"] == "random, seed 0"
    # Another subject begins from it; frozen, the transformer stays bit for bit.
    later = own | {"subject": "02", "start": untrained}
    begun = fit(simulated, pixels, **later, params=params | {"freeze": True})
    for name in HEMISPHERES:
        (first,), (second,) = (one.glob(f"shared/*.{name}-*.h5") for one in (untrained, begun))
        there, here = read_artifact(first)[0], read_artifact(second)[0]
        plain = [n for n in here if not n.startswith("inside.")]
        assert plain
        for one in plain:
            np.testing.assert_array_equal(here[one], there[one])
    with pytest.raises(RoiridgeError, match="has tune lora:1, not all; expected the same"):
        fit(simulated, pixels, **later, params=params | {"tune": "all"})
    # Another file of weights under the same name is another fit.
    given = fit(simulated, pixels, **own, params=params | {"weights": str(path)})
    capsys.readouterr()
    fit(simulated, pixels, **own, params=params | {"weights": str(path)})
    assert " 0 to fit" in capsys.readouterr().out
    _file(path, 2)
    assert given == fit(simulated, pixels, **own, params=params | {"weights": str(path)})
    assert " 0 models there already" in capsys.readouterr().out
    assert len(list(given.glob("shared/*.h5"))) == len(HEMISPHERES)
    report(simulated, pixels, "01")
    assert "UNTRAINED networks, random weights: test_vit" in capsys.readouterr().out
    page = (pixels / "report-01" / "index.html").read_text()
    assert "<strong>UNTRAINED</strong> test_vit" in page

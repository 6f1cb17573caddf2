"""Trained models with a trunk for each group: what each learns, groupings, tokens."""

import shutil
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from scipy.stats import pearsonr
from sklearn.base import clone

from base import RoiridgeError
from cache import FeatureStore, read_artifact
from challenge import find_subjects
from regress import load_design, load_fit
from regress.adversarial import Generative
from regress.adversarial.critics import Critics
from regress.adversarial.generator import Noise
from regress.adversarial.subject_vectors import SubjectVectors
from regress.commands.fit import fit as regress
from regress.data.design import find_spaces
from regress.data.vertex_columns import GROUPINGS
from regress.fitting.fit import fit_subjects
from regress.fitting.settings import Job, Settings
from regress.layers.readout import read_out
from regress.models import load_model_class
from regress.models.conv1d import Conv1d
from regress.models.mlp import Mlp
from regress.training import TrainedModel
from regress.training.config import Training
from tests.builders.models import MODELS, QUICK

# `positional` wants positions as well, and has a file of tests of its own.
TRAINED = [
    name
    for name in MODELS
    if issubclass(load_model_class(name), TrainedModel)
    and "positions" not in load_model_class(name)().get_params()
]
# Groups of a network that all share are not what they would be alone.
APART = [name for name in TRAINED if not load_model_class(name)().together]


def _quick(name: str, **own: Any) -> Any:
    return load_model_class(name)(**{**QUICK.get(name, {}), "scope": "roi", **own})


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Such small products are fastest on one thread, and bits do not depend on how many."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _linear(n: int, seed: int = 0, noise: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, 20)) * np.exp(rng.standard_normal(20)) + 5
    Z = (X - X.mean(0)) / X.std(0)
    Y = Z @ rng.standard_normal((20, 9)) / np.sqrt(20) + noise * rng.standard_normal((n, 9)) + 3
    return X.astype(np.float32), Y.astype(np.float32)


def _r(predicted: np.ndarray, measured: np.ndarray) -> float:
    """Mean r over vertices; a constant prediction has none, and counts as 0."""
    pairs = zip(predicted.T, measured.T, strict=True)
    return float(np.mean([pearsonr(a, b)[0] if np.ptp(a) > 1e-6 else 0 for a, b in pairs]))


def _scores(candidates: dict[str, Any], X: np.ndarray, Y: np.ndarray, n: int) -> dict[str, float]:
    return {k: _r(m.fit(X[:n], Y[:n]).predict(X[n:]), Y[n:]) for k, m in candidates.items()}


def test_mlp_learns_what_is_not_linear() -> None:
    """Vertices that read the size of a few projections, whatever their sign."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((1000, 10)).astype(np.float32)
    energy = np.abs(X @ np.linalg.qr(rng.standard_normal((10, 10)))[0][:, :3])
    Y = (energy - energy.mean(0)) @ rng.standard_normal((3, 12)) + 0.5 * rng.standard_normal(
        (1000, 12)
    )
    Y = Y.astype(np.float32)
    scores = _scores({name: _quick(name) for name in ("linear", "mlp")}, X, Y, 800)
    flat = _quick("mlp", blocks=0)
    scores["linear, of low rank"] = _r(flat.fit(X[:800], Y[:800]).predict(X[800:]), Y[800:])
    assert scores["mlp"] > 0.6
    assert scores["linear"] < 0.2
    assert scores["linear, of low rank"] < 0.2


def test_without_blocks_mlp_is_linear() -> None:
    X, Y = _linear(400)
    model = _quick("mlp", blocks=0).fit(X[:300], Y[:300])
    first, second = model.predict(X[:2]).astype(np.float64)
    middle = model.predict(X[:2].mean(0, keepdims=True).astype(np.float32))[0]
    np.testing.assert_allclose(middle, (first + second) / 2, atol=1e-4)
    scores = {"mlp": _r(model.predict(X[300:]), Y[300:])}
    scores |= _scores({"linear": _quick("linear")}, X, Y, 300)
    assert scores["mlp"] > scores["linear"] - 0.05


def _shapes(n: int, places: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Give sequences, and how much of a small pattern is in each, wherever it stands."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, places))
    pattern = np.array([1.0, -2.0, 1.0]) / np.sqrt(6)
    found = np.apply_along_axis(np.convolve, 1, X, pattern, "same")
    return X.astype(np.float32), np.abs(found)


def test_conv1d_finds_a_pattern_wherever_it_stands() -> None:
    X, found = _shapes(900, 48, seed=1)
    rng = np.random.default_rng(2)
    # Each vertex weighs the places in its own way, smoothly.
    fields = np.exp(-0.5 * ((np.arange(48)[:, None] - rng.uniform(0, 48, 10)) / 6) ** 2)
    Y = found @ fields
    Y = ((Y - Y.mean(0)) / Y.std(0) + 0.5 * rng.standard_normal(Y.shape)).astype(np.float32)
    own: dict[str, Any] = {"layers": 1, "kernel": 3, "stride": 1, "dropout": 0.0, "channels": 4}
    models = {"linear": _quick("linear"), "conv1d": _quick("conv1d", **own)}
    scores = _scores(models, X, Y, 700)
    assert scores["linear"] < 0.2
    assert scores["conv1d"] > 0.5
    # In another order of the columns no pattern is to be found.
    order = rng.permutation(48)
    shuffled = _scores({"conv1d": models["conv1d"]}, X[:, order], Y, 700)["conv1d"]
    assert shuffled < scores["conv1d"] - 0.2


def test_conv1d_over_tokens_shares_filters_among_places() -> None:
    """Columns are components x places, places varying fastest, as a grid's are."""
    rng = np.random.default_rng(3)
    maps = rng.standard_normal((1100, 12, 4, 4)).astype(np.float32)
    wanted = rng.standard_normal((12, 2)) / np.sqrt(12)
    there = np.maximum(np.einsum("nchw,ck->nkhw", maps, wanted), 0).reshape(1100, -1)
    Y = there @ (rng.standard_normal((32, 8)) ** 2)
    Y = ((Y - Y.mean(0)) / Y.std(0) + 0.5 * rng.standard_normal(Y.shape)).astype(np.float32)
    X = maps.reshape(1100, -1)
    own: dict[str, Any] = {"layers": 1, "kernel": 1, "stride": 1, "dropout": 0.0, "channels": 8}
    models = {
        "linear": _quick("linear"),
        "tokens": _quick("conv1d", over="tokens", places=16, **own),
        "wrong": _quick("conv1d", over="tokens", places=12, **own),
    }
    scores = _scores(models, X, Y, 800)
    assert scores["tokens"] > scores["linear"] + 0.05
    assert scores["tokens"] > scores["wrong"] + 0.05


@pytest.mark.parametrize("name", TRAINED)
def test_shuffled_pictures_score_at_chance(name: str) -> None:
    X, Y = _linear(1200)
    shuffled = np.random.default_rng(3).permutation(600)
    own = {"patience": 5}
    chance = _r(_quick(name, **own).fit(X[:600][shuffled], Y[:600]).predict(X[600:]), Y[600:])
    assert abs(chance) < 3 / np.sqrt(600)
    assert _r(_quick(name, **own).fit(X[:600], Y[:600]).predict(X[600:]), Y[600:]) > 0.5


@pytest.mark.parametrize("name", APART)
def test_groups_trained_together_are_those_trained_alone(name: str) -> None:
    X, Y = _linear(400)
    # One of other size, whose vertices stand apart; one is noise and stops at once; one vertex is
    # constant.
    scope = np.array(["b", "b", "noise", "a", "noise", "a", "b", "a", "b"])
    Y[:, scope == "noise"] = np.random.default_rng(1).standard_normal((400, 2))
    Y[:, 8] = 1.5
    own: dict[str, Any] = {"epochs": 12, "patience": 3}
    together = _quick(name, scope=scope, **own).fit(X[:300], Y[:300])
    assert len(set(together.epochs_.tolist())) > 1
    predicted = together.predict(X[300:])
    assert (predicted[:, 8] == 1.5).all()
    loaded = _quick(name).restore(together.state())
    np.testing.assert_array_equal(loaded.predict(X[300:]), predicted)
    for group in ("a", "b", "noise"):
        here = scope == group
        alone = _quick(name, **own).fit(X[:300], Y[:300][:, here])
        np.testing.assert_array_equal(alone.epochs_, together.epochs_[here])
        np.testing.assert_allclose(alone.predict(X[300:]), predicted[:, here], atol=2e-3)
        part = _quick(name).restore(together.state(np.flatnonzero(here)))
        np.testing.assert_allclose(part.predict(X[300:]), predicted[:, here], atol=1e-5)
    refitted = together.refit(X, Y).predict(X)
    alone = _quick(name, **own).fit(X[:300], Y[:300][:, scope == "a"]).refit(X, Y[:, scope == "a"])
    np.testing.assert_allclose(alone.predict(X), refitted[:, scope == "a"], atol=2e-3)


@pytest.mark.parametrize("member", [[0, 0, 0], [0, 1, 2], [0, 0, 2, 2, 2], [2, 0, 2, 1, 0, 2]])
def test_each_vertex_reads_its_own_group(member: list[int]) -> None:
    rng = torch.Generator().manual_seed(0)
    groups = torch.tensor(member)
    hidden = torch.randn(max(member) + 1, 7, 4, generator=rng, dtype=torch.float64)
    weight = torch.randn(4, len(member), generator=rng, dtype=torch.float64)
    bias = torch.randn(len(member), generator=rng, dtype=torch.float64)
    expected = np.einsum("vnw,wv->nv", hidden.numpy()[member], weight.numpy()) + bias.numpy()
    np.testing.assert_allclose(read_out(hidden, weight, bias, groups), expected, rtol=1e-12)


def _keep(out: Path, name: str, layers: list[dict[str, Any]], rows: dict[str, np.ndarray]) -> None:
    store = FeatureStore(out / "features")
    with store.writer(name, {"made": name, "layers": layers}, {"origin": "x"}) as writer:
        writer.add(list(rows), np.array(list(rows.values()), np.float32))


@pytest.fixture(scope="module")
def spaces(simulated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give spaces that know the truth: a vector, a grid, two more grids, one that is projected."""
    out = tmp_path_factory.mktemp("spaces")
    rng = np.random.default_rng(0)
    rows: dict[str, np.ndarray] = {}
    for subject in find_subjects(simulated):
        for split, name in (("train", "training"), ("test", "test")):
            truth = np.load(subject.folder / "truth" / f"lh_{name}_signal.npy")[:, :12]
            for digest, row in zip(subject.picture_digests(split), truth, strict=True):
                rows.setdefault(digest, row + 0.3 * rng.standard_normal(12))
    grid = {"layer": "b", "pooling": "grid2", "projection": None}
    _keep(out, "vector", [{"layer": "a", "pooling": "flatten", "projection": None}], rows)
    _keep(out, "grid", [grid], rows)
    _keep(out, "twice", [grid, {**grid, "layer": "c"}], rows)
    _keep(out, "finer", [{**grid, "pooling": "grid3"}], {k: np.tile(v, 3) for k, v in rows.items()})
    _keep(out, "narrow", [grid, {**grid, "layer": "c", "projection": {"columns": 6}}], rows)
    return out


# One model in every grouping, and the others in two: files take long.
PAIRS = [("mlp", group_by) for group_by in GROUPINGS] + [
    (name, group_by)
    for name in TRAINED
    for group_by in ("class-both-hemispheres", "brain")
    if name != "mlp"
]


@pytest.mark.parametrize(("name", "group_by"), PAIRS)
def test_every_grouping_predicts_every_vertex_once(
    simulated: Path, spaces: Path, tmp_path: Path, name: str, group_by: str
) -> None:
    subject = find_subjects(simulated)[0]
    store = FeatureStore(spaces / "features")
    design = load_design(subject, store, find_spaces(store, ["vector"]))
    parameters = {**QUICK.get(name, {}), "scope": "roi", "epochs": 2}
    job = Job(
        subject,
        design,
        Settings(name, parameters, 0.2, 5, 0, group_by),
        load_model_class(name)(**parameters),
        tmp_path / "fits" / "x",
    )
    regions = {(roi.hemisphere, roi.name): roi for h in ("lh", "rh") for roi in subject.regions(h)}
    assert fit_subjects([job]) == len(regions)
    files = sorted(tmp_path.glob("fits/x/subj*/*.h5"))
    assert len(files) == len(regions)
    seen: dict[tuple[str, str, int], np.ndarray] = {}
    for path in files:
        arrays, meta = read_artifact(path)
        roi = regions.pop((meta["hemisphere"], meta["roi"]))
        np.testing.assert_array_equal(arrays["vertices"], roi.vertices)
        assert meta["group"] == GROUPINGS[group_by](roi)
        assert arrays["test_predictions"].shape == (len(design.test), len(roi.vertices))
        # In one group a vertex has one model, however many ROIs claim it.
        for vertex, column in zip(roi.vertices, arrays["test_predictions"].T, strict=True):
            first = seen.setdefault((meta["group"], roi.hemisphere, int(vertex)), column)
            np.testing.assert_allclose(first, column, atol=1e-5)
    assert not regions


def test_tokens_from_the_command(simulated: Path, spaces: Path, tmp_path: Path) -> None:
    (tmp_path / "features").symlink_to(spaces / "features")
    own = {"over": "tokens", "kernel": 2, "channels": 2, "epochs": 3}
    regress(simulated, tmp_path, "01", "conv1d", ["grid", "twice"], "cpu", params=own)
    subject, store = find_subjects(simulated)[0], FeatureStore(tmp_path / "features")
    design = load_design(subject, store, find_spaces(store, ["grid", "twice"]))
    files = sorted(tmp_path.glob("fits/*/*/*.h5"))
    assert len(files) == sum(len(subject.regions(h)) for h in ("lh", "rh"))
    for path in files[::6]:
        model, meta = load_fit(path)
        # 24 columns are 6 components at 4 places.
        assert meta["settings"]["parameters"]["places"] == 4
        assert model.network_.get_parameter("first").shape[2] == 6  # type: ignore[attr-defined]
        kept = read_artifact(path)[0]["test_predictions"]
        np.testing.assert_array_equal(model.predict(design.test), kept)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["grid", "vector"], r"vector does not keep .*: finer \(9 places\), grid \(4 pl"),
        (["narrow"], r"narrow does not keep .* such spaces.* grid \(4 places\), twice \(4 pla"),
        (["grid", "finer"], r"different numbers of places, grid 4; finer 9; expected one grid"),
    ],
)
def test_spaces_without_places(
    simulated: Path, spaces: Path, tmp_path: Path, names: list[str], said: str
) -> None:
    (tmp_path / "features").symlink_to(spaces / "features")
    with pytest.raises(RoiridgeError, match=said):
        regress(simulated, tmp_path, "01", "conv1d", names, "cpu", params={"over": "tokens"})
    assert not (tmp_path / "fits").exists()


def test_no_space_has_places(simulated: Path, spaces: Path, tmp_path: Path) -> None:
    (tmp_path / "features").mkdir()
    (kept,) = (spaces / "features").glob("vector-*.h5")
    shutil.copy(kept, tmp_path / "features")
    with pytest.raises(
        RoiridgeError, match=r"there is none in .*: make features SPACES='alexnet@conv5"
    ):
        regress(simulated, tmp_path, "01", "conv1d", ["vector"], "cpu", params={"over": "tokens"})


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (Mlp(width=0), "width: found 0, expected a whole number from 1 on"),
        (Mlp(blocks=-1), "blocks: found -1, expected a whole number from 0 on"),
        (Mlp(blocks=1.5), "blocks: found 1.5, expected a whole number"),
        (Conv1d(kernel=0), "kernel: found 0, expected a whole number from 1 on"),
        (Conv1d(stride=True), "stride: found True, expected a whole number"),
        (Conv1d(activation="tanh"), "activation: found 'tanh', expected relu or gelu"),
        (Conv1d(over="words"), "over: found 'words', expected embedding or tokens"),
        (Conv1d(over="tokens"), "places: found None, expected how many places each picture has"),
        (Conv1d(over="tokens", places=7), "places: found 7, expected a divisor of the 20 columns"),
    ],
)
def test_bad_parameters(model: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        model.fit(*_linear(60))


@pytest.mark.parametrize("model", [Mlp(), Conv1d()])
def test_more_networks_than_memory_holds(model: Any) -> None:
    member = torch.arange(100_000_000)
    with pytest.raises(RoiridgeError, match=r"100,000,000 groups, each with .* vertices share"):
        model.make_network(512, member)


def test_parameters_are_those_of_the_parts_and_of_the_model() -> None:
    class Wide(Generative):
        width: int = 3
        lr: float = 0.5
        limits: ClassVar = {"width": 1}

    model = clone(Wide(noise=2))
    part_names = {field.name for part in Wide.parts for field in fields(part)}
    assert {Training, Critics, Noise, SubjectVectors} == set(Wide.parts)
    assert set(model.get_params()) == part_names | {"width"}
    # Its own default is used where a part has another.
    assert (model.noise, model.width, model.lr, Training().lr) == (2, 3, 0.5, 3e-4)
    own = {"width": 3, "noise": 2, "samples": 8, "embedding": 0, "common_readout": False}
    assert model.network_parameters() == own
    assert not model.together
    assert Wide(embedding=2).together
    assert Wide(discriminators="single").together
    for wrong in ({"width": 0}, {"noise": -1}, {"game": "chess"}, {"embedding": -1}, {"lr": 0}):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))}: found"):
            Wide(**wrong).check_parameters()
    with pytest.raises(TypeError, match="height"):
        Wide(height=1)


def test_any_length_can_be_convolved() -> None:
    X, Y = _linear(60)
    for n_features in (1, 2, 5):
        model = Conv1d(kernel=4, layers=3, epochs=1).fit(X[:, :n_features], Y)
        assert model.predict(X[:, :n_features]).shape == Y.shape

"""Weights that belong to all vertices: trained as one, kept as one, stored once."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cache import FeatureStore, read_artifact, write_artifact
from cache.commands.prune import plan
from cache.commands.verify import artifacts, verify_artifact
from challenge import find_subjects
from regress import load_design
from regress.data.design import find_spaces
from regress.data.responses import Responses
from regress.data.several_subjects import Joint
from regress.errors import RegressError
from regress.fitting.fit import fit_subjects
from regress.fitting.fit_files import NON_MODEL_ARRAYS
from regress.fitting.settings import Job, Settings
from regress.fitting.shared_weights import load_shared
from regress.fitting.warm_start import Start
from regress.layers.network import axis_of
from regress.training import Network, TrainedModel


class Common(Network):
    """One trunk for all, a gain for each group, a readout for each vertex."""

    axes: ClassVar[dict[str, tuple[str, int]]] = {
        **Network.axes,
        "gain": ("group", 0),
        "readout": ("vertex", 1),
    }
    shared: ClassVar[tuple[str, ...]] = ("trunk.",)

    def __init__(self, n_features: int, member: Tensor, width: int) -> None:
        super().__init__(member)
        # The second is frozen, and has a buffer and a number beside its weights.
        self.trunk = nn.Sequential(nn.Linear(n_features, width), nn.BatchNorm1d(width))
        self.trunk[1].requires_grad_(False).eval()
        self.gain = nn.Parameter(torch.ones(self.n_groups))
        self.readout = nn.Parameter(torch.zeros(width, len(member)))

    def train(self, mode: bool = True) -> "Common":
        super().train(mode).trunk[1].eval()
        return self

    def forward(self, features: Tensor) -> Tensor:
        return self.offset + self.trunk(features) @ self.readout * self.gain[self.member]


class Model(TrainedModel):
    together = True

    width: int = 3

    def make_network(self, n_features: int, member: Tensor) -> Network:
        return Common(n_features, member, self.width)


class Apart(Common):
    """The same, and of one group."""

    axes: ClassVar[dict[str, tuple[str, int]]] = {
        **Common.axes,
        **{f"trunk.0.{name}": ("group", 0) for name in ("weight", "bias")},
    }


QUICK: dict[str, Any] = {"lr": 0.01, "epochs": 30, "batch": 30, "patience": 5}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _data(n: int = 200, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Six vertices of which two are noise, and one does not vary."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, 8)).astype(np.float32)
    Y = X @ np.random.default_rng(9).standard_normal((8, 6)) + rng.standard_normal((n, 6))
    Y[:, :2] = rng.standard_normal((n, 2))
    Y[:, 5] = 4
    return X, Y.astype(np.float32)


def _by_hand(X: np.ndarray, Y: np.ndarray, scope: np.ndarray, epochs: int) -> np.ndarray:
    """Train by a plain loop over all pictures, as Adam's inventors would."""
    torch.manual_seed(0)
    network = Common(8, torch.from_numpy(scope), 3)
    network.offset.data.copy_(torch.from_numpy(Y.mean(0)))
    network.offset.requires_grad_(False)
    Z = torch.from_numpy((X - X.mean(0)) / X.std(0))
    wanted = [p for p in network.parameters() if p.requires_grad]
    optimiser = torch.optim.Adam(wanted, 0.01)
    for _ in range(epochs):
        optimiser.zero_grad()
        ((network(Z) - torch.from_numpy(Y)) ** 2).mean(0).sum().backward()
        optimiser.step()
    return network(Z).detach().numpy()


def test_it_is_the_network_that_a_plain_loop_trains() -> None:
    X, Y = _data()
    scope = np.array([0, 0, 1, 1, 2, 2])
    own = {"optimiser": "adam", "weight_decay": 0.0, "schedule": "constant", "warmup": 0.0}
    model = Model(**QUICK | own | {"validation": 0, "batch": 200, "scope": scope}).fit(X, Y)
    np.testing.assert_allclose(model.predict(X), _by_hand(X, Y, scope, 30), atol=1e-5)


def test_all_groups_stop_at_the_epoch_that_is_best_for_all() -> None:
    X, Y = _data()
    model = Model(scope=np.array(["noise", "noise", "a", "a", "b", "b"]), **QUICK).fit(X, Y)
    best = model.epochs_[0]
    assert best > 0
    # A vertex that does not vary has no weights, and so none of any epoch.
    assert model.epochs_.tolist() == [best] * 5 + [0]
    assert model.refit(X, Y).epochs_.tolist() == [best] * 5 + [0]
    np.testing.assert_array_equal(model.predict(X)[:, 5], 4)
    # Whoever is in which group changes nothing of it but the gains.
    assert Model(scope="roi", **QUICK).fit(X, Y).epochs_[0] == pytest.approx(best, abs=3)


def test_vertices_can_be_told_apart() -> None:
    X, Y = _data()
    scope = np.array([0, 1, 1, 0, 2, 2])
    model = Model(scope=scope, **QUICK).fit(X, Y).refit(X, Y)
    which = np.array([4, 1, 2])
    part = Model().restore(model.state(which))
    np.testing.assert_allclose(part.predict(X), model.predict(X)[:, which], atol=1e-6)
    state = model.state(which)
    for name in ("trunk.0.weight", "inside.trunk.0.weight", "centre_"):
        assert name in model.shared_names()
        np.testing.assert_array_equal(state[name], model.state()[name])
    assert not {"gain", "readout", "offset", "member", "epochs_"} & set(model.shared_names())
    cost = model.cost(np.array([1]))
    # Readouts and offsets of the group's two vertices, its gain; and the trunk's.
    assert (cost["parameters"], cost["shared_parameters"]) == (2 * 4 + 1, 8 * 3 + 3 + 2 * 3)
    with pytest.raises(ValueError, match="belong to all vertices, and 2 trainings"):
        model.join([(which, state), (which, state)])


def test_several_subjects_share_it() -> None:
    (X, Y), (Z, W) = _data(), _data(seed=1)
    joint = Joint([Responses([Y]), Responses([W[:, :4]])])
    model = Model(scope=np.array([*"aabbcc", *"aabb"]), **QUICK).fit(np.concatenate([X, Z]), joint)
    assert len(set(model.epochs_[[0, 1, 2, 3, 4, 6, 7, 8, 9]])) == 1
    whole = model.predict(Z)
    alone = Model().restore(model.state(np.arange(6, 10)))
    np.testing.assert_allclose(alone.predict(Z), whole[:, 6:], atol=1e-6)
    rest = ((W[:, 2:4] - whole[:, 8:]) ** 2).mean()
    assert rest < 0.5 * W[:, 2:4].var()
    # Frozen, what is of all stays bit for bit, and readouts move.
    known = {**model.state(), "known": np.ones(10, bool)}
    frozen = Model(start=known, freeze=True, scope=model.scope, **QUICK | {"epochs": 2})
    frozen.fit(np.concatenate([X, Z]), joint)
    moved = {n for n, v in frozen.state().items() if not np.array_equal(v, model.state()[n])}
    assert moved <= {"readout", "epochs_"}


def test_a_group_that_a_start_lacks_begins_anew() -> None:
    X, Y = _data()
    scope = np.array([0, 0, 0, 1, 1, 1])
    first = Model(scope=scope, **QUICK).fit(X, Y)
    start = {**first.state(), "gain": np.array([7.0, 0], np.float32)}
    start |= {"known": np.zeros(6, bool), "known_groups": np.array([True, False])}
    model = Model(start=start, scope=scope, **QUICK | {"epochs": 1, "lr": 1e-9}).fit(X, Y)
    np.testing.assert_allclose(model.network_.gain.detach(), [7, 1], atol=1e-6)
    np.testing.assert_allclose(
        model.network_.trunk[0].weight.detach(), first.network_.trunk[0].weight.detach()
    )
    with pytest.raises(ValueError, match=r"known has shape \(3,\).*one a group"):
        Model(start=start | {"known_groups": np.ones(3, bool)}, scope=scope).fit(X, Y)


def test_a_loss_of_nan_stops_all() -> None:
    X, Y = _data()
    with pytest.raises(RegressError, match=r"before anything was learned, in 2 of 2 groups"):
        Model(scope=np.array([0, 0, 0, 1, 1, 1]), **QUICK | {"lr": 1e30}).fit(X, Y)


def test_what_is_forgotten_is_an_error() -> None:
    class Forgetful(Common):
        shared = ("trunk.0.",)

    class Alone(Model):
        together = False

    network = Forgetful(8, torch.zeros(6, dtype=torch.int64), 3)
    assert axis_of(network, "trunk.0.bias") == ("shared", 0)
    with pytest.raises(TypeError, match=r"Forgetful: trunk\.1\.weight is not in `axes`"):
        axis_of(network, "trunk.1.weight")
    with pytest.raises(TypeError, match="Common has weights of all vertices, and `together`"):
        Alone(**QUICK).fit(*_data())


# Files.


@pytest.fixture(scope="module")
def features(simulated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("shared")
    rows: dict[str, np.ndarray] = {}
    for subject in find_subjects(simulated):
        for split, name in (("train", "training"), ("test", "test")):
            truth = np.load(subject.folder / "truth" / f"lh_{name}_signal.npy")[:, :8]
            for digest, row in zip(subject.picture_digests(split), truth, strict=True):
                rows.setdefault(digest, row)
    with FeatureStore(out / "features").writer("known", {"made": 1}, {"origin": "x"}) as store:
        store.add(list(rows), np.array(list(rows.values()), np.float32))
    return out


def _jobs(data: Path, out: Path, together: bool, seed: int = 0, **own: Any) -> list[Job]:
    store = FeatureStore(out / "features")
    model = Model(**{"epochs": 3, "lr": 0.01} | own)
    subjects = find_subjects(data)
    names = tuple(one.name for one in subjects) if together else ()
    settings = Settings("common", {}, 0.1, 5, seed, subjects=names)
    jobs = []
    for one in subjects:
        design = load_design(one, store, find_spaces(store, ["known"]))
        jobs.append(Job(one, design, settings, model, out / "fits" / f"common-{int(together)}"))
    return jobs


@pytest.fixture
def fitted(simulated: Path, features: Path, tmp_path: Path) -> tuple[list[Job], Path]:
    """Subject 1 fitted: the jobs, and where."""
    out = shutil.copytree(features, tmp_path / "out")
    jobs = _jobs(simulated, out, together=False)
    fit_subjects([jobs[0]])
    return jobs, out


def _of(out: Path, pattern: str) -> list[Path]:
    return sorted((out / "fits").glob(pattern))


def test_they_lie_once_on_disk(fitted: tuple[list[Job], Path]) -> None:
    jobs, out = fitted
    rois, files = _of(out, "*/subj01/*.h5"), _of(out, "*/shared/*.h5")
    assert [path.name.partition("-")[0] for path in files] == ["subj01.lh", "subj01.rh"]
    for path in rois:
        arrays, meta = read_artifact(path)
        assert not any(name.removeprefix("inside.").startswith("trunk") for name in arrays)
        common = load_shared(path, meta["shared"])
        own = {name: values for name, values in arrays.items() if name not in NON_MODEL_ARRAYS}
        model = Model().restore(own | common)
        predicted, stored = model.predict(jobs[0].design.test), arrays["test_predictions"]
        np.testing.assert_allclose(predicted, stored, rtol=0, atol=1e-5)
        assert "inside.trunk.0.weight" in common
    # What was not trained is there once, though it is in what `fit` and what `refit` found.
    there, meta = read_artifact(files[0])
    assert "inside.trunk.1.running_mean" not in there
    assert meta["same"]["inside.trunk.1.running_mean"] == "trunk.1.running_mean"
    assert "inside.trunk.0.weight" in there
    assert sorted(artifacts(out)) == sorted([*rois, *files])
    assert not any(verify_artifact(path) for path in files)
    assert not [one for one in plan(out).removals if one.path.suffix != ".lock"]


def test_all_are_fitted_again_or_none(
    fitted: tuple[list[Job], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    jobs, out = fitted
    rois, files = _of(out, "*/subj01/*.h5"), _of(out, "*/shared/*.h5")
    left = [path for path in rois if path.name.startswith("lh")]
    assert fit_subjects([jobs[0]]) == 0
    left[0].unlink()
    assert fit_subjects([jobs[0]]) == len(left)
    files[0].unlink()
    assert fit_subjects([jobs[0]]) == len(left)
    said = capsys.readouterr().out
    assert said.count("there is no such file; the ROIs that shared it are fitted again") == 1
    files[0].write_bytes(files[0].read_bytes()[:300])
    assert fit_subjects([jobs[0]]) == len(left)
    assert _of(out, "*/shared/*.h5") == files
    # A file of another training, as a process leaves it that was killed while it replaced files.
    arrays, meta = read_artifact(left[1])
    other = files[0].with_name("subj01.lh-0123456789abcdef.h5")
    shutil.copy(files[0], other)
    write_artifact(left[1], arrays, meta | {"shared": other.stem})
    assert fit_subjects([jobs[0]]) == len(left)
    assert f"{other}: weights that no ROI shares any more; removed" in capsys.readouterr().out
    assert _of(out, "*/shared/*.h5") == files


def test_what_is_missing_or_foreign_is_named(fitted: tuple[list[Job], Path]) -> None:
    _, out = fitted
    path, (left, right) = _of(out, "*/subj01/lh.*.h5")[0], _of(out, "*/shared/*.h5")
    name = read_artifact(path)[1]["shared"]
    shutil.copy(right, left)
    with pytest.raises(RegressError, match=r"subj01\.lh-.*of digest .*expected.*remove it"):
        load_shared(path, name)
    left.unlink()
    with pytest.raises(RegressError, match=r"no such file; expected the weights.*again, or copy"):
        load_shared(path, name)


def test_subjects_trained_together_share_one_file(
    simulated: Path, features: Path, tmp_path: Path
) -> None:
    out = shutil.copytree(features, tmp_path / "out")
    jobs = _jobs(simulated, out, together=True)
    n_fits = fit_subjects(jobs)
    assert n_fits == len(_of(out, "*/subj*/*.h5"))
    names = {read_artifact(path)[1]["shared"] for path in _of(out, "*/subj*/lh.*.h5")}
    assert [f"{name}.h5" for name in names] == [p.name for p in _of(out, "*/shared/*lh-*.h5")]
    # A further subject begins from it, from all of it.
    begun = Start(out / "fits" / "common-1")
    assert begun.groups

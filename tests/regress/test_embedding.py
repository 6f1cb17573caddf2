"""A vector for each subject, and readouts that subjects have in common."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from base import RoiridgeError
from cache import FeatureStore
from challenge import find_subjects
from challenge.fsaverage import fsaverage_vertices
from regress import load_fit
from regress.commands.fit import fit
from regress.data.responses import Responses
from regress.data.several_subjects import Joint
from regress.models.shallow import Shallow
from regress.models.unet import UNet

QUICK: dict[str, Any] = {"lr": 0.01, "epochs": 40, "batch": 50, "width": 32, "dropout": 0.0}
TIED: dict[str, Any] = {"embedding": 4, "common_readout": True}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Such small products are fastest on one thread, and bits do not depend on how many."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Brains:
    """Two subjects who weigh what they see in their own way, and then have the same cortex."""

    def __init__(self, n: int = 200, t: int = 12, noise: float = 0.5) -> None:
        rng = np.random.default_rng(0)
        self.look, self.read = rng.standard_normal((10, 6)) / 3, rng.standard_normal((6, t)) / 2
        self.gains = np.array([[1.5, 1.5, 1.5, 0, 0, 0.5], [0, 0, 0.5, 1.5, 1.5, 1.5]])
        self.X = rng.standard_normal((2 * n, 10)).astype(np.float32)
        parts = [self.truth(self.X[:n], 0), self.truth(self.X[n:], 1)]
        noisy = [part + noise * rng.standard_normal(part.shape) for part in parts]
        self.parts = [part.astype(np.float32) for part in noisy]
        self.unseen = rng.standard_normal((300, 10)).astype(np.float32)

    def truth(self, X: NDArray[Any], subject: int) -> NDArray[Any]:
        return np.tanh(X @ self.look) * self.gains[subject] @ self.read

    def joint(self, *columns: NDArray[Any]) -> Joint:
        parts = self.parts
        if columns:
            parts = [part[:, own] for part, own in zip(parts, columns, strict=True)]
        return Joint([Responses([np.ascontiguousarray(part)]) for part in parts])


def _far(a: NDArray[Any], b: NDArray[Any]) -> float:
    return float(((a - b) ** 2).mean())


def test_swapping_the_vector_changes_the_prediction_towards_that_subject() -> None:
    brains = Brains()
    model = Shallow(**QUICK, **TIED).fit(brains.X, brains.joint())
    own = model.predict(brains.unseen)
    truth = [brains.truth(brains.unseen, subject) for subject in (0, 1)]
    for subject, columns in ((0, slice(0, 12)), (1, slice(12, 24))):
        mine, other = own[:, columns], truth[1 - subject]
        swapped = model.as_subject(1 - subject).predict(brains.unseen)[:, columns]
        # From near the one to near the other.
        assert _far(mine, truth[subject]) < 0.3 * _far(mine, other)
        assert _far(swapped, other) < 0.3 * _far(swapped, truth[subject])
    same = model.as_subject(0).predict(brains.unseen)
    np.testing.assert_array_equal(same[:, :12], own[:, :12])
    # But for the mean responses, the cortex is the same.
    mine, yours = (part - part.mean(0) for part in np.split(same, 2, axis=1))
    np.testing.assert_allclose(mine, yours, atol=1e-5)


def test_a_subjects_vector_is_worth_its_weights() -> None:
    brains = Brains()
    errors = {}
    for size in (0, 4):
        model = Shallow(**QUICK | TIED | {"embedding": size}).fit(brains.X, brains.joint())
        predicted = model.predict(brains.unseen)
        truth = np.hstack([brains.truth(brains.unseen, subject) for subject in (0, 1)])
        errors[size] = _far(predicted, truth)
    assert errors[4] < 0.5 * errors[0]


@pytest.mark.parametrize("optimiser", ["adamw", "sgd", "nadam"])
def test_vertices_at_one_place_have_the_same_readout(optimiser: str) -> None:
    """Each subject has its vertices in its own order, and lacks some."""
    brains = Brains()
    columns = np.array([3, 0, 7, 5, 11]), np.array([5, 6, 11, 3])
    homes = np.array([f"lh.{number}" for number in np.concatenate(columns)])
    scope = np.where(np.concatenate(columns) > 5, "high", "low")
    own = QUICK | {"optimiser": optimiser, "epochs": 6, "loss": "l1+pattern", "scope": scope}
    y = brains.joint(*columns)
    model = Shallow(**own, homes=homes, **TIED).fit(brains.X, y).refit(brains.X, y)
    state = model.state()
    for name in ("readout", "inside.readout"):
        weights = dict(zip(homes, state[name].T, strict=False))
        assert len(weights) == 6
        for home, readout in zip(homes, state[name].T, strict=True):
            np.testing.assert_array_equal(readout, weights[home])
        assert len(np.unique(state[name], axis=1).T) == 6
    # The mean response is each vertex' own.
    assert len(np.unique(state["offset"])) == 9


def test_tied_readouts_are_those_of_all_pictures_seen_by_one() -> None:
    """Without vectors, two who share all are one who saw the pictures of both."""
    brains = Brains()
    parts = [part - part.mean(0) for part in brains.parts]
    own = QUICK | {"batch": 400, "validation": 0, "epochs": 60, "weight_decay": 0.0}
    own |= {"optimiser": "sgd"}
    joint = Joint([Responses([part]) for part in parts])
    # The loss of two, each a mean over its pictures, is twice that of one who saw them all.
    tied = Shallow(**own | {"lr": 0.02}, common_readout=True).fit(brains.X, joint)
    one = Shallow(**own | {"lr": 0.04}).fit(brains.X, np.concatenate(parts))
    predicted, expected = tied.predict(brains.unseen), one.predict(brains.unseen)
    assert expected.std() > 0.3
    for columns in (slice(0, 12), slice(12, 24)):
        np.testing.assert_allclose(predicted[:, columns], expected, atol=1e-4)


def test_kept_whole_or_in_parts_it_predicts_the_same_and_can_be_swapped() -> None:
    brains = Brains()
    y = brains.joint()
    model = Shallow(**QUICK | TIED | {"epochs": 6}).fit(brains.X, y).refit(brains.X, y)
    predicted, swapped = (one.predict(brains.unseen) for one in (model, model.as_subject(1)))
    some = np.array([2, 5, 11])
    part = Shallow(**QUICK, **TIED).restore(model.state(some))
    np.testing.assert_allclose(part.predict(brains.unseen), predicted[:, some], atol=1e-5)
    other = part.as_subject(1).predict(brains.unseen)
    np.testing.assert_allclose(other, swapped[:, some], atol=1e-5)
    assert np.abs(other - predicted[:, some]).max() > 0.01
    both = Shallow(**QUICK, **TIED).restore(model.state())
    np.testing.assert_array_equal(both.predict(brains.unseen), predicted)
    assert {"vectors", "inside.vectors"} <= set(model.shared_names())


def test_noise_and_critics_beside_vectors() -> None:
    brains = Brains()
    own = QUICK | TIED | {"epochs": 4, "noise": 3, "discriminators": "single+patch"}
    model = Shallow(**own).fit(brains.X, brains.joint())
    made = model.sample(brains.unseen, 3, random_state=1)
    assert made.shape == (3, 300, 24)
    assert (made[0] != made[1]).any()
    # The same noise whoever looks.
    other = model.as_subject(1).sample(brains.unseen, 3, random_state=1)
    np.testing.assert_allclose(other[:, :, 12:], made[:, :, 12:], atol=1e-5)
    assert np.abs(other[:, :, :12] - made[:, :, :12]).max() > 1e-3


def test_a_constant_vertex_stays_whose_it_is() -> None:
    brains = Brains()
    brains.parts[1][:, 0] = 2.5
    model = Shallow(**QUICK | TIED | {"epochs": 4}).fit(brains.X, brains.joint())
    assert (model.predict(brains.unseen)[:, 12] == 2.5).all()
    assert model.state()["subject"].tolist() == [0] * 12 + [1] * 12


def test_a_u_net_is_changed_at_every_block() -> None:
    rng = np.random.default_rng(0)
    X = rng.integers(0, 256, (60, 192), dtype=np.uint8)
    parts = [rng.standard_normal((30, 5)).astype(np.float32) for _ in range(2)]
    y = Joint([Responses([part]) for part in parts])
    own = {"width": 4, "depth": 1, "epochs": 3, "batch": 10, "validation": 0, "lr": 0.01}
    model = UNet(**own, **TIED).fit(X, y)
    film = model.state()["film"]
    # Gains and shifts of 4, 8 and 4 maps.
    assert film.shape == (4, 32)
    assert (film != 0).all()
    swapped = model.as_subject(1).predict(X)
    assert np.abs(swapped[:, :5] - model.predict(X)[:, :5]).max() > 1e-4


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"embedding": -1}, "embedding: found -1, expected a whole number from 0 on"),
        ({"common_readout": 1}, "common_readout: found 1, expected true or false"),
        ({"common_readout": True, "homes": [1, 2]}, r"homes: found shape \(2,\), expected \(24,\)"),
        ({"embedding": 2, "start": {}}, "embedding: .* begins from another .* expected no start"),
    ],
)
def test_wrong_parameters_are_named(wrong: dict[str, Any], said: str) -> None:
    brains = Brains()
    with pytest.raises(ValueError, match=said):
        Shallow(**wrong).fit(brains.X, brains.joint())


@pytest.mark.parametrize("name", ["embedding", "common_readout"])
def test_one_subject_has_nobody_to_share_with(name: str) -> None:
    brains = Brains()
    with pytest.raises(ValueError, match=rf"{name}: expected several subjects, --subjects 01 02"):
        Shallow(**{name: TIED[name]}).fit(brains.X[:200], brains.parts[0])


def test_nobody_else_can_look() -> None:
    brains = Brains()
    own = QUICK | {"epochs": 1}
    model = Shallow(**own, **TIED).fit(brains.X, brains.joint())
    with pytest.raises(ValueError, match="subject: found 2, expected a number from 0 to 1"):
        model.as_subject(2)
    with pytest.raises(ValueError, match="this model has no vectors of subjects"):
        Shallow(**own).fit(brains.X[:200], brains.parts[0]).as_subject(0)


def _keep(data: Path, out: Path) -> None:
    rng = np.random.default_rng(0)
    splits = [(one, split) for one in find_subjects(data) for split in ("train", "test")]
    names = {name for one, split in splits for name in one.picture_digests(split)}
    with FeatureStore(out / "features").writer("made", {"made": 1}, {"origin": "x"}) as store:
        store.add(sorted(names), rng.standard_normal((len(names), 12)).astype(np.float32))


PARAMS: dict[str, Any] = {"epochs": 3, "validation": 0, "width": 8, "lr": 0.01, **TIED}


def test_from_the_command(simulated: Path, tmp_path: Path) -> None:
    _keep(simulated, tmp_path)
    own: dict[str, Any] = {"model": "shallow", "spaces": ["made"], "device": "cpu"}
    folder = fit(simulated, tmp_path, subjects=["01", "02"], params=PARAMS, **own)
    # What all share is kept once a hemisphere.
    assert len(list(folder.glob("shared/*.h5"))) == 2
    places, readouts, X = [], [], np.random.default_rng(1).standard_normal((9, 12))
    for number, subject in enumerate(find_subjects(simulated)):
        model, meta = load_fit(folder / f"subj{subject.name}" / "rh.V2v.h5")
        assert isinstance(model, Shallow)
        assert meta["settings"]["subjects"][number] == subject.name
        np.testing.assert_array_equal(model.as_subject(number).predict(X), model.predict(X))
        assert (model.as_subject(1 - number).predict(X) != model.predict(X)).any()
        (roi,) = (roi for roi in subject.regions("rh") if roi.name == "V2v")
        places.append(fsaverage_vertices(subject, "rh")[roi.vertices])
        readouts.append(model.state()["readout"])
    both, first, second = np.intersect1d(*places, return_indices=True)
    assert len(both) > 0
    np.testing.assert_array_equal(readouts[0][:, first], readouts[1][:, second])
    assert len(np.unique(readouts[0][:, first], axis=1).T) == len(both)
    # It is there, and another start or fewer subjects cannot be.
    assert fit(simulated, tmp_path, subjects=["01", "02"], params=PARAMS, **own) == folder
    for wrong in ({"subject": "01"}, {"subjects": ["01", "02"], "start": folder}):
        with pytest.raises(
            RoiridgeError, match=r"--params.embedding: .* --subjects 01 02, without --start"
        ):
            fit(simulated, tmp_path, params=PARAMS, **own, **wrong)

"""Several subjects in one training: what they share, what is each one's own, and what leaks not."""

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from scipy.stats import pearsonr
from torch import Tensor, nn

from regress.data.responses import Responses
from regress.data.several_subjects import Joint
from regress.layers.network import PartitionedNetwork
from regress.models.linear import Linear
from regress.models.mlp import Mlp
from regress.training import Network, TrainedModel
from regress.training.batches import LEAST, Batches, Pictures


class Shared(Network):
    """A few units for each group, which its vertices weigh; as small as a trunk can be."""

    axes: ClassVar[dict[str, tuple[str, int]]] = {
        **Network.axes,
        "trunk": ("group", 0),
        "readout": ("vertex", 1),
    }

    def __init__(self, n_features: int, member: Tensor, width: int) -> None:
        super().__init__(member)
        trunk = torch.randn(n_features, width) / n_features**0.5
        self.trunk = nn.Parameter(trunk.repeat(self.n_groups, 1, 1))
        self.readout = nn.Parameter(torch.zeros(width, len(member)))

    def forward(self, features: Tensor) -> Tensor:
        units = torch.einsum("np,gpw->gnw", features, self.trunk)[self.member]
        return self.offset + torch.einsum("vnw,wv->nv", units, self.readout)


class Small(TrainedModel):
    def __init__(self, width: int = 3, **training: Any) -> None:
        super().__init__(**training)
        self.width = width

    def make_network(self, n_features: int, member: Tensor) -> Network:
        return Shared(n_features, member, self.width)


# Enough for some hundred pictures.
QUICK: dict[str, Any] = {"lr": 0.01, "epochs": 40, "batch": 30, "patience": 8}
MODELS = {
    "small": lambda **own: Small(**QUICK | own),
    "mlp": lambda **own: Mlp(**QUICK | {"width": 8, "blocks": 0, "dropout": 0.3} | own),
}


TRUNK = {"small": "trunk", "mlp": "tower.stem"}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Such small products are fastest on one thread, and bits do not depend on how many."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _views(n: tuple[int, ...], t: int = 6, noise: float = 3, seed: int = 0) -> Any:
    """Simulate brains that read one signal of a picture, each with noise of its own.

    Parameters
    ----------
    n : tuple of int
        Pictures of each brain.
    t : int
        Vertices of the first; each other has one less than the one before.
    noise : float
        Standard deviation; that of the signal is 1.
    seed : int
        Of all.

    Returns
    -------
    list of (array, array, array, array)
        Of each brain features and responses, and unseen features with their noiseless responses.
    """
    rng = np.random.default_rng(seed)
    signal = rng.standard_normal(60) / np.sqrt(60)

    def look(count: int, readout: np.ndarray, noise: float) -> tuple[np.ndarray, np.ndarray]:
        X = rng.standard_normal((count, 60))
        Y = np.outer(X @ signal, readout) + noise * rng.standard_normal((count, len(readout)))
        return X.astype(np.float32), Y.astype(np.float32)

    readouts = [rng.choice([-1.0, 1.0], t - number) for number in range(len(n))]
    return [
        (*look(count, readout, noise), *look(300, readout, 0))
        for count, readout in zip(n, readouts, strict=True)
    ]


def _joint(views: Any) -> tuple[np.ndarray, Joint]:
    X = np.concatenate([view[0] for view in views])
    return X, Joint([Responses([view[1]]) for view in views])


def _r(predicted: np.ndarray, measured: np.ndarray) -> float:
    moved = predicted.std(0) > 1e-6
    found = [
        pearsonr(a, b)[0] if m else 0.0
        for a, b, m in zip(predicted.T, measured.T, moved, strict=True)
    ]
    return float(np.mean(found))


def test_responses_of_several_are_blocks() -> None:
    views = _views((5, 4), t=3)
    X, joint = _joint(views)
    assert joint.shape == (9, 5)
    whole = np.full(joint.shape, np.nan, np.float32)
    whole[:5, :3], whole[5:, 3:] = views[0][1], views[1][1]
    rows, columns = np.array([0, 1, 1, 0, 1, 1, 0, 1, 0], bool), np.array([1, 2, 4])
    some = joint.pictures(rows).vertices(columns)
    assert some.shape == (5, 3)
    expected = whole[rows][:, columns]
    np.testing.assert_array_equal(some.parts[0].load(), expected[:3, :2])
    np.testing.assert_array_equal(some.parts[1].load(), expected[3:, 2:])
    np.testing.assert_allclose(some.means()[0], np.nanmean(expected, 0), rtol=1e-6)
    assert joint.vertices(np.array([4])).shape == (9, 1)
    assert joint.digest() != Joint(joint.parts[::-1]).digest()
    # A batch holds nothing of a subject whose vertices have all left.
    pictures = Pictures(X, joint)
    assert [own.shape for own in pictures.rows(rows)] == [(3,), (2,)]
    given = pictures[pictures.rows(rows)]
    np.testing.assert_array_equal(given[1][0], X[[5, 7]])
    np.testing.assert_array_equal(given[1][1], whole[[5, 7]][:, 3:])
    pictures.narrow(torch.tensor([3]))
    assert [tuple(of.shape) for of in pictures[pictures.rows(rows)][0]] == [(2, 60), (2, 1)]


def test_each_epoch_shows_each_picture_of_everyone_once() -> None:
    rows = [np.arange(100), np.arange(100, 190)]
    batches = list(Batches(rows, 32, 0, lambda: 3))
    assert len(batches) == 4
    for number, own in enumerate(rows):
        shown = np.concatenate([batch[number] for batch in batches])
        assert sorted(shown.tolist()) == own.tolist()
        assert all(20 < len(batch[number]) <= 32 for batch in batches)
        # As if nobody else were there.
        alone = Batches([own], len(batches[0][number]), 0, lambda: 3)
        for batch, (expected,) in zip(batches, alone, strict=True):
            np.testing.assert_array_equal(batch[number], expected)
    # One who has few is shown them again, rather than one or two at a time.
    few = list(Batches([np.arange(300), np.arange(300, 330)], 30, 0, lambda: 0))
    assert all(len(batch[1]) >= LEAST for batch in few)
    assert {row for batch in few for row in batch[1].tolist()} == set(range(300, 330))


def test_a_network_computes_each_subject_as_it_would_alone() -> None:
    torch.manual_seed(0)
    # The first subject lacks the second group, the last the first.
    member = torch.tensor([2, 2, 0, 0, 2, 1, 0, 1, 2, 1])
    network = Shared(6, member, 3)
    with torch.no_grad():
        network.trunk.normal_()
        network.readout.normal_()
        network.offset.normal_()
    features = [torch.randn(n, 6) for n in (4, 5, 3)]
    divided = PartitionedNetwork(network, [4, 0, 3, 3])
    found = divided(features)
    start = 0
    for X, predicted in zip(features, found, strict=True):
        stop = start + predicted.shape[1]
        torch.testing.assert_close(predicted, network(X)[:, start:stop])
        start = stop
    assert start == 10
    sum((own**2).sum() for own in found).backward()  # type: ignore[union-attr]
    gradients = [weight.grad.clone() for weight in network.parameters() if weight.grad is not None]
    network.zero_grad()
    masks = [
        torch.zeros(10).index_fill(0, torch.arange(a, b), 1) for a, b in ((0, 4), (4, 7), (7, 10))
    ]
    whole = sum(((network(X) * mask) ** 2).sum() for X, mask in zip(features, masks, strict=True))
    whole.backward()  # type: ignore[union-attr]
    for gradient, weight in zip(gradients, network.parameters(), strict=True):
        torch.testing.assert_close(gradient, weight.grad)


def test_what_shares_nothing_is_trained_as_alone() -> None:
    """Where subjects saw the same pictures, features are scaled alike too."""
    views = _views((80, 80))
    second = (views[0][0], *views[1][1:])
    X, joint = _joint([views[0], second])
    own: dict[str, Any] = {"lr": 0.01, "epochs": 8, "batch": 32, "validation": 0}
    scope = np.array(["a"] * 8 + ["b"] * 3)
    together = Linear(scope=scope, **own).fit(X, joint)
    for (features, responses, *_), columns in zip(
        [views[0], second], ([0, 6], [6, 11]), strict=True
    ):
        alone = Linear(scope=scope[slice(*columns)], **own).fit(features, responses)
        np.testing.assert_allclose(
            alone.predict(features), together.predict(features)[:, slice(*columns)], atol=1e-4
        )


@pytest.mark.parametrize("name", MODELS)
def test_two_noisy_views_of_one_signal_beat_either(name: str) -> None:
    views = _views((150, 150))
    X, joint = _joint(views)
    together = MODELS[name]().fit(X, joint).refit(X, joint)
    start = 0
    for features, responses, unseen, truth in views:
        alone = MODELS[name]().fit(features, responses).refit(features, responses)
        stop = start + responses.shape[1]
        both, one = (
            _r(together.predict(unseen)[:, start:stop], truth),
            _r(alone.predict(unseen), truth),
        )
        assert both > one + 0.03, (name, both, one)
        start = stop


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_an_unseen_subject_with_few_pictures_begins_from_others(name: str) -> None:
    views = _views((200, 200, 40))
    X, joint = _joint(views[:2])
    start = MODELS[name]().fit(X, joint).refit(X, joint).state()
    few, responses, unseen, truth = views[2]
    scratch = MODELS[name]().fit(few, responses).refit(few, responses)
    for freeze in (True, False):
        begun = MODELS[name](start=start, freeze=freeze).fit(few, responses).refit(few, responses)
        assert _r(begun.predict(unseen), truth) > _r(scratch.predict(unseen), truth) + 0.1
        # All that an unseen subject begins with is what groups share.
        assert np.array_equal(begun.state()[TRUNK[name]], start[TRUNK[name]]) == freeze


def test_a_subject_of_the_start_goes_on_from_its_own_weights() -> None:
    views = _views((150, 150))
    X, joint = _joint(views)
    together = MODELS["small"]().fit(X, joint).refit(X, joint)
    start = together.state(np.arange(6)) | {"known": np.ones(6, bool)}
    features, responses, unseen, _ = views[0]
    # So small a rate betters nothing that can be seen.
    again = (
        MODELS["small"](start=start, lr=1e-9).fit(features, responses).refit(features, responses)
    )
    np.testing.assert_allclose(again.predict(unseen), together.predict(unseen)[:, :6], atol=1e-4)
    # And so large a one makes everything worse: what it began with stays.
    wild = MODELS["small"](start=start, lr=3.0).fit(features, responses).refit(features, responses)
    assert (wild.epochs_ == 0).all()
    np.testing.assert_allclose(wild.predict(unseen), together.predict(unseen)[:, :6], atol=1e-5)


def test_fit_begins_from_what_had_not_seen_the_pictures_that_judge() -> None:
    """`refit` has seen them: from its weights only another `refit` may begin."""
    views = _views((150, 150))
    X, joint = _joint(views)
    first = MODELS["small"]().fit(X, joint)
    inside = first.state()
    assert not [name for name in inside if name.startswith("inside.")]
    whole = first.refit(X, joint).state()
    for name in ("trunk", "readout", "centre_", "scale_"):
        np.testing.assert_array_equal(whole[f"inside.{name}"], inside[name])
    assert (whole["trunk"] != inside["trunk"]).any()
    # Saved and loaded it is known again, all vertices or some.
    loaded = MODELS["small"]().restore(whole).state(np.array([3, 1]))
    np.testing.assert_array_equal(loaded["inside.readout"], inside["readout"][:, [3, 1]])
    begun = MODELS["small"](start=whole, freeze=True).fit(*views[0][:2])
    np.testing.assert_array_equal(begun.state()["trunk"], inside["trunk"])
    np.testing.assert_array_equal(begun.centre_, inside["centre_"])
    np.testing.assert_array_equal(begun.refit(*views[0][:2]).state()["trunk"], whole["trunk"])


def test_groups_of_several_stop_alone() -> None:
    """One group is noise for both subjects, and leaves; another is the first subject's alone."""
    views = _views((150, 150), noise=0.5)
    rng = np.random.default_rng(1)
    for view in views:
        view[1][:, :2] = rng.standard_normal((150, 2))
    scope = np.repeat(["noise", "both", "own", "noise", "both"], [2, 2, 2, 2, 3])
    X, joint = _joint(views)
    model = MODELS["small"](scope=scope).fit(X, joint)
    epochs = {name: set(model.epochs_[scope == name].tolist()) for name in set(scope)}
    assert all(len(found) == 1 for found in epochs.values())
    assert max(epochs["noise"]) < min(max(epochs["both"]), max(epochs["own"]))
    predicted = model.predict(views[1][2])[:, 8:]
    assert _r(predicted, views[1][3][:, 2:]) > 0.8


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"freeze": True}, "freeze: found True without a start, expected a start"),
        ({"freeze": 1}, "freeze: found 1, expected true or false"),
        ({"start": {}}, r"start: centre_ has shape None, expected \(60,\)"),
        ({"width": 4}, r"start: trunk is of shape \(1, 60, 3\), expected \(1, 60, 4\)"),
        ({"known": np.ones(3, bool)}, r"start: known has shape \(3,\) and is bool, expected bool"),
        ({"scope": np.arange(6) > 2}, r"trunk is of shape \(1, 60, 3\), expected \(2, 60, 3\)"),
    ],
)
def test_bad_starts(wrong: dict[str, Any], said: str) -> None:
    features, responses, *_ = _views((60,))[0]
    state = Small(epochs=2, start=None).fit(features, responses).state()
    if "known" in wrong:
        state["known"] = wrong.pop("known")
    own = {"start": None if "freeze" in wrong else state} | wrong
    with pytest.raises(ValueError, match=said):
        Small(epochs=2, **own).fit(features, responses)


def test_nothing_to_train_and_nobody_to_stop_are_told() -> None:
    class Trunk(Shared):
        axes: ClassVar[dict[str, tuple[str, int]]] = {**Network.axes, "trunk": ("group", 0)}

        def __init__(self, n_features: int, member: Tensor, width: int) -> None:
            super().__init__(n_features, member, 1)
            del self.readout

        def forward(self, features: Tensor) -> Tensor:
            return torch.einsum("np,gp->ng", features, self.trunk[..., 0])[:, self.member]

    class Sharing(Small):
        def make_network(self, n_features: int, member: Tensor) -> Network:
            return Trunk(n_features, member, 1)

    views = _views((60, 30))
    state = Sharing(epochs=1).fit(*views[0][:2]).state()
    with pytest.raises(ValueError, match="freeze: all that this model trains belongs to groups"):
        Sharing(start=state, freeze=True).fit(*views[0][:2])
    X, joint = _joint(views)
    for held in (np.arange(90) < 10, np.arange(90) >= 60):
        with pytest.raises(ValueError, match=r"pictures of subject [12] of 2, \d+ would stop"):
            Small(validation=held).fit(X, joint)

"""Trainings that are killed, taken up, done already, or of something else."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cache import read_artifact
from regress.models.linear import Linear
from regress.models.mlp import Mlp
from regress.training.checkpoints import pack, unpack
from tests.builders.trainings import TRAININGS, start

# Whose groups share a network, and stop together.
TOGETHER = ("unet", "vit")


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAININGS)
def test_killed_and_taken_up_gives_the_same_bits(tmp_path: Path, name: str) -> None:
    whole = start(tmp_path / "whole", name)
    killed = tmp_path / "killed"
    # Killed once while it stops on validation pictures, and once while it trains on all.
    for phase, epochs in (
        ("fit", 9 if TRAININGS[name] is TRAININGS["linear"] else 2),
        ("refit", 2),
    ):
        path, process = killed / f"kept-{phase}.h5", start(killed, name)
        while process.is_alive():
            if path.exists() and _epoch(path) >= epochs:
                break
            time.sleep(0.01)
        process.kill()
        process.join()
        assert path.exists(), "done before it could be killed"
    assert not (killed / "done.npz").exists()
    last = start(killed, name)
    for process in (whole, last):
        process.join()
        assert process.exitcode == 0
    expected, found = (np.load(tmp_path / one / "done.npz") for one in ("whole", "killed"))
    assert expected["epochs_"].max() > 2
    assert (len(set(expected["epochs_"].tolist())) > 1) == (name not in TOGETHER)
    assert expected.keys() == found.keys()
    for array in expected:
        np.testing.assert_array_equal(found[array], expected[array])


def _epoch(path: Path) -> int:
    return int(unpack(read_artifact(path)[0])["kept"]["epoch"])


def _data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((100, 8)).astype(np.float32)
    return X, (X @ rng.standard_normal((8, 5))).astype(np.float32)


def test_a_training_that_is_done_is_not_repeated(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    X, Y = _data()
    own: dict[str, Any] = {"checkpoint": tmp_path / "kept.h5", "epochs": 6, "lr": 0.01}
    caplog.set_level("INFO")
    first = Linear(**own).fit(X, Y)
    assert "goes on" not in caplog.text
    stamp = (tmp_path / "kept-fit.h5").stat().st_mtime_ns
    again = Linear(**own).fit(X, Y)
    assert "the training goes on after epoch 6" in caplog.text
    np.testing.assert_array_equal(again.predict(X), first.predict(X))
    assert (tmp_path / "kept-fit.h5").stat().st_mtime_ns == stamp


@pytest.mark.parametrize("other", ["model", "parameter", "responses", "features", "groups"])
def test_a_checkpoint_of_another_training_is_not_taken_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, other: str
) -> None:
    X, Y = _data()
    own: dict[str, Any] = {"epochs": 6, "lr": 0.01}
    first = Mlp if other == "model" else Linear
    first(checkpoint=tmp_path / "kept.h5", **own).fit(X, Y)
    if other == "parameter":
        own["lr"] = 0.02
    elif other == "groups":
        own["scope"] = "vertex"
    elif other != "model":
        (Y if other == "responses" else X)[3] += 1
    model = Linear(checkpoint=tmp_path / "kept.h5", **own).fit(X, Y)
    assert "of another search; this one starts again" in caplog.text
    np.testing.assert_array_equal(model.predict(X), Linear(**own).fit(X, Y).predict(X))


def test_a_damaged_checkpoint_is_not_taken_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    X, Y = _data()
    path = tmp_path / "kept-fit.h5"
    first = Linear(checkpoint=tmp_path / "kept.h5", epochs=6).fit(X, Y)
    path.write_bytes(path.read_bytes()[:700])
    again = Linear(checkpoint=tmp_path / "kept.h5", epochs=6).fit(X, Y)
    assert "damaged or cut short" in caplog.text
    np.testing.assert_array_equal(again.predict(X), first.predict(X))


def test_whatever_a_checkpoint_holds_comes_back() -> None:
    tree = {
        "a": [torch.arange(6).reshape(2, 3), torch.tensor(3.5), None, (1, 2.5, "x")],
        "b": {0: np.zeros((0, 4)), 1: {"c": float("inf"), "d": True}},
        "e": np.array([True, False]),
    }
    back = unpack(pack(tree))
    assert torch.equal(back["a"][0], tree["a"][0])
    assert back["a"][1].shape == ()
    assert back["a"][1].dtype == torch.float32
    assert back["a"][2:] == tree["a"][2:]
    assert back["b"][0].shape == (0, 4)
    assert back["b"][1] == {"c": float("inf"), "d": True}
    assert back["e"].dtype == bool
    with pytest.raises(TypeError, match="a checkpoint cannot hold set"):
        pack({"a": {1, 2}})

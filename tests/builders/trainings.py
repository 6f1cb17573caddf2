"""Small trainings for processes that are killed; each goes on where its checkpoint is.

The processes are forked from a server that has imported all this, once for a session's tests.
"""

from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import torch

from regress.data.responses import Responses
from regress.data.several_subjects import Joint
from regress.models import load_model_class
from regress.training import TrainedModel
from regress.training import loop as training

# What it learns from, and its model's own parameters.
Given = tuple[np.ndarray, Any, dict[str, Any]]
SERVER = get_context("forkserver")
SERVER.set_forkserver_preload([__name__, *(f"regress.models.{m}" for m in ("vit", "diffusion"))])


def start(folder: Path, name: str) -> BaseProcess:
    """Start one of `TRAININGS`; `done.npz` is its end."""
    folder.mkdir(exist_ok=True)
    process = SERVER.Process(target=_train, args=(folder, name))
    process.start()
    return process


def _train(folder: Path, name: str) -> None:
    torch.set_num_threads(1)
    # A checkpoint after each epoch.
    training.EVERY, training.SHARE = 0, 0
    X, y, own = TRAININGS[name]()
    model: TrainedModel = load_model_class(name)(**own, checkpoint=folder / "kept.h5")
    np.savez(folder / "done.npz", **model.fit(X, y).refit(X, y).state())


def _features() -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Give features, and responses of three groups: one is noise, which stops before the others."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 15)).astype(np.float32)
    Y = (X @ rng.standard_normal((15, 12)) + 3 * rng.standard_normal((200, 12))).astype(np.float32)
    Y[:, 4:8] = rng.standard_normal((200, 4))
    own = {"lr": 0.01, "epochs": 40, "patience": 8, "batch": 32, "dropout": 0.2}
    return X, Y, own | {"scope": np.repeat(["a", "noise", "b"], 4)}


def _shallow() -> Given:
    """Give two subjects, critics, and noise."""
    X, Y, own = _features()
    own |= {"discriminators": "single+patch", "noise": 2, "spectral": True}
    return X, Joint([Responses([Y[:110, :7]]), Responses([Y[110:, 7:]])]), own


def _unet() -> Given:
    """Give all that it can have: critics, noise, l1 to begin with, two subjects and their ties."""
    rng = np.random.default_rng(0)
    X = rng.integers(0, 256, (100, 192), dtype=np.uint8)
    X[:, 100:] //= rng.integers(1, 5, (100, 1), dtype=np.uint8)
    Y = np.outer(X[:, 100:].mean(1) / 30, [1, -1] * 3) + rng.normal(0, 0.3, (100, 6))
    Y = Y.astype(np.float32)
    own = {"width": 4, "depth": 1, "lr": 3e-3, "epochs": 8, "patience": 6, "batch": 16}
    own |= {"validation": 0.2, "noise": 2, "loss": "l1+pearson", "l1_epochs": 3, "embedding": 2}
    own |= {"discriminators": "single+patch", "common_readout": True}
    y = Joint([Responses([Y[:60, :3]]), Responses([Y[60:, 3:]])])
    return X, y, own | {"scope": np.repeat(["a", "b"], 3)}


def _vit() -> Given:
    rng = np.random.default_rng(0)
    bright = rng.uniform(0, 200, (100, 1))
    X = (bright + rng.uniform(0, 50, (100, 3 * 32 * 32))).astype(np.uint8)
    Y = (bright / 30 * np.arange(-2, 4) + rng.standard_normal((100, 6))).astype(np.float32)
    own = {"network": "test_vit", "weights": "random:0", "tune": "lora:2", "epochs": 8, "lr": 0.01}
    own |= {"patience": 8, "grid": 2, "width": 16, "dropout": 0.1, "batch": 16, "noise": 2}
    return X, Y, own | {"discriminators": "single", "scope": np.repeat(["a", "b"], 3)}


def _diffusion() -> Given:
    """Give two subjects; three in four vertices of the second are the first's."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((240, 12)).astype(np.float32)
    Y = X @ rng.standard_normal((12, 6)) @ rng.standard_normal((6, 24)) / 6
    Y = (Y + rng.standard_normal(Y.shape)).astype(np.float32)
    own = {"latent": 8, "width": 32, "blocks": 1, "lr": 3e-3, "epochs": 14, "patience": 14}
    own |= {"batch": 32, "steps": 10, "samples": 4}
    y = Joint([Responses([Y[:120]]), Responses([Y[120:, rng.permutation(24)[:18]]])])
    return X, y, own | {"scope": np.repeat(["a", "b", "a", "b"], [10, 14, 8, 10])}


TRAININGS: dict[str, Callable[[], Given]] = {
    "linear": _features,
    "conv1d": _features,
    "shallow": _shallow,
    "unet": _unet,
    "vit": _vit,
    "diffusion": _diffusion,
}

"""What the tests share: a small simulated dataset, made once, and copies of it to damage."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from challenge import simulate

SMALL = {
    "subjects": 2,
    "train_images": 40,
    "test_images": 12,
    "vertices": 60,
    "seed": 0,
    "photos": "builtin",
    "picture_size": 64,
}


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two subjects with 40 + 12 pictures of 64 pixels and 60 + 65 vertices; read it only."""
    folder = tmp_path_factory.mktemp("data") / "simulated"
    simulate(folder, **SMALL)
    return folder


@pytest.fixture
def broken(simulated: Path, tmp_path: Path) -> Callable[[], Path]:
    """Give a copy of the simulated dataset that a test may damage."""

    def copy() -> Path:
        return shutil.copytree(simulated, tmp_path / "broken")

    return copy

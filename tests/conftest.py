"""What the tests share: a small simulated dataset, made once, and copies of it to damage."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from challenge.simulator import simulate
from tests.builders.commands import call
from tests.builders.small import SMALL


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


@pytest.fixture(scope="session")
def reported(simulated: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Report two spaces, one of them untrained: the output folder, and what was printed."""
    from tests.builders.fits import write_fits

    out = tmp_path_factory.mktemp("reported")

    def untrain(_: dict[str, Any], meta: dict[str, Any]) -> None:
        meta["untrained"] = ["clip"]
        meta["provenance"] = {"command": "python -m regress --spaces clip"}

    write_fits(out, simulated)
    write_fits(out, simulated, spaces=("clip",), digest="c" * 16, noise=2, seed=1, change=untrain)
    done = call("evaluate", "report", "--data", simulated, "--out", out)
    assert done.returncode == 0, done.stderr
    return out, done.stdout

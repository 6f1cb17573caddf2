"""What the tests of this folder share: features and fits of one subject."""

from pathlib import Path

import pytest

from predict import Encoder, load_encoder
from tests.builders.commands import call

SPACES = ("alexnet@conv5#grid2~64", "pixels:8")
FITS = ("both", "banded")


@pytest.fixture(scope="package")
def out(simulated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Features of two spaces, and a linear fit of each kind, of subject 01; read it only."""
    folder = tmp_path_factory.mktemp("encoders")
    place = ("--data", simulated, "--out", folder, "--subject", "01")
    assert call("extract", *place, "--spaces", *SPACES).returncode == 0
    for name, model in zip(FITS, ("ridge", "banded_ridge"), strict=True):
        options = ("--model", model, "--spaces", *SPACES, "--name", name)
        done = call("regress", *place, *options)
        assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def encoder(simulated: Path, out: Path) -> Encoder:
    return load_encoder([out / "fits" / name for name in FITS], "01", simulated)

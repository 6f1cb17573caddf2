"""The public names show how they are used, and every example runs as it stands."""

import doctest
import inspect
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from evaluate.commands.scores import scores
from extract.__main__ import extract as compute_features
from predict import load_encoder
from regress.commands.fit import fit
from tests.builders.rates import write_space
from tests.house import public_names, without_example

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
EXAMPLES = {name: value for name, value in public_names() if ">>>" in str(value.__doc__)}


@pytest.fixture(scope="module")
def workplace(simulated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make what the examples read: `data`, and `derivatives` with a scored fit, and `encoders`."""
    folder = tmp_path_factory.mktemp("examples")
    (folder / "data").symlink_to(simulated)
    out = folder / "derivatives"
    for space in ("alexnet", "clip"):
        write_space(out, simulated, space, 8)
    fit(simulated, out, "01", "ridge", ["alexnet"], "cpu", name="baseline")
    scores(simulated, out, "01", resamples=0, permutations=0)
    # An encoder on a space that can be computed for other pictures too.
    out = folder / "encoders"
    compute_features(simulated, out, "01", ["pixels:8"])
    fit(simulated, out, "01", "ridge", ["pixels:8"], "cpu", name="pixels")
    load_encoder(out / "fits" / "pixels", "01", simulated)
    return folder


def test_every_public_name_has_an_example() -> None:
    assert without_example() == []


@pytest.fixture
def without_log() -> Iterator[None]:
    """Leave out the log, which a command that ran earlier in this process prints."""
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.usefixtures("without_log")
def test_examples_run(
    name: str, workplace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(workplace, tmp_path, symlinks=True, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    value = EXAMPLES[name]
    # As in numpy's own examples, numpy is imported; so is Path.
    names = {"np": np, "Path": Path, **vars(inspect.getmodule(inspect.unwrap(value)))}
    runner, report = doctest.DocTestRunner(optionflags=FLAGS), list[str]()
    for example in doctest.DocTestFinder().find(value, name, globs=names):
        runner.run(example, out=report.append)
    assert runner.tries > 0
    assert runner.failures == 0, "".join(report)

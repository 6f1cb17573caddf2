"""Whether a fit is of these data and of this code: one answer, by content, for all who ask."""

import importlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from base import content_digests, sha256_files
from cache import read_artifact, write_artifact
from challenge.simulator import simulate
from execute.forecast.cost import Cost
from execute.forecast.rates import Rates
from regress import models
from regress.cost import fit_costs
from regress.fit_options import FitOptions
from regress.fitting.request import FitRequest
from regress.fitting.request_checks import make_request
from regress.fitting.unit_sizes import list_parts
from tests.builders.commands import call
from tests.builders.rates import write_rates, write_space

MEAN = '''"""Predicts the mean."""

from regress.linear_model import LinearModel

FACTOR = 1.0


class Model(LinearModel):
    """The mean response, whatever the picture.

    Parameters
    ----------
    times : float
        What it is multiplied by.
    """

    def __init__(self, times: float = 1.0) -> None:
        self.times = times

    def _search(self, X, Y, scope):
        return {}

    def _solve(self, X, Y, chosen):
        return X.T @ Y * (FACTOR * self.times / len(X))
'''


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One subject, its features and rates; read it only."""
    root = tmp_path_factory.mktemp("identity")
    simulate(root / "data", subjects=1, train_images=16, test_images=5, vertices=20, seed=3,
             photos="builtin", picture_size=32)  # fmt: skip
    write_rates(root / "out")
    write_space(root / "out", root / "data", "wide", 8)
    return root


@pytest.fixture
def root(small: Path, tmp_path: Path) -> Path:
    """Give a test a copy of its own."""
    return shutil.copytree(small, tmp_path / "root")


@pytest.fixture
def write_model(tmp_path: Path) -> Iterator[Callable[[str], None]]:
    """Put a model of the user's among the plug-ins."""
    folder = tmp_path / "plugins"
    folder.mkdir()
    models.__path__.append(str(folder))

    def write(text: str) -> None:
        (folder / "mean_of_mine.py").write_text(text)
        sys.modules.pop("regress.models.mean_of_mine", None)
        importlib.invalidate_caches()

    sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
    yield write
    sys.dont_write_bytecode = before
    models.__path__.remove(str(folder))
    sys.modules.pop("regress.models.mean_of_mine", None)


def fit(root: Path, model: str = "ridge") -> str:
    """Fit as the user does; give what was printed."""
    done = call("regress", "--data", root / "data", "--out", root / "out", "--model", model,
                "--spaces", "wide", "--device", "cpu", "--heldout", 0.3)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def asked_of(root: Path, model: str = "ridge") -> FitRequest:
    """Say what `fit` asks for."""
    return make_request(
        FitOptions(root / "data", root / "out", model=model, spaces=["wide"], heldout=0.3)
    )


def answers(root: Path) -> set[bool]:
    """Ask all whether everything is there: the plan, the jobs' side, and the fit itself."""
    asked = asked_of(root)
    costs = fit_costs(asked, Rates(root / "out" / "rates"))
    plan = costs == [[Cost(), Cost()]] and not any(p.n_rois for [p] in list_parts(asked)[0])
    jobs = all(asked.existing_result(0, unit) is not None for unit in range(2))
    return {plan, jobs, fit(root).count(" 0 to fit\n") == 2}


def test_u1_a_model_whose_code_changed_is_fitted_again(
    root: Path, write_model: Callable[[str], None]
) -> None:
    write_model(MEAN)
    fit(root, "mean_of_mine")
    [path] = asked_of(root, "mean_of_mine").folder.glob("*/lh.residual.h5")
    before = read_artifact(path)[0]["coef_"]
    # What is only told to readers changes nothing.
    write_model(MEAN.replace("whatever the picture", "always").replace("return X", "return  X"))
    assert fit(root, "mean_of_mine").count(" 0 to fit\n") == 2
    write_model(MEAN.replace("FACTOR = 1.0", "FACTOR = 2.0"))
    asked = asked_of(root, "mean_of_mine")
    assert asked.existing_result(0, 0) is None
    said = fit(root, "mean_of_mine")
    assert said.count(" to fit: the code of mean_of_mine changed\n") == 2
    after = read_artifact(path)[0]["coef_"]
    np.testing.assert_allclose(after, 2 * before, rtol=1e-5)
    assert fit(root, "mean_of_mine").count(" 0 to fit\n") == 2


def test_u1_fits_that_do_not_tell_their_code_are_taken(
    root: Path, write_model: Callable[[str], None]
) -> None:
    write_model(MEAN)
    fit(root, "mean_of_mine")
    for path in asked_of(root, "mean_of_mine").folder.glob("*/*.h5"):
        arrays, meta = read_artifact(path)
        del meta["inputs"]["code"]
        write_artifact(path, arrays, meta)
    assert fit(root, "mean_of_mine").count(" 0 to fit\n") == 2


def test_u9_a_copy_with_other_times_is_there_for_all_who_ask(root: Path) -> None:
    fit(root)
    for path in [*(root / "data").rglob("*"), *(root / "out" / "features").rglob("*")]:
        os.utime(path)
    for path in (root / "out" / "fits").rglob("*.h5"):
        os.utime(path, (0, 0))
    assert answers(root) == {True}


def test_a8_other_responses_are_seen_whatever_the_times_of_files(root: Path) -> None:
    fit(root)
    [file] = (root / "data").glob("subj01/training_split/training_fmri/lh*")
    values = np.load(file)
    np.save(file, values[::-1])
    # As a folder that was restored from an archive has them, and fits of a clock that is ahead.
    os.utime(file, (0, 0))
    for path in (root / "out" / "fits").rglob("*.h5"):
        os.utime(path, (2e9, 2e9))
    asked = asked_of(root)
    assert asked.existing_result(0, 0) is None
    assert asked.existing_result(0, 1) is not None
    [[left, right]] = fit_costs(asked, Rates(root / "out" / "rates"))
    assert (left.disk > 0, right) == (True, Cost())
    assert fit(root).count(" 0 to fit\n") == 1
    assert answers(root) == {True}


def test_a8_an_older_file_of_the_same_size_is_read_anew(tmp_path: Path) -> None:
    file, older = tmp_path / "file", tmp_path / "older"
    old = (1_000_000_000, 1_000_000_000)
    for path, text in ((file, "new"), (older, "old")):
        path.write_text(text)
        os.utime(path, old)
    assert content_digests([file, file]) == sha256_files([file]) * 2
    shutil.copy2(older, file)
    assert content_digests([file]) == sha256_files([older])


def test_u1_scores_of_an_edited_metric_are_made_again(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from evaluate import metrics

    folder = tmp_path / "metrics"
    folder.mkdir()
    monkeypatch.setattr(metrics, "__path__", [*metrics.__path__, str(folder)])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    fit(root)

    def score(value: int) -> tuple[str, float]:
        text = f"def compute(pair):\n    return 0 * pair.r + {value}\n"
        (folder / "mine_of_mine.py").write_text(text)
        sys.modules.pop("evaluate.metrics.mine_of_mine", None)
        importlib.invalidate_caches()
        done = call("evaluate", "scores", "--data", root / "data", "--out", root / "out",
                    "--resamples", 0, "--permutations", 0)  # fmt: skip
        assert done.returncode == 0, done.stderr
        [first, *_] = json.loads((root / "out" / "scores.json").read_text())["counts"]
        return done.stdout, first["means"]["mine_of_mine"]

    try:
        assert score(1)[1] == 1
        assert "nothing has changed" in score(1)[0]
        said, mean = score(2)
        assert ("nothing has changed" in said, mean) == (False, 2)
    finally:
        sys.modules.pop("evaluate.metrics.mine_of_mine", None)

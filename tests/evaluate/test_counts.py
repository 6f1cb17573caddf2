"""Resamples, permutations and datasets: no more than fit the memory, and no negative seed."""

from pathlib import Path

import numpy as np
import pytest

from base import RoiridgeError, machine_memory
from evaluate.resampling import check_counts, picture_weights
from evaluate.resampling.resampler import Resampler
from tests.builders.fits import write_fits
from tests.builders.scores import run

MANY = 10**15


@pytest.fixture(scope="module")
def fitted(simulated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("fitted")
    write_fits(out, simulated)
    write_fits(out, simulated, "banded_ridge", digest="b" * 16, seed=1)
    return out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ("scores", "--resamples", MANY),
            rf"--resamples {MANY}: expected at most \d+; 12 pictures",
        ),
        (("scores", "--permutations", MANY), rf"--permutations {MANY}: expected at most \d+; 12 p"),
        (("compare", "ridge", "banded", "--resamples", MANY), rf"--resamples {MANY}: expected at"),
        (("scores", "--seed", "-1"), "--seed -1: expected 0 or more"),
    ],
)
def test_a5_counts_without_bound_are_refused_before_any_work(
    words: tuple[object, ...], told: str, fitted: Path, simulated: Path
) -> None:
    before = sorted(fitted.rglob("*"))
    done = run(*words, "--data", simulated, "--out", fitted)
    assert done.returncode == 2, done.stdout
    with pytest.raises(RoiridgeError, match=told):
        raise RoiridgeError(done.stderr)
    assert "Traceback" not in done.stderr
    assert sorted(fitted.rglob("*")) == before


def test_a5_calibrate_is_bounded(tmp_path: Path) -> None:
    for words, told in (
        (("--datasets", MANY), f"--datasets {MANY}: expected at most"),
        (("--seed", "-1"), "--seed -1: expected 0 or more"),
    ):
        done = run("calibrate", "--out", tmp_path, *words)
        assert done.returncode == 2
        assert told in done.stderr
    assert not list(tmp_path.iterdir())


def test_a5_the_largest_is_what_fits() -> None:
    # The greatest part of it, counted from the arrays that are made for fewer.
    n, n_vertices, n_resamples = 150, 19_000, 200
    rng = np.random.default_rng(0)
    names = np.array([b"%d" % i for i in range(n)])
    weights = picture_weights(names, n_resamples)
    made = Resampler(rng.standard_normal((n, 50), np.float32), None, weights)
    each = sum(a.nbytes for a in vars(made).values() if isinstance(a, np.ndarray) and a.ndim == 2)
    each -= 50 * n * 4  # the responses themselves
    per_resample = each / 50 * n_vertices / weights.n_lines
    with pytest.raises(RoiridgeError, match=r"expected at most \d+") as refused:
        check_counts(MANY, 0, n, n_vertices, 1)
    largest = int(str(refused.value).split("at most ")[1].split(";")[0])
    assert largest * per_resample < machine_memory()
    check_counts(largest, 0, n, n_vertices, 1)
    with pytest.raises(RoiridgeError, match="--resamples"):
        check_counts(largest + 1, 0, n, n_vertices, 1)
    # What everybody asks for fits a laptop.
    check_counts(2000, 10_000, 515, 20_544, 30)

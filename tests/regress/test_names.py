"""Fits have names that people give: kept, unique, taken wherever a fit is chosen."""

import numpy as np
import pytest

from base import RoiridgeError
from cache import FeatureStore, check_fit_name, find_fits, read_fit_name, write_fit_name
from challenge import find_subjects
from challenge.simulator import simulate
from tests.builders.commands import call


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("named") / "data"
    simulate(folder, subjects=1, train_images=20, test_images=6, vertices=20, seed=0,
             photos="builtin", picture_size=64)  # fmt: skip
    return folder


@pytest.fixture
def out(data, tmp_path):
    [subject] = find_subjects(data)
    names = dict.fromkeys([*subject.picture_digests("train"), *subject.picture_digests("test")])
    rows = np.random.default_rng(0).standard_normal((len(names), 6)).astype(np.float32)
    store = FeatureStore(tmp_path / "features")
    with store.writer("known", {"made": "by the test"}, {"origin": "the test"}) as writer:
        writer.add(list(names), rows)
    return tmp_path


def fit(data, out, *more):
    done = call("regress", "--data", data, "--out", out, "--model", "ridge", "--spaces", "known",
                "--device", "cpu", *more)  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def test_u7_a_fit_has_the_name_that_it_is_given(data, out):
    assert fit(data, out)[0] == 0
    [folder] = (out / "fits").iterdir()
    assert read_fit_name(folder) == ""
    code, text = fit(data, out, "--name", "baseline")
    assert code == 0
    assert "0 models fitted" in text, "a name is no setting: nothing is fitted again"
    assert [folder] == list((out / "fits").iterdir())
    assert read_fit_name(folder) == "baseline"
    # Asked for again with another name, it is renamed; without one, it keeps what it has.
    assert fit(data, out, "--name", "reference")[0] == fit(data, out)[0] == 0
    assert read_fit_name(folder) == "reference"
    assert find_fits(out / "fits", "baseline") == []
    # A start is found by its name: what is refused is what is done with it.
    assert "is solved for each subject alone" in fit(data, out, "--start", "reference")[1]
    assert "expected the folder of a fit" in fit(data, out, "--start", "baseline")[1]


def test_u7_a_name_that_is_taken_or_none_is_refused_before_anything_is_fitted(data, out):
    assert fit(data, out, "--name", "baseline")[0] == 0
    [first] = (out / "fits").iterdir()
    code, text = fit(data, out, "--seed", "1", "--name", "baseline")
    assert code == 2
    assert f"--name baseline: is the name of {first}" in text
    assert "expected another name" in text
    for name in ("ridge", "ensemble", "all"):
        code, text = fit(data, out, "--name", name)
        assert code == 2, name
        assert "means something else where fits are chosen" in text
    for name in ("1st", "two words", "../out", "a" * 41, "ä"):
        code, text = fit(data, out, "--name", name)
        assert code == 2, name
        assert "a letter and then letters, digits" in text
    assert [first] == list((out / "fits").iterdir())
    assert read_fit_name(first) == "baseline"


def test_u7_an_exact_name_comes_before_the_beginning_of_a_folder(tmp_path):
    one, two = (tmp_path / f"ridge-{letter * 16}" for letter in "ab")
    for folder in (one, two):
        folder.mkdir()
    assert find_fits(tmp_path, "ridge") == [one, two]
    write_fit_name(two, "ridge-a")
    assert find_fits(tmp_path, "ridge-a") == [two]
    write_fit_name(one, "ridge-a")
    with pytest.raises(RoiridgeError, match=r"ridge-a: is the name of .*remove the file name"):
        find_fits(tmp_path, "ridge-a")
    (one / "name").write_bytes(b"\xff\xfe" + b"[" * 5000)
    with pytest.raises(RoiridgeError, match=r"name: found .*expected a name.*remove the file"):
        check_fit_name(two, "other")

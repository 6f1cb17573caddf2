"""Pickles from elsewhere: plain data and arrays are read, anything else is refused, not run."""

import os
import pickle

import numpy as np
import pytest

from challenge import DataError, find_subjects
from challenge.files import load_allowlisted


class Hostile:
    """Would make a file when unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("protocol", range(2, 5))
def test_arrays_in_plain_data_are_read(tmp_path, protocol):
    file = tmp_path / "weights.ckpt"
    weights = {"conv": [np.arange(6, dtype=np.float32).reshape(2, 3)], "n": 3, "of": ("a", 1.5)}
    if protocol < 3:  # bytes take codecs.encode there, which is not in the list
        weights = {"n": 3, "of": ("a", 1.5)}
    file.write_bytes(pickle.dumps(weights, protocol))
    read = load_allowlisted(file)
    assert read["of"] == ("a", 1.5)
    if protocol > 2:
        np.testing.assert_array_equal(read["conv"][0], weights["conv"][0])


@pytest.mark.parametrize("core", ["numpy.core.multiarray", "numpy._core.multiarray"])
def test_both_names_of_numpys_core_are_read(tmp_path, core):
    content = pickle.dumps({"a": np.arange(3), "b": np.float32(2)}, 0)
    old, new = b"numpy._core.multiarray", core.encode()
    # protocol 0 keeps names as lines of text, so that they can be swapped
    content = content.replace(old, new)
    file = tmp_path / "old.pkl"
    if b"_codecs" in content:
        content = pickle.dumps({"a": np.arange(3), "b": np.float32(2)}, 3).replace(old, new)
    file.write_bytes(content)
    assert core.encode() in content
    read = load_allowlisted(file)
    np.testing.assert_array_equal(read["a"], [0, 1, 2])
    assert read["b"] == 2


def test_a_hostile_pickle_runs_nothing(tmp_path):
    marker = tmp_path / "marker"
    file = tmp_path / "hostile.pkl"
    file.write_bytes(pickle.dumps({"weights": Hostile(marker)}))
    with pytest.raises(DataError, match=r"hostile.pkl: not read: it asks for posix.mkdir"):
        load_allowlisted(file)
    assert not marker.exists()


def test_a_hostile_mapping_runs_nothing(broken, tmp_path):
    subject = find_subjects(broken(), "1")[0]
    marker = tmp_path / "marker"
    file = subject.folder / "roi_masks/mapping_floc-words.npy"
    np.save(file, np.array({0: "Unknown", 1: Hostile(marker)}, dtype=object))
    with pytest.raises(DataError, match=r"mapping_floc-words.npy: not read: it asks for posix"):
        subject.rois("rh")
    assert not marker.exists()
    np.load(file, allow_pickle=True)  # what others do does run it: the test is a real one
    assert marker.exists()


@pytest.mark.parametrize("name", ["eval", "getattr", "exec", "__import__"])
def test_builtins_are_refused(tmp_path, name):
    file = tmp_path / "builtin.pkl"
    file.write_bytes(f"cbuiltins\n{name}\n(S'1'\ntR.".encode())
    with pytest.raises(DataError, match=f"it asks for builtins.{name}"):
        load_allowlisted(file)


@pytest.mark.parametrize(
    "content", [b"", b"\x93NUM", b"\x93NUMPY\x01\x00", b"garbage", b"\x80\x04\x95\xff"]
)
def test_damaged_pickles(tmp_path, content):
    file = tmp_path / "damaged.npy"
    file.write_bytes(content)
    with pytest.raises(DataError, match=r"damaged.npy: not read"):
        load_allowlisted(file)


def test_a_missing_pickle_and_a_plain_array(tmp_path):
    with pytest.raises(DataError, match=r"none.npy: missing"):
        load_allowlisted(tmp_path / "none.npy")
    np.save(tmp_path / "plain.npy", np.arange(3))
    with pytest.raises(DataError, match=r"plain.npy: not read: it is an array of int64"):
        load_allowlisted(tmp_path / "plain.npy")


@pytest.mark.parametrize("held", [[1, 2], {"V1v": 1}, {1: 2}])
def test_a_mapping_must_map_labels_to_names(broken, held):
    subject = find_subjects(broken(), "1")[0]
    value = np.empty((), dtype=object)
    value[()] = held
    np.save(subject.folder / "roi_masks/mapping_streams.npy", value)
    with pytest.raises(DataError, match=r"expected a dict of int labels to names"):
        subject.rois("lh")

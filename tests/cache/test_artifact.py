"""Artifacts: arrays and JSON that come back as they were, or not at all."""

import h5py
import numpy as np
import pytest

from cache import CacheError, read_artifact, read_meta, write_artifact

ARRAYS = {
    "weights": np.random.default_rng(0).standard_normal((7, 3)).astype(np.float32),
    "names": np.array([b"lh", b"rh"], dtype="S2"),
    "empty": np.zeros((0, 4), dtype=np.float64),
    "one": np.float64(2.5),
    "mask": np.array([True, False]),
    "large": np.arange(600_000, dtype=np.int64).reshape(300, 2000),
}
META = {"model": "ridge", "alphas": [1, 2.5, None], "note": "ü / \n", "nested": {"a": {}}}


def same(arrays):
    return set(arrays) == set(ARRAYS) and all(
        np.array_equal(arrays[k], ARRAYS[k]) and arrays[k].dtype == ARRAYS[k].dtype for k in ARRAYS
    )


def test_round_trip(tmp_path):
    path = tmp_path / "a fit" / "x.h5"
    write_artifact(path, ARRAYS, META)
    arrays, meta = read_artifact(path)
    assert same(arrays)
    assert meta == META == read_meta(path)
    some, _ = read_artifact(path, ["one", "names"])
    assert set(some) == {"one", "names"}
    with pytest.raises(CacheError, match=r"has no array wieghts; it has .*weights"):
        read_artifact(path, ["wieghts"])
    write_artifact(path, {}, {})
    assert read_artifact(path) == ({}, {})
    assert list(path.parent.iterdir()) == [path]


def test_a_failure_leaves_what_was_there(tmp_path):
    path = tmp_path / "x.h5"
    write_artifact(path, ARRAYS, META)
    with pytest.raises(ValueError, match=r"not JSON compliant"):
        write_artifact(path, {}, {"score": float("nan")})
    with pytest.raises(TypeError, match=r"Object dtype"):
        write_artifact(path, {"a": np.array([{}])}, {})
    assert same(read_artifact(path)[0])
    assert list(tmp_path.iterdir()) == [path]


def test_no_such_file_and_no_artifact(tmp_path):
    with pytest.raises(CacheError, match=r"x\.h5: there is no such file"):
        read_meta(tmp_path / "x.h5")
    with h5py.File(tmp_path / "y.h5", "w") as opened:
        opened["a"] = 1
    with pytest.raises(CacheError, match=r"y\.h5: found kind None with schema None, expected kind"):
        read_artifact(tmp_path / "y.h5")


def test_a_flipped_byte_is_an_error_or_changes_nothing(tmp_path):
    path = tmp_path / "x.h5"
    small = {name: array for name, array in ARRAYS.items() if name != "large"}
    write_artifact(path, small, META)
    content = path.read_bytes()
    generator = np.random.default_rng(0)
    refused = 0
    for position in generator.choice(len(content), 500, replace=False):
        damaged = bytearray(content)
        damaged[position] ^= int(generator.integers(1, 256))
        path.write_bytes(damaged)
        try:
            arrays, meta = read_artifact(path)
        except CacheError:
            refused += 1
        else:
            assert meta == META
            assert same({**arrays, "large": ARRAYS["large"]})
    assert refused > 50


def test_a_number_alone_has_a_checksum_too(tmp_path):
    path = tmp_path / "x.h5"
    write_artifact(path, {"one": np.float64(2.5)}, {})
    content = path.read_bytes()
    value = np.float64(2.5).tobytes()
    assert content.count(value) == 1
    path.write_bytes(content.replace(value, np.float64(2.25).tobytes()))
    with pytest.raises(CacheError, match=r"damaged or cut short"):
        read_artifact(path)

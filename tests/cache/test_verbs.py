"""The verbs that look: ls, show and verify."""

import json
import re
import subprocess
import sys
import tracemalloc

import h5py
import numpy as np
import pytest
from xxhash import xxh3_64_intdigest

from cache import FeatureStore, write_artifact
from cache.__main__ import VERBS
from cache.commands.arguments import as_flags
from cache.commands.verify import verify_space
from tests.builders.cache_verbs import caller
from tests.builders.feature_rows import KEY, UNTRAINED, name, row, rows, write
from tests.builders.paths import ROOT


@pytest.fixture
def out(tmp_path):
    return tmp_path / "derivatives"


@pytest.fixture
def store(out):
    return FeatureStore(out / "features")


@pytest.fixture
def main(out, capsys):
    return caller(out, capsys)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], []),
        (["ls"], ["ls"]),
        (["show", "a", "--json"], ["show", "a", "--json=true"]),
        (["verify"], ["verify"]),
        (["verify", "--out", "o"], ["verify", "--out", "o"]),
        (["verify", "a", "b", "--out", "o"], ["verify", "--spaces", "a", "b", "--out", "o"]),
        (["explain", "a", "k.json"], ["explain", "--spaces", "a", "k.json"]),
        (["pack", "a", "b", "f.zip"], ["pack", "f.zip", "--spaces", "a", "b"]),
        (["pack", "f.zip", "--spaces", "a"], ["pack", "f.zip", "--spaces", "a"]),
        (["prune", "--delete"], ["prune", "--delete=true"]),
        (["import", "a", "b", "--replace"], ["import", "a", "b", "--replace=true"]),
        (["prune", "--delete=false"], ["prune", "--delete=false"]),
        (["prune", "--delete", "false"], ["prune", "--delete", "false"]),
        (["import", "a", "b", "--replace", "true"], ["import", "a", "b", "--replace", "true"]),
    ],
)
def test_words_become_flags(given, expected):
    assert as_flags(given) == expected


def test_a_real_process(out, store):
    write(store, range(3))

    def called(*words):
        return subprocess.run(
            [sys.executable, "-m", "cache", *words, "--out", str(out)],
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip

    assert "ok   clip-" in called("verify", "clip").stdout
    done = called("show", "clop")
    assert done.returncode == 2
    assert done.stderr.startswith("error: no features named 'clop'")
    shown = called("--help").stdout
    assert all(verb in shown for verb in VERBS)


@pytest.mark.parametrize(
    "verb", ["show x", "verify", "explain", "prune", "export x f.npz", "pack f"]
)
def test_a_folder_that_is_not_there(main, verb):
    status, said = main(*verb.split())
    assert status == 2
    assert "derivatives: no such folder; give --out" in said


# show


def test_show_says_everything(main, store):
    layers = [
        {"layer": "conv1", "pooling": "grid6", "projection": {"columns": 3, "seed": 0}},
        {"layer": "conv2", "pooling": "flatten", "projection": None},
    ]
    key = {**UNTRAINED, "layers": layers, "preprocessing": {"size": 224, "mean": [0.5, 0.25]}}
    about = {
        "origin": "random, seed 0",
        "bands": [{"name": "conv1", "columns": 3}, {"name": "conv2", "columns": 2}],
        "spec": {"precision": "float32"},
        "provenance": {"created": "2026-01-02", "versions": {"torch": "2.9", "timm": "1.0"}},
    }
    with store.writer("clip", key, about) as writer:
        writer.add([name(n) for n in range(4)], rows(range(4)))
    status, said = main("show", "clip")
    assert status == 0
    entry = store.find("clip")
    for fact in (
        "space clip", f"file {entry.path}", "rows 4, one for each picture", "columns 5",
        "layer conv1, pooling grid6, projection (columns 3, seed 0)",
        "layer conv2, pooling flatten", "band conv1, 3 columns", "band conv2, 2 columns",
        "dtype float32", "origin random, seed 0", "UNTRAINED random weights (random:0)",
        f"digest {entry.digest}", "key.weights.digest bb", "key.preprocessing.size 224",
        "key.preprocessing.mean [0.5, 0.25]", "spec.precision float32", "created 2026-01-02",
        "versions timm 1.0, torch 2.9",
    ):  # fmt: skip
        assert fact in [" ".join(line.split()) for line in said.splitlines()], fact
    _, said = main("show", "clip", "--json")
    assert json.loads(said) == entry.meta


# verify


def test_all_is_well(main, store, out):
    write(store, range(7))
    write(store, range(5), UNTRAINED, "sam")
    write_artifact(out / "fits" / "ridge-0" / "subj01" / "lh.V1.h5", {"a": row(1)}, {})
    status, said = main("verify")
    assert status == 0, said
    assert f"ok   {store.find('clip').path.stem}: 7 rows x 5 columns\n" in said
    assert "1 of 1 other files whole" in said
    status, said = main("verify", "sam")
    assert status == 0
    assert "clip" not in said
    assert "other files" not in said
    assert main("verify", "clop")[0] == 2


def damage(path, name="features"):
    """Flip a bit of a stored number."""
    with h5py.File(path) as opened:
        stored = opened[name].id
        start = stored.get_offset() or stored.get_chunk_info(0).byte_offset
    content = bytearray(path.read_bytes())
    content[start + 5] ^= 1
    path.write_bytes(content)


def test_a_flipped_bit_is_found_and_the_others_are_read(main, store, out):
    write(store, range(7))
    write(store, range(5), UNTRAINED, "sam")
    fit = out / "fits" / "ridge-0" / "subj01" / "lh.V1.h5"
    write_artifact(fit, {"a": np.arange(300.0)}, {})
    write_artifact(fit.with_name("lh.V2.h5"), {"a": np.arange(300.0), "n": np.int64(3)}, {})
    bad = store.find("clip").path
    damage(bad)
    damage(fit, "arrays/a")
    status, said = main("verify")
    assert status == 1
    assert f"BAD  {bad}: damaged or cut short" in said
    assert "ok   sam-" in said
    assert "1 of 2 other files whole" in said
    assert f"BAD  {fit}: damaged or cut short" in said
    assert re.search(r"no need to delete it, the next `.+` fits it again", said)
    # by name too, although no listing can read it
    bad.write_bytes(bad.read_bytes()[:100])
    for word in ("clip", bad.stem[:7]):
        status, said = main("verify", word)
        assert (status, said.count("BAD")) == (1, 1)


def change(path, **arrays):
    """Put other arrays into a file by the back door, features with their checksum."""
    if "features" in arrays:
        arrays["checksums"] = np.array([9, xxh3_64_intdigest(arrays["features"])], np.uint64)
    with h5py.File(path, "r+") as opened:
        for called, array in arrays.items():
            del opened[called]
            opened.create_dataset(called, data=array)


@pytest.mark.parametrize(
    ("arrays", "fault"),
    [
        ({"features": np.where(np.eye(4, 5), np.nan, 1).astype("f4")}, r"4 rows have values that"),
        ({"features": np.full((4, 5), b"x")}, r"holds \|S1, expected numbers"),
        ({"pictures": np.array([name(0)] * 2 + [name(1)] * 2, "S64")}, r"2 rows are of pictures"),
        (
            {"pictures": np.array([name(n).upper() for n in range(4)], "S64")},
            r"not named by a sha2",
        ),
        ({"pictures": np.array([b"a"] * 4)}, r"not named by a sha256"),
        ({"pictures": np.array([name(n) for n in range(3)], "S64")}, r"3 pictures are named and 4"),
        ({"meta": np.frombuffer(b"{}", "u1")}, r"holds no name and key"),
    ],
)
def test_what_is_wrong_inside_is_said(store, arrays, fault):
    write(store, range(4))
    path = store.find("clip").path
    change(path, **arrays)
    assert re.search(fault, "; ".join(verify_space(path).faults))


def test_a_renamed_file_is_found(main, store):
    write(store, range(4))
    path = store.find("clip").path
    path.rename(store.folder / "clip-0123456789abcdef.h5")
    status, said = main("verify")
    assert status == 1
    assert f"belongs in {path.name} by its key: it was renamed" in said


def test_rows_are_compared_with_the_pictures(main, store, simulated):
    from challenge import find_subjects

    first, second = find_subjects(simulated)
    digests = list(dict.fromkeys(first.picture_digests("train") + first.picture_digests("test")))
    with store.writer("clip", KEY, {}) as writer:
        writer.add(digests, rows(range(len(digests))))
    status, said = main("verify", "--data", first.folder)
    assert status == 0, said
    assert f"{len(digests)} of {len(digests)} pictures have a row, 0 rows are of others" in said
    both = {*digests, *second.picture_digests("train"), *second.picture_digests("test")}
    lacking = len(both) - len(digests)
    assert lacking
    status, said = main("verify", "--data", simulated)
    assert status == 1
    assert f"{lacking} of {len(both)} pictures have no row (first: {simulated}/subj02/" in said
    assert main("verify", "--data", simulated / "nowhere")[0] == 2


def test_memory_is_flat(store, monkeypatch):
    monkeypatch.setattr("cache.feature_table.BLOCK_BYTES", 1 << 20)
    with store.writer("clip", KEY, {}) as writer:
        for start in range(0, 4096, 256):
            numbers = np.random.default_rng(start).standard_normal((256, 2048), "f4")
            writer.add([name(n) for n in range(start, start + 256)], numbers)
    path = store.find("clip").path
    assert path.stat().st_size > 32e6
    tracemalloc.start()
    try:
        assert verify_space(path).faults == ()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8e6

"""The feature store's contract: what was written is read back, and nothing else ever is."""

import json
import subprocess
import sys

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cache import CacheError, FeatureStore, canonical, digest
from tests.builders.feature_rows import KEY, UNTRAINED, name, row, rows, write
from tests.builders.paths import ROOT


@pytest.fixture
def store(tmp_path):
    return FeatureStore(tmp_path / "the features")


def test_one_file_says_all_of_itself(store):
    write(store, range(7))
    (entry,) = store.entries()
    assert entry.path == store.folder / f"clip-{digest(KEY)}.h5"
    assert (entry.name, entry.digest, entry.untrained) == ("clip", digest(KEY), False)
    assert {k: entry.meta[k] for k in ("rows", "columns", "dtype", "origin")} == {
        "rows": 7, "columns": 5, "dtype": "float32", "origin": "a test",
    }  # fmt: skip
    assert entry.meta["bytes"] == entry.path.stat().st_size
    assert not list(store.folder.glob("*.shards"))
    # by the back door
    with h5py.File(entry.path) as opened:
        assert opened["checksums"].fletcher32
        assert opened["pictures"].fletcher32
        assert opened["meta"].fletcher32
        assert opened["features"].shape == (7, 5)
        assert json.loads(opened["meta"][()].tobytes())["key"] == KEY
        stored = dict(zip(opened["pictures"][()].tolist(), opened["features"][()], strict=True))
    assert {k.decode(): v.tolist() for k, v in stored.items()} == {
        name(n): row(n).tolist() for n in range(7)
    }


@settings(
    max_examples=40, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(
    parts=st.lists(st.lists(st.integers(0, 300), max_size=12, unique=True), max_size=4),
    asked=st.lists(st.integers(0, 300), max_size=30),
    columns=st.sampled_from([1, 3]),
)
def test_any_rows_in_any_order_come_back(tmp_path_factory, parts, asked, columns):
    store = FeatureStore(tmp_path_factory.mktemp("features"))
    for part in parts:
        write(store, part, columns=columns)
    written = {number for part in parts for number in part}
    if not written:
        assert store.entries() == []
        return
    entry = store.find("clip")
    assert entry.meta["rows"] == len(written)
    wanted = [number for number in asked if number in written]
    found = store.read(entry, [name(number) for number in wanted])
    assert found.dtype == np.float32
    assert found.shape == (len(wanted), columns)
    if wanted:
        np.testing.assert_array_equal(found, rows(wanted, columns))
    if absent := set(asked) - written:
        message = rf"has no row for {len(absent)} of {len(absent) + len(wanted)} pictures"
        with pytest.raises(CacheError, match=message):
            store.read(entry, [name(number) for number in [*wanted, *absent]])


def test_rows_across_many_blocks(store, monkeypatch):
    # 300 checksums of one row each, in blocks of seven
    monkeypatch.setattr("cache.checked_rows.CHECK_BYTES", 1)
    monkeypatch.setattr("cache.feature_table.BLOCK_BYTES", 7 * 5 * 4)
    monkeypatch.setattr("cache.feature_table.GATHER_BYTES", 7 * 5 * 4)
    write(store, range(300))
    write(store, range(200, 350))
    asked = np.random.default_rng(0).integers(0, 350, 500).tolist()
    found = store.read(store.find("clip"), [name(number) for number in asked])
    np.testing.assert_array_equal(found, rows(asked))


def test_two_spaces_of_one_name_are_never_confused(store):
    write(store, range(3))
    write(store, range(4), UNTRAINED)
    both = sorted([f"clip-{digest(KEY)}", f"clip-{digest(UNTRAINED)}"])
    with pytest.raises(
        CacheError, match=rf"2 feature spaces are named 'clip'.*{both[0]}.*{both[1]}"
    ):
        store.find("clip")
    assert store.find(f"clip-{digest(UNTRAINED)}").untrained
    assert not store.find(f"clip-{digest(KEY)[:6]}").untrained
    with pytest.raises(CacheError, match=r"no features named 'clop' .*\(there: clip\): run"):
        store.find("clop")


def test_odd_and_long_names(store):
    called = "timm:vit/x@" + "+".join(f"blocks.{n}" for n in range(60)) + "#cls ü/../~0"
    write(store, range(3), called=called)
    assert len(store.path(called, KEY).name) < 200
    assert store.path(called, KEY).parent == store.folder
    entry = store.find(called)
    np.testing.assert_array_equal(store.read(entry, [name(1)]), rows([1]))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_rows_that_are_not_finite_are_refused(store, bad):
    values = rows(range(4))
    values[2, 1] = bad

    def add():
        with store.writer("clip", KEY, {}) as writer:
            writer.add([name(9)], rows([9]))
            writer.add([name(number) for number in range(4)], values)

    with pytest.raises(CacheError, match=rf"1 pictures are not finite \(first: sha256 {name(2)}\)"):
        add()
    assert write(store, [9, 1]) == 1  # 9 was kept
    np.testing.assert_array_equal(store.read(store.find("clip"), [name(9)]), rows([9]))


@pytest.mark.parametrize("names", [["short"], [name(1).upper()], [name(1), name(2)], []])
def test_rows_are_named_by_one_sha256_each(store, names):
    with (
        pytest.raises(CacheError, match=r"named by one sha256 each"),
        store.writer("clip", KEY, {}) as writer,
    ):
        writer.add(names, rows([1]))
    assert store.entries() == []


def flipped(content, generator, count):
    for _ in range(count):
        damaged = bytearray(content)
        damaged[generator.integers(len(content))] ^= int(generator.integers(1, 256))
        yield bytes(damaged)


def test_a_flipped_byte_is_an_error_or_changes_nothing(store):
    write(store, range(6))
    path = store.find("clip").path
    content = path.read_bytes()
    generator = np.random.default_rng(0)
    refused = 0
    for damaged in flipped(content, generator, 600):
        path.write_bytes(damaged)
        try:
            entry = store.find("clip")
            found = store.read(entry, [name(number) for number in (5, 0, 3)])
        except CacheError:
            refused += 1
        else:
            np.testing.assert_array_equal(found, rows([5, 0, 3]))
            assert canonical(entry.meta["key"]) == canonical(KEY)
            assert entry.meta["rows"] == 6
    assert refused > 100


def test_a_file_cut_short_is_an_error(store):
    write(store, range(6))
    path = store.find("clip").path
    content = path.read_bytes()
    for length in [0, 1, 7, 8, 100, *range(500, len(content), 700), len(content) - 1]:
        path.write_bytes(content[:length])
        with pytest.raises(CacheError, match=r"clip-.*damaged or cut short.*delete it and run"):
            store.find("clip")


def test_a_renamed_file_is_an_error(store):
    write(store, range(3))
    path = store.find("clip").path
    other = store.path("clip", UNTRAINED)
    path.rename(other)
    with pytest.raises(CacheError, match=rf"belongs in {path.name}: it was renamed"):
        store.find("clip")
    with pytest.raises(CacheError, match=r"features of another key .*delete it and extract again"):
        write(store, range(3), UNTRAINED)
    other.rename(store.folder / "sam-0000.h5")
    with pytest.raises(CacheError, match=rf"belongs in {path.name}"):
        store.entries()


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"schema": 0}, r"with schema 0, expected kind features with schema 2"),
        ({"kind": np.bytes_("artifact")}, r"found kind artifact with schema 2, expected kind feat"),
        ({"kind": "features "}, r"it is not from this version of roiridge; delete it"),
    ],
)
def test_files_of_other_versions_are_refused(store, attributes, message):
    write(store, range(3))
    with h5py.File(store.find("clip").path, "r+") as opened:
        opened.attrs.update(attributes)
    with pytest.raises(CacheError, match=message):
        store.entries()


def test_a_file_that_is_not_hdf5_is_an_error(store):
    store.folder.mkdir(parents=True)
    (store.folder / "clip-0.h5").write_text("not at all")
    with pytest.raises(CacheError, match=r"clip-0\.h5: damaged or cut short"):
        store.entries()
    (store.folder / "clip-0.h5").unlink()
    (store.folder / "clip-0.h5").mkdir()
    with pytest.raises(CacheError, match=r"clip-0\.h5: damaged or cut short"):
        store.entries()


def test_ls_lists_rows_columns_size_and_origin(tmp_path):
    def ls(folder):
        return subprocess.run(
            [sys.executable, "-m", "cache", "ls", "--out", str(folder)],
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip

    done = ls(tmp_path / "nowhere")
    assert done.returncode == 2
    assert "nowhere: no such folder; give --out" in done.stderr
    assert "no feature spaces in" in ls(tmp_path).stdout
    store = FeatureStore(tmp_path / "features")
    write(store, range(300), called="a/b")
    write(store, range(4), UNTRAINED, columns=1000)
    done = ls(tmp_path)
    assert done.returncode == 0
    header, first, second = (line.split() for line in done.stdout.splitlines())
    assert header == ["space", "rows", "columns", "MB", "digest", "origin", "of", "the", "weights"]
    assert first == ["a/b", "300", "5", "0.0", digest(KEY), "a", "test"]
    assert second == ["clip", "4", "1000", "0.0", digest(UNTRAINED), "UNTRAINED:", "a", "test"]
    path = store.find("clip").path
    path.write_bytes(path.read_bytes()[:-100])
    done = ls(tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith(f"BAD  {path}: damaged or cut short")
    assert done.stdout.splitlines()[2].split() == first


def test_damage_elsewhere_does_not_matter(store, capsys):
    """Only a file that may be the one that is looked for must be whole."""
    write(store, range(4))
    write(store, range(4), UNTRAINED, "sam")
    path = store.find("sam").path
    path.write_bytes(path.read_bytes()[:-100])
    assert store.find("clip").meta["rows"] == 4
    assert store.find(store.path("clip", KEY).stem[:9]).meta["rows"] == 4
    for word in ("sam", path.stem, path.stem[:9]):
        with pytest.raises(CacheError, match=rf"{path.name}: damaged or cut short"):
            store.find(word)
    with pytest.raises(CacheError, match=r"no features named 'vgg' in .*\(there: clip\)"):
        store.find("vgg")
    assert f"BAD  {path}: damaged" in capsys.readouterr().out
    assert [entry.name for entry in store.readable_entries()] == ["clip"]
    with pytest.raises(CacheError, match=r"damaged or cut short"):
        store.entries()

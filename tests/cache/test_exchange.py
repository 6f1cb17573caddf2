"""Numbers from elsewhere and back: the same rows, under a name of their own."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from cache import CacheError, FeatureStore
from cache.exchange.export_rows import export_rows
from cache.exchange.import_rows import open_source
from tests.builders.cache_verbs import caller
from tests.builders.feature_rows import KEY, name, rows, write
from tests.builders.outside_rows import NAMES, SUFFIXES, bring, save


@pytest.fixture
def store(tmp_path):
    return FeatureStore(tmp_path / "derivatives" / "features")


@pytest.fixture
def main(tmp_path, capsys):
    return caller(tmp_path / "derivatives", capsys)


def floats(dtype):
    width = np.dtype(dtype).itemsize * 8
    return (
        npst.from_dtype(np.dtype(dtype), allow_nan=False, allow_infinity=False) if width else None
    )


@settings(
    max_examples=12, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(data=st.data(), dtype=st.sampled_from(["float32", "float16", "uint8"]))
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_rows_go_out_and_come_back(tmp_path_factory, suffix, data, dtype):
    numbers = data.draw(
        npst.arrays(dtype, (6, data.draw(st.integers(1, 4))), elements=floats(dtype))
    )
    folder = tmp_path_factory.mktemp("exchange")
    store = FeatureStore(folder / "features")
    with store.writer("clip", KEY, {}) as writer:
        writer.add(list(NAMES), numbers)
    export_rows(store.find("clip"), folder / f"x{suffix}")
    path, added = bring(store, folder / f"x{suffix}")
    assert added == 6
    found = store.find("mine")
    assert found.path == path
    if suffix != ".csv":
        assert found.meta["dtype"] == dtype
    np.testing.assert_array_equal(store.read(found, NAMES), numbers.astype("f4"))
    # The same numbers have the same key, and are not stored twice.
    assert bring(store, folder / f"x{suffix}") == (path, 0)


def test_what_is_exported_loads_elsewhere(store, tmp_path):
    write(store, range(6))
    entry = store.find("clip")
    for suffix in SUFFIXES:
        export_rows(entry, tmp_path / f"x{suffix}")
    order = sorted(range(6), key=name)
    assert np.array_equal(np.load(tmp_path / "x.npy"), rows(order))
    assert (tmp_path / "x.txt").read_text().split() == sorted(NAMES)
    with np.load(tmp_path / "x.npz") as file:
        assert np.array_equal(file["features"], rows(order))
        assert file["pictures"].tolist() == sorted(NAMES)
    for table in (pd.read_csv(tmp_path / "x.csv"), pd.read_parquet(tmp_path / "x.parquet")):
        assert list(table) == ["picture", "f0", "f1", "f2", "f3", "f4"]
        assert table["picture"].tolist() == sorted(NAMES)
        assert np.array_equal(table.iloc[:, 1:].to_numpy("f4"), rows(order))
    for suffix in SUFFIXES:
        with pytest.raises(CacheError, match=rf"x{suffix}: is there already; remove it"):
            export_rows(entry, tmp_path / f"x{suffix}")
    with pytest.raises(CacheError, match=r"y\.mat: suffix '\.mat', expected one of \.npy"):
        export_rows(entry, tmp_path / "y.mat")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_blocks_are_joined(store, tmp_path, monkeypatch, suffix):
    monkeypatch.setattr("cache.exchange.row_source.BLOCK_BYTES", 64)
    monkeypatch.setattr("cache.exchange.table_files.BLOCK_BYTES", 320)
    monkeypatch.setattr("cache.feature_table.BLOCK_BYTES", 60)
    numbers = rows(range(40))
    names = [name(number) for number in range(40)]
    bring(store, save(tmp_path / f"x{suffix}", numbers, names))
    np.testing.assert_array_equal(store.read(store.find("mine"), names), numbers)
    export_rows(store.find("mine"), tmp_path / f"y{suffix}")
    again = open_source(tmp_path / f"y{suffix}")
    assert len(list(again.blocks())) > 2
    places = [again.names.index(one) for one in names]
    found = np.concatenate(list(again.blocks())).astype("f4")
    np.testing.assert_array_equal(found[places], numbers)


@pytest.mark.parametrize(
    ("numbers", "kept"),
    [
        (np.arange(12.0).reshape(6, 2), "float32"),
        (np.arange(12).reshape(6, 2), "float32"),
        (np.arange(12, dtype="u1").reshape(6, 2), "uint8"),
        (np.arange(12, dtype=">f4").reshape(6, 2), "float32"),
        (np.arange(6, dtype="f2"), "float16"),
        (np.arange(6) > 2, "float32"),
        (np.asfortranarray(np.arange(12.0).reshape(6, 2)), "float32"),
        (np.arange(24.0).reshape(6, 4)[:, ::2], "float32"),
    ],
)
@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_arrays_of_any_kind(store, tmp_path, suffix, numbers, kept):
    bring(store, save(tmp_path / f"x{suffix}", numbers))
    found = store.find("mine")
    assert found.meta["dtype"] == kept
    np.testing.assert_array_equal(store.read(found, NAMES), numbers.reshape(6, -1))


def test_the_key_is_of_the_numbers(store, tmp_path):
    numbers = np.arange(12, dtype="f4").reshape(6, 2)
    first, _ = bring(store, save(tmp_path / "a.npy", numbers))
    turned, added = bring(store, save(tmp_path / "b.csv", numbers[::-1], NAMES[::-1]))
    assert (first, 0) == (turned, added)
    assert bring(store, tmp_path / "a.npy", "other")[0] != first


def test_other_numbers_replace_those_of_their_name_only_when_told(main, store, tmp_path):
    path = save(tmp_path / "a.csv", rows(range(6)))
    first, _ = bring(store, path, "ratings")
    bring(store, path, "others")
    save(path, rows(range(6)) + 1)
    status, said = main("import", "ratings", path)
    assert status == 2
    assert f"error: {first}: other numbers have the name 'ratings' (imported from a.csv)" in said
    assert "give --replace to put these in their place, or another name" in said
    np.testing.assert_array_equal(store.read(store.find("ratings"), NAMES), rows(range(6)))
    # What is refused on the way leaves the old ones.
    save(tmp_path / "bad.csv", np.full((6, 1), np.nan))
    assert main("import", "ratings", tmp_path / "bad.csv", "--replace")[0] == 2
    assert first.exists()
    status, said = main("import", "ratings", path, "--replace")
    assert status == 0, said
    assert f"{first.stem}: replaced, and removed" in said
    assert not first.exists()
    np.testing.assert_array_equal(store.read(store.find("ratings"), NAMES), rows(range(6)) + 1)
    assert store.find("others").meta["rows"] == 6
    # The same numbers again are no others.
    assert "ratings: 0 rows of 5 columns imported" in main("import", "ratings", path)[1]


def test_a_replacement_that_was_killed_goes_on(store, tmp_path):
    path = save(tmp_path / "a.npy", rows(range(6)))
    bring(store, path, "ratings")
    # Killed when the new file was whole, and the old one not yet gone.
    write(store, range(6), {"schema": 1, "imported": {"digest": "old"}}, "ratings")
    with pytest.raises(CacheError, match="2 feature spaces are named 'ratings'"):
        store.find("ratings")
    assert bring(store, path, "ratings", replace=True)[1] == 0
    assert "old" not in store.find("ratings").meta["key"]["imported"]["digest"]


@pytest.mark.parametrize(
    "called",
    ["", " ", "bad/name", "a+b", "a b", "a,b", "timm:resnet18", "1st", "-a", "_a", "é", "a" * 101],
)
def test_a_name_is_a_word(store, tmp_path, called):
    path = save(tmp_path / "x.npy", rows(range(6)))
    message = r"cannot be the name of a feature space: expected a letter, then at most 99 letters"
    with pytest.raises(CacheError, match=message):
        bring(store, path, called)
    assert not store.folder.exists()


@pytest.mark.parametrize("replace", [False, True])
def test_the_name_of_computed_features_is_taken(store, tmp_path, replace):
    write(store, range(6))
    path = save(tmp_path / "x.npy", rows(range(6)))
    message = r"clip-\w+\.h5: computed features have the name 'clip' .*choose another"
    with pytest.raises(CacheError, match=message):
        bring(store, path, "clip", replace=replace)
    assert store.find("clip").meta["rows"] == 6


def test_names_of_columns_are_kept(main, store, tmp_path):
    path = save(tmp_path / "ratings.csv", rows(range(6), 2), columns=["valence", "arousal"])
    path.write_text("\ufeff" + path.read_text())  # as Excel does
    status, said = main("import", "ratings", path)
    assert status == 0, said
    assert "ratings: 6 rows of 2 columns imported -> " in said
    assert "columns 2: valence, arousal" in " ".join(main("show", "ratings")[1].split())
    assert "imported from ratings.csv" in main("ls")[1]
    assert main("verify")[0] == 0
    main("export", "ratings", tmp_path / "back.parquet")
    assert list(pd.read_parquet(tmp_path / "back.parquet")) == ["picture", "valence", "arousal"]

"""Files from elsewhere that are refused: named errors, and never a pickle."""

import os
import zipfile

import numpy as np
import pandas as pd
import pytest

from cache import CacheError, FeatureStore
from cache.exchange.import_rows import import_rows, open_source
from cache.exchange.row_source import Source
from tests.builders.cache_verbs import caller
from tests.builders.feature_rows import name, rows
from tests.builders.outside_rows import NAMES, SUFFIXES, bring, save

GOOD = np.arange(12, dtype="f4").reshape(6, 2)


@pytest.fixture
def store(tmp_path):
    return FeatureStore(tmp_path / "derivatives" / "features")


@pytest.fixture
def main(tmp_path, capsys):
    return caller(tmp_path / "derivatives", capsys)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e300])
def test_numbers_that_are_not_finite(store, tmp_path, suffix, bad):
    numbers = np.arange(12.0).reshape(6, 2)
    numbers[4, 1] = bad
    message = rf"x{suffix}: 1 values are missing.*for picture {NAMES[4]}, column .*1'?\)"
    with pytest.raises(CacheError, match=message):
        bring(store, save(tmp_path / f"x{suffix}", numbers))
    assert not store.folder.exists()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_names_that_stand_twice(store, tmp_path, suffix):
    names = [*NAMES[:4], NAMES[0], NAMES[0]]
    message = rf"x{suffix}: 1 pictures have more than one row \({NAMES[0]}\)"
    with pytest.raises(CacheError, match=message):
        bring(store, save(tmp_path / f"x{suffix}", GOOD, names))


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_more_or_fewer_names_than_rows(store, tmp_path, suffix):
    with pytest.raises(CacheError, match=rf"x{suffix}: 6 rows and 5 names of pictures, expected"):
        bring(store, save(tmp_path / f"x{suffix}", GOOD, NAMES[:5]))


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
@pytest.mark.parametrize("shape", [(6, 2, 1), (6, 0), (0, 2), ()])
def test_arrays_that_are_no_rows(store, tmp_path, suffix, shape):
    with pytest.raises(CacheError, match=rf"x{suffix}: (features of shape|cannot be read)"):
        bring(store, save(tmp_path / f"x{suffix}", np.zeros(shape)))


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
@pytest.mark.parametrize("dtype", ["complex64", "S3", "M8[D]", [("a", "f4")]])
def test_arrays_of_no_numbers(store, tmp_path, suffix, dtype):
    with pytest.raises(CacheError, match=rf"x{suffix}: features of type .*expected real numbers"):
        bring(store, save(tmp_path / f"x{suffix}", np.zeros((6, 2), dtype)))


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_no_pickle_is_loaded(store, tmp_path):
    bombs = np.array([Bomb(tmp_path / "exploded")] * 6, dtype=object)
    np.save(tmp_path / "x.npy", bombs)
    np.savez(tmp_path / "x.npz", features=bombs, pictures=np.array(NAMES))
    np.savez(tmp_path / "y.npz", features=GOOD, pictures=bombs)
    for file in ("x.npy", "x.npz", "y.npz"):
        with pytest.raises(CacheError, match=rf"{file}: cannot be read .*[Oo]bject"):
            bring(store, tmp_path / file)
    assert not (tmp_path / "exploded").exists()
    np.load(tmp_path / "x.npy", allow_pickle=True)
    assert (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"has no column 'picture' \(its columns: none\)"),
        ("image,a\nx,1\n", r"has no column 'picture' \(its columns: image, a\); expected one"),
        ("picture;a\nx;1,5\n", r"its first line is 'picture;a'; expected .* with commas"),
        ("picture,a,a\nx,1,2\n", r"several columns are named a; expected a name of its own"),
        ("picture,a\nx,1,2\n", r"2 columns are named and the first row has 3"),
        ("picture,a\nx,1\ny,1,2\n", r"cannot be read .*Expected 2 fields in line 3, saw 3"),
        ("picture,a\nx,1\ny,b\n", r"column 'a' holds 'b', expected numbers: remove the column"),
        ("picture,a,b\nx,1,2\ny,1\n", r"1 values are missing.*picture y, column 'b'"),
        ("picture,a\nx,\ny,2\n", r"1 values are missing.*picture x, column 'a'"),
        ("picture\nx\n", r"features of shape \(1, 0\)"),
        ("picture,a\n", r"features of shape \(0, 1\)"),
    ],
)
def test_tables_that_are_not_as_expected(store, tmp_path, text, message):
    path = tmp_path / "x.csv"
    path.write_text(text)
    with pytest.raises(CacheError, match=rf"x\.csv: {message}"):
        bring(store, path, names=[name(n) for n in range(2)])


def test_texts_in_other_encodings(store, tmp_path):
    (tmp_path / "x.csv").write_bytes("picture,a\nbär,1\n".encode("latin-1"))
    with pytest.raises(CacheError, match=r"x\.csv: cannot be read .*expected CSV in UTF-8"):
        bring(store, tmp_path / "x.csv")
    np.save(tmp_path / "x.npy", GOOD)
    (tmp_path / "x.txt").write_bytes("bär\n".encode("latin-1"))
    with pytest.raises(CacheError, match=r"x\.txt: cannot be read .*expected text in UTF-8"):
        bring(store, tmp_path / "x.npy")


def test_columns_of_parquet_that_are_no_numbers(store, tmp_path):
    table = pd.DataFrame({"picture": NAMES, "a": [1.0] * 6, "b": ["x"] * 6})
    table.to_parquet(tmp_path / "x.parquet")
    with pytest.raises(CacheError, match=r"x\.parquet: column 'b' holds .*string, expected numb"):
        bring(store, tmp_path / "x.parquet")
    table.drop(columns="picture").to_parquet(tmp_path / "x.parquet")
    with pytest.raises(CacheError, match=r"x\.parquet: has no column 'picture'"):
        bring(store, tmp_path / "x.parquet")
    table.assign(a=pd.array([1, 2, None, 4, 5, 6], "Int64")).drop(columns="b").to_parquet(
        tmp_path / "x.parquet"
    )
    with pytest.raises(CacheError, match=rf"1 values are missing.*picture {NAMES[2]}, column 'a'"):
        bring(store, tmp_path / "x.parquet")


def test_names_beside_an_array(store, tmp_path):
    np.save(tmp_path / "x.npy", GOOD)
    with pytest.raises(CacheError, match=r"x\.npy: neither x\.txt nor x\.csv is beside it; expec"):
        bring(store, tmp_path / "x.npy")
    pd.DataFrame({"n": range(6), "picture": NAMES}).to_csv(tmp_path / "x.csv", index=False)
    bring(store, tmp_path / "x.npy")
    np.testing.assert_array_equal(store.read(store.find("mine"), NAMES), GOOD)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_files_cut_short_or_damaged(store, tmp_path, suffix):
    whole = save(tmp_path / f"x{suffix}", rows(range(60)), [name(n) for n in range(60)])
    content = whole.read_bytes()
    generator = np.random.default_rng(0)
    right = open_source(whole).shape
    for length in generator.integers(0, len(content) - 1, 25):
        whole.write_bytes(content[:length])
        if suffix == ".csv":
            # A table may end with any line, and any number may end with any digit.
            continue
        with pytest.raises(CacheError, match=rf"x{suffix}: "):
            bring(store, whole)
    refused = []
    for position in generator.integers(0, len(content), 60 if suffix == ".npz" else 0):
        damaged = bytearray(content)
        damaged[position] ^= int(generator.integers(1, 256))
        whole.write_bytes(damaged)
        try:
            bring(store, whole, f"at.{position}")
        except CacheError as error:
            refused.append(str(error))
        else:
            found = store.find(f"at.{position}")
            assert (found.meta["rows"], found.meta["columns"]) == right
            np.testing.assert_array_equal(store.read(found, [name(7)]), rows([7]))
    assert all(f"x{suffix}: " in error for error in refused)


def test_an_archive_of_another_kind(store, tmp_path):
    np.savez(tmp_path / "x.npz", a=GOOD)
    with pytest.raises(CacheError, match=r"has no array pictures, features \(it has a\)"):
        bring(store, tmp_path / "x.npz")
    (tmp_path / "x.npz").rename(tmp_path / "x.npy")
    with pytest.raises(CacheError, match=r"x\.npy: is an archive of arrays"):
        bring(store, tmp_path / "x.npy")
    with zipfile.ZipFile(tmp_path / "y.npz", "w") as archive:
        archive.writestr("features.npy", b"no array")
        archive.writestr("pictures.npy", b"no array")
    with pytest.raises(CacheError, match=r"y\.npz: cannot be read"):
        bring(store, tmp_path / "y.npz")


@pytest.mark.parametrize(
    ("file", "message"),
    [("x.mat", r"x\.mat: suffix '\.mat', expected one of \.npy"), ("x.csv", "no such file")],
)
def test_files_that_are_not_there(main, tmp_path, file, message):
    status, said = main("import", "a", tmp_path / file)
    assert status == 2
    assert pd.Series([said]).str.contains(message).all()


def test_a_file_that_changes_while_it_is_read(store, tmp_path):
    path = save(tmp_path / "x.npy", GOOD)
    times = iter(range(9))

    def blocks():
        yield GOOD + (next(times) > 0)

    source = Source(path, NAMES, GOOD.shape, GOOD.dtype, blocks)
    with pytest.raises(CacheError, match=r"x\.npy: changed while it was read: import it again"):
        import_rows(store, "mine", source, NAMES)
    assert store.entries() == []
    # What was refused is not taken for the right rows later.
    assert bring(store, path)[1] == 6
    np.testing.assert_array_equal(store.read(store.find("mine"), NAMES), GOOD)


def test_an_import_that_was_killed_goes_on(store, tmp_path, monkeypatch):
    monkeypatch.setattr("cache.exchange.row_source.BLOCK_BYTES", 16)
    path = save(tmp_path / "x.npy", GOOD)
    source = open_source(path)
    times = iter([None, None, None, KeyboardInterrupt])

    def blocks():
        for number, block in enumerate(source.blocks()):
            if number == 2 and (error := next(times)) is not None:
                raise error
            yield block

    second = iter([source.blocks, blocks])
    broken = Source(path, NAMES, source.shape, source.dtype, lambda: next(second)())
    times = iter([KeyboardInterrupt])
    with pytest.raises(KeyboardInterrupt):
        import_rows(store, "mine", broken, NAMES)
    assert store.entries() == []
    assert bring(store, path)[1] == 2
    np.testing.assert_array_equal(store.read(store.find("mine"), NAMES), GOOD)

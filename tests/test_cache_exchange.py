"""Numbers from elsewhere and back: the same rows, named errors, and never a pickle."""

import os
import zipfile

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from test_cache_features import KEY, name, rows, write

from base.command import run
from cache import CacheError, FeatureStore
from cache.__main__ import EXAMPLES, VERBS
from cache.arguments import as_flags
from cache.exporting import export_rows
from cache.importing import import_rows, open_source
from cache.pictures import find_pictures, resolve_names
from cache.source import Source
from challenge import find_subjects

SUFFIXES = (".npy", ".npz", ".csv", ".parquet")
NAMES = tuple(name(number) for number in range(6))


@pytest.fixture
def store(tmp_path):
    return FeatureStore(tmp_path / "derivatives" / "features")


@pytest.fixture
def main(tmp_path, capsys):
    """Run a verb in this process; give its status and all that it said."""

    def called(*words):
        arguments = [*map(str, words), "--out", str(tmp_path / "derivatives")]
        status = run(VERBS, "cache", EXAMPLES, as_flags(arguments))
        said = capsys.readouterr()
        return status, said.out + said.err

    return called


def save(path, numbers, names=NAMES, columns=None):
    """Write numbers as others would, with NumPy and pandas."""
    numbers = np.asarray(numbers)
    if path.suffix == ".npy":
        np.save(path, numbers)
        path.with_suffix(".txt").write_text("\n".join(names) + "\n")
    elif path.suffix == ".npz":
        np.savez(path, features=numbers, pictures=np.array(names, dtype=str))
    else:
        table = pd.DataFrame(numbers, columns=columns)
        table.columns = table.columns.astype(str)
        table["picture"] = names
        if path.suffix == ".csv":
            table.to_csv(path, index=False)
        else:
            table.to_parquet(path)
    return path


def bring(store, path, called="mine", names=None):
    source = open_source(path)
    return import_rows(store, called, source, names or list(source.names))


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
    assert np.array_equal(np.load(tmp_path / "x.npy"), rows(range(6)))
    assert (tmp_path / "x.txt").read_text().split() == list(NAMES)
    with np.load(tmp_path / "x.npz") as file:
        assert np.array_equal(file["features"], rows(range(6)))
        assert file["pictures"].tolist() == list(NAMES)
    for table in (pd.read_csv(tmp_path / "x.csv"), pd.read_parquet(tmp_path / "x.parquet")):
        assert list(table) == ["picture", "f0", "f1", "f2", "f3", "f4"]
        assert table["picture"].tolist() == list(NAMES)
        assert np.array_equal(table.iloc[:, 1:].to_numpy("f4"), rows(range(6)))
    for suffix in SUFFIXES:
        with pytest.raises(CacheError, match=rf"x{suffix}: is there already; remove it"):
            export_rows(entry, tmp_path / f"x{suffix}")
    with pytest.raises(CacheError, match=r"y\.mat: suffix '\.mat', expected one of \.npy"):
        export_rows(entry, tmp_path / "y.mat")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_blocks_are_joined(store, tmp_path, monkeypatch, suffix):
    monkeypatch.setattr("cache.source.BLOCK_BYTES", 64)
    monkeypatch.setattr("cache.source_tables.BLOCK_BYTES", 320)
    monkeypatch.setattr("cache.table.BLOCK_BYTES", 60)
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
    numbers[3, 1] = 7.5
    assert bring(store, save(tmp_path / "a.npy", numbers))[0] != first
    with pytest.raises(CacheError, match=r"2 feature spaces are named 'mine'"):
        store.find("mine")


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
    path.write_text(path.read_text().replace("0.", "1.", 1))
    assert "2 spaces are named ratings: say which" in main("import", "ratings", path)[1]


# Names of pictures


def test_pictures_are_found_by_their_paths(main, store, simulated, tmp_path):
    first, second = find_subjects(simulated)
    pictures = [*first.pictures("train"), *second.pictures("test")]
    digests = [*first.picture_digests("train"), *second.picture_digests("test")]
    places = list({digest: place for place, digest in reversed(list(enumerate(digests)))}.values())
    files = [pictures[place].relative_to(simulated) for place in places]
    short = [f"{file.parts[0]}/{file.name}" for file in files]
    numbers = rows(range(len(short)), 3)
    status, said = main(
        "import", "a", save(tmp_path / "a.csv", numbers, short), "--data", simulated
    )
    assert status == 0, said
    wanted = [digests[place] for place in places]
    np.testing.assert_array_equal(store.read(store.find("a"), wanted), numbers)
    # digests, and paths as they are, mean the same
    mixed = [wanted[0], *map(str, files[1:])]
    _, said = main("import", "a", save(tmp_path / "b.npz", numbers, mixed), "--data", simulated)
    assert "a: 0 rows of 3 columns imported" in said
    # out by path, and in again
    main("export", "a", tmp_path / "c.csv", "--data", simulated)
    assert all((simulated / file).is_file() for file in pd.read_csv(tmp_path / "c.csv")["picture"])
    _, said = main("import", "a", tmp_path / "c.csv", "--data", simulated)
    assert "a: 0 rows of 3 columns imported" in said
    status, said = main("import", "a", tmp_path / "c.csv")
    assert status == 2
    assert f"c.csv: {len(files)} of {len(files)} picture names are not a sha256 (subj01/" in said
    assert said.count("subj0") == 5
    assert "give --data" in said


@pytest.fixture
def album(tmp_path):
    """Two subjects who saw other pictures of one name, and one in common."""
    folder = tmp_path / "album"
    for subject, content in (("subj01", b"one"), ("subj02", b"two")):
        (folder / subject / "images").mkdir(parents=True)
        (folder / subject / "images" / "1.png").write_bytes(content)
        (folder / subject / "images" / "2.png").write_bytes(b"the same")
        (folder / subject / "images" / ".2.png").write_bytes(b"hidden")
    (folder / "subj02" / "images" / "3.JPG").write_bytes(b"three")
    return folder


def test_names_that_fit_none_or_several(album, tmp_path):
    def found(*names):
        return resolve_names(names, album, tmp_path / "x.csv")

    one, two, same = found("subj01/1.png", "subj02/images/1.png", "2.png")
    assert len({one, two, same}) == 3
    assert found("images/2.png", "subj01/2.png", "./2.png", same.upper()) == [same] * 4
    message = (
        r"x\.csv: 1 names fit several pictures \(1\.png; the first is subj01/images/1\.png, "
        r"subj02/images/1\.png\): add folders"
    )
    with pytest.raises(CacheError, match=message):
        found("1.png", "2.png")
    message = (
        r"7 names are of no picture in .*album \(a0\.png, a1\.png, a2\.png, a3\.png, a4\.png, …\)"
    )
    with pytest.raises(CacheError, match=message):
        found("2.png", *(f"a{n}.png" for n in range(7)))
    for wrong in ("images/subj01/1.png", "subj03/2.png", "", "NA", ".2.png", "../album/2.png"):
        with pytest.raises(CacheError, match=r"1 names are of no picture"):
            found(wrong)


def test_links_are_followed_once(album, tmp_path):
    (album / "subj01" / "up").symlink_to(album)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "subj09").symlink_to(album / "subj02")
    assert len(find_pictures(album)) == 5
    assert [p.name for p in find_pictures(elsewhere)] == ["1.png", "2.png", "3.JPG"]
    (tmp_path / "empty").mkdir()
    for folder, message in (("empty", "holds no pictures"), ("nowhere", "no such folder")):
        with pytest.raises(CacheError, match=message):
            find_pictures(tmp_path / folder)


def test_one_picture_under_two_names(store, album, tmp_path, capsys):
    names = ["subj01/2.png", "subj02/2.png", "3.JPG"]
    numbers = np.array([[1.5], [1.5], [2]])
    digests = resolve_names(names, album, tmp_path / "x.csv")
    _, added = bring(store, save(tmp_path / "x.csv", numbers, names), "a", digests)
    assert added == 2
    assert "1 rows are of pictures that have another row with the same" in capsys.readouterr().out
    np.testing.assert_array_equal(store.read(store.find("a"), digests), numbers)
    numbers[1] = 1.25
    with pytest.raises(CacheError, match=r"1 rows are of pictures that have a row with other numb"):
        bring(store, save(tmp_path / "x.csv", numbers, names), "a", digests)


# What is refused

GOOD = np.arange(12, dtype="f4").reshape(6, 2)


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
        ("", r"has no column 'picture' \(its columns: \)"),
        ("image,a\nx,1\n", r"has no column 'picture' \(its columns: image, a\); expected one"),
        ("picture;a\nx;1\n", r"has no column 'picture' \(its columns: picture;a\)"),
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
            bring(store, whole, f"at {position}")
        except CacheError as error:
            refused.append(str(error))
        else:
            found = store.find(f"at {position}")
            assert (found.meta["rows"], found.meta["columns"]) == right
            np.testing.assert_array_equal(store.read(found, [name(7)]), rows([7]))
    assert all(f"x{suffix}: " in error for error in refused)


def test_an_archive_of_another_kind(store, tmp_path):
    np.savez(tmp_path / "x.npz", a=GOOD)
    with pytest.raises(CacheError, match=r"has no array pictures, features \(there: a\)"):
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
    monkeypatch.setattr("cache.source.BLOCK_BYTES", 16)
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

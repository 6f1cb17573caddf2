"""Names of pictures in files from elsewhere."""

import numpy as np
import pandas as pd
import pytest

from cache import CacheError, FeatureStore
from cache.picture_digests import find_pictures, resolve_names
from challenge import find_subjects
from tests.builders.cache_verbs import caller
from tests.builders.feature_rows import rows
from tests.builders.outside_rows import bring, save


@pytest.fixture
def store(tmp_path):
    return FeatureStore(tmp_path / "derivatives" / "features")


@pytest.fixture
def main(tmp_path, capsys):
    return caller(tmp_path / "derivatives", capsys)


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

"""Files that go to other programs and come from them: order, names, indices, and use elsewhere."""

import hashlib
import subprocess
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cache import CacheError, FeatureStore, InUseError, read_meta, write_artifact
from cache.exchange.import_rows import open_source
from cache.picture_digests import resolve_names
from tests.builders.cache_verbs import caller
from tests.builders.feature_rows import KEY, name, rows, write
from tests.builders.outside_rows import NAMES, SUFFIXES, bring


@pytest.fixture
def store(tmp_path):
    return FeatureStore(tmp_path / "derivatives" / "features")


@pytest.fixture
def main(tmp_path, capsys):
    return caller(tmp_path / "derivatives", capsys)


def make_pictures(folder, names):
    """Write files that count as pictures, each with other bytes; give their sha256."""
    digests = {}
    for number, one in enumerate(names):
        file = folder / one
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(f"picture {number}".encode())
        digests[one] = hashlib.sha256(file.read_bytes()).hexdigest()
    return digests


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_n4_two_spaces_are_exported_in_one_order(main, store, tmp_path, suffix, monkeypatch):
    monkeypatch.setattr("cache.exchange.export_rows.BLOCK_BYTES", 50)
    digests = make_pictures(tmp_path / "data", [f"b{n}.png" for n in range(8)] + ["a.png"])
    names = sorted(digests)
    number = {digests[one]: n for n, one in enumerate(names)}
    rng = np.random.default_rng(0)
    for space in ("one", "two"):
        order = [list(number)[n] for n in rng.permutation(len(number))]
        with store.writer(space, {**KEY, "of": space}, {}) as writer:
            writer.add(order, np.array([[number[d], 10.0] for d in order], np.float32))
    for data in ([], ["--data", tmp_path / "data"]):
        found = []
        for space in ("one", "two"):
            file = tmp_path / f"{space}{len(data)}{suffix}"
            status, said = main("export", space, file, *data)
            assert status == 0, said
            assert f"9 rows, sorted by the pictures' {'names' if data else 'sha256'}" in said
            source = open_source(file)
            values = np.concatenate(list(source.blocks()))[:, 0].tolist()
            found.append((source.names, values))
        assert found[0] == found[1]
        expected = names if data else sorted(number)
        assert list(found[0][0]) == expected
        assert found[0][1] == [number[digests.get(one, one)] for one in expected]


def tables():
    """Give tables as pandas writes them with an index, and what they are."""
    frame = pd.DataFrame(rows(range(6), 2).astype(float), columns=["a", "b"])
    frame.insert(0, "picture", NAMES)
    mixed = frame.sample(frac=1, random_state=0)
    return {
        "plain": mixed,
        "reset": mixed.reset_index(),
        "named": mixed.rename_axis("row"),
        "part of more": pd.concat([frame, frame])[6:].reset_index(),
    }


@pytest.mark.parametrize("kind", list(tables()))
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_e4_an_index_is_no_feature(store, tmp_path, capsys, suffix, kind):
    path = tmp_path / f"x{suffix}"
    table = tables()[kind]
    if suffix == ".csv" and kind == "named":
        table = table.rename_axis(None)  # CSV cannot tell that a column was an index
    getattr(table, f"to_{suffix[1:]}")(path)
    bring(store, path)
    found = store.find("mine")
    assert found.meta["column_names"] == ["a", "b"]
    np.testing.assert_array_equal(store.read(found, NAMES), rows(range(6), 2))
    # The default index of pandas is no column of a Parquet file, and two of a CSV.
    twice = suffix == ".csv" and kind in ("reset", "part of more")
    assert capsys.readouterr().out.count("left out") == 1 + twice


def test_e4_a_table_that_was_saved_twice(store, tmp_path, capsys):
    path = tmp_path / "x.csv"
    tables()["plain"].to_csv(path)
    pd.read_csv(path).to_csv(path)
    bring(store, path)
    assert store.find("mine").meta["column_names"] == ["a", "b"]
    assert "column 'Unnamed: 0' numbers the rows" in capsys.readouterr().out


def test_e4_a_column_without_a_name_is_named_in_the_error(store, tmp_path):
    path = tmp_path / "x.csv"
    path.write_text(f"picture,a,\n{NAMES[0]},1,0.5\n{NAMES[1]},2,0.5\n")
    with pytest.raises(CacheError, match=r"x\.csv: column '' has no name of its own"):
        bring(store, path)
    # What is called index, and does not number rows, is a feature.
    path.write_text(f"picture,index\n{NAMES[0]},0.5\n{NAMES[1]},0.5\n")
    bring(store, path)
    assert store.find("mine").meta["column_names"] == ["index"]


@pytest.mark.parametrize(
    "written",
    [
        "{data}/subj01/training_images/a.png",
        "/home/me/data/subj01/training_images/a.png",
        "subj01\\training_images\\a.png",
        "C:\\data\\subj01\\training_images\\a.png",
        "subj01/a.png",
    ],
)
def test_e14_names_as_other_machines_write_them(tmp_path, written):
    data = tmp_path / "data"
    digests = make_pictures(data, [f"subj0{n}/training_images/a.png" for n in (1, 2)])
    found = written.format(data=data)
    expected = digests["subj01/training_images/a.png"]
    assert resolve_names([found], data, Path("x.csv")) == [expected]
    # One of no picture here is refused, though its last folders are like those of one.
    with pytest.raises(CacheError, match=r"x\.csv: 1 names are of no picture"):
        resolve_names([found.replace("subj01", "subj03")], data, Path("x.csv"))


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_e14_letters_composed_or_taken_apart(tmp_path, form):
    other = {"NFC": "NFD", "NFD": "NFC"}[form]
    digests = make_pictures(tmp_path, [unicodedata.normalize(form, "Bär/Käfer.png")])
    found = resolve_names([unicodedata.normalize(other, "Bär/Käfer.png")], tmp_path, Path("x.csv"))
    assert found == list(digests.values())


def test_e14_spaces_of_one_name_and_origin_are_told_apart(store):
    for number in range(2):
        key = {**KEY, "weights": {"digest": f"{number}" * 32}, "size": 224 + number}
        with store.writer("clip", key, {"origin": "file my.pth"}) as writer:
            writer.add([name(0)], rows([0]))
    with pytest.raises(CacheError, match=r"2 feature spaces are named 'clip'") as error:
        store.find("clip")
    told = str(error.value).partition("say which: ")[2].split("; ")
    assert sorted(one.partition("file my.pth")[2] for one in told) == [
        ", size 224, weights.digest 00000000…)",
        ", size 225, weights.digest 11111111…)",
    ]


HOLDS = """
import sys, h5py
with h5py.File(sys.argv[1], sys.argv[2]) as opened:
    opened.attrs["seen"] = 1
    print("open", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("kind", ["artifact", "features"])
def test_e11_a_file_that_is_being_written_elsewhere_is_in_use(main, store, tmp_path, kind):
    if kind == "features":
        write(store, range(6))
        path = store.find("clip").path
    else:
        path = tmp_path / "x.h5"
        write_artifact(path, {"a": rows(range(6))}, {"kind": "fit"})

    def read():
        return store.find("clip") if kind == "features" else read_meta(path)

    command = [sys.executable, "-c", HOLDS, str(path), "r+"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"open\n"
        with pytest.raises(InUseError, match=r"\.h5: is in use: another program has it") as error:
            read()
        assert "damaged" not in str(error.value)
        assert "delete" not in str(error.value)
        if kind == "features":
            for verb in ("ls", "verify"):
                assert "is in use: another program has it open" in main(verb)[1]
        other.communicate(timeout=300)
    read()
    # Killed while it wrote: nobody holds it, and nobody closed it.
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        other.kill()
        other.wait()
    with pytest.raises(InUseError, match=r"\.h5: is in use on another machine, or the program"):
        read()

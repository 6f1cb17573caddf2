"""The verbs that look: show, verify, explain; and prune, which must never take what is in use."""

import json
import os
import re
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_cache_features import KEY, UNTRAINED, name, row, rows, write
from xxhash import xxh3_64_intdigest

from base.command import run
from cache import CacheError, FeatureStore, canonical, write_artifact
from cache.__main__ import EXAMPLES, VERBS
from cache.arguments import as_flags
from cache.explain import differences, explain
from cache.verify import verify_space

ROOT = Path(__file__).resolve().parent.parent
OTHER = {"schema": 1, "weights": {"digest": "cc"}, "layers": ["x"]}


@pytest.fixture
def out(tmp_path):
    return tmp_path / "derivatives"


@pytest.fixture
def store(out):
    return FeatureStore(out / "features")


@pytest.fixture
def main(out, capsys):
    """Run a verb in this process; give its status and all that it said."""

    def called(*words, at=out):
        arguments = [*map(str, words), "--out", str(at)]
        status = run(VERBS, "cache", EXAMPLES, as_flags(arguments))
        said = capsys.readouterr()
        return status, said.out + said.err

    return called


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
        (["prune", "--delete=false"], ["prune", "--delete=false"]),
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
    monkeypatch.setattr("cache.table.BLOCK_BYTES", 1 << 20)
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


# explain

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-2, 2) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("xy", max_size=2), inner),
    max_leaves=8,
)
KEYS = st.dictionaries(st.sampled_from(["layers", "model", "weights", "size"]), JSON, min_size=1)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(here=KEYS, there=KEYS)
def test_keys_differ_exactly_where_a_field_does(here, there):
    found = differences(here, there)
    assert (not found) == (canonical(here) == canonical(there))
    assert set(found) == set(differences(there, here))
    assert not differences(here, json.loads(canonical(here)))


def test_differences_go_by_dotted_path():
    here = {
        "weights": {"digest": "a" * 32},
        "preprocessing": {"size": 224, "mean": (0.5, 0.5)},
        "layers": [{"layer": "a", "pooling": "cls"}, {"layer": "b", "pooling": "cls"}],
    }
    there = {
        "weights": {"digest": "b" * 32, "untrained": "random:0"},
        "preprocessing": {"size": 336, "mean": [0.5, 0.5]},
        "layers": [{"layer": "a", "pooling": "mean"}],
        "autocast": "bfloat16",
    }
    assert set(differences(here, there)) == {
        "autocast", "layers[0].pooling", "layers[1]", "preprocessing.size", "weights.digest",
        "weights.untrained",
    }  # fmt: skip
    assert differences({"a": 1}, {"a": 1.0}) == {"a": (1, 1.0)}


def test_a_miss_is_explained(store):
    assert explain(KEY, []) == ["no other feature space is kept: there is nothing to compare with"]
    write(store, range(3))
    write(store, range(3), UNTRAINED)
    far = {"schema": 1, "family": "timm", "weights": {"digest": "cc"}, "layers": ["y"]}
    write(store, range(3), far, "sam")
    entries = store.entries()
    clip, random = (store.path("clip", key).stem for key in (KEY, UNTRAINED))
    assert explain(KEY, entries) == [f"{clip}: has this very key, so it is no miss"]
    # the nearest of any name
    assert explain({**KEY, "dtype": "float16"}, entries) == [
        f"{clip}: the nearest; 1 field of the key differs",
        "  dtype: float16 here, absent there (kept in another type of number)",
    ]
    # all of one name, though another is nearer
    (first, other, _, _) = explain({**far, "layers": ["x"]}, entries, "clip")[:4]
    assert first == f"{clip}: 2 fields of the key differ"
    assert other == "  family: timm here, absent there (another family of networks)"
    found = explain(OTHER, entries, "clip")
    assert f"{random}: 3 fields of the key differ" in found
    assert (
        "  weights.untrained: absent here, random:0 there (weights of one side are random)" in found
    )
    assert "  weights.digest: cc here, bb there (other weights)" in found


def test_digests_are_shortened_as_long_as_they_differ(store):
    same = "0123456789abcdef" * 2
    write(store, range(3), {"weights": {"digest": same}})
    found = explain({"weights": {"digest": same[:-1] + "0"}}, store.entries())[1]
    assert found == f"  weights.digest: {same[:-1]}0 here, {same} there (other weights)"
    found = explain({"weights": {"digest": "f" * 32}}, store.entries())[1]
    assert found == "  weights.digest: ffffffff… here, 01234567… there (other weights)"


def test_explain_takes_names_and_files(main, store, tmp_path):
    write(store, range(3))
    write(store, range(3), UNTRAINED)
    write(store, range(3), OTHER, "sam")
    latest = store.path("clip", UNTRAINED)
    os.utime(latest, (2e9, 2e9))
    status, said = main("explain", "clip", "sam")
    assert status == 0
    assert f"{latest.stem} (here) beside" in said
    assert f"{store.path('sam', OTHER).stem} (here) beside" in said
    assert "the nearest; 1 field" in said
    _, shown = main("show", "sam", "--json")
    key, bare, bad = (tmp_path / f"{n}.json" for n in ("meta", "bare", "bad"))
    key.write_text(shown)
    bare.write_text(json.dumps(OTHER))
    elsewhere = tmp_path / "elsewhere"
    write(FeatureStore(elsewhere / "features"), range(3))
    for file in (key, bare, store.path("sam", OTHER)):
        status, said = main("explain", file, at=elsewhere)
        assert status == 0
        assert f"{file} (here) beside" in said
        assert "weights.digest: cc here, aa there (other weights)" in said
    for text, message in [("{", "is not JSON"), ("[]", "holds no key"), ('{"key": 3}', "holds no")]:
        bad.write_text(text)
        status, said = main("explain", bad)
        assert (status, message in said) == (2, True)
    assert main("explain", "clop")[0] == 2


# prune


def fit(out, keys, folder="ridge-0", file="lh.V1.h5"):
    write_artifact(
        out / "fits" / folder / "subj01" / file, {"a": row(1)}, {"kind": "fit", "keys": keys}
    )


def test_nothing_goes_without_a_fit(main, store, out):
    write(store, range(3))
    status, said = main("prune", "--delete")
    assert status == 0
    assert "no fits, so all 1 feature spaces stay" in said
    assert store.find("clip").meta["rows"] == 3


def files(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_no_fit_uses_goes_and_only_when_told(main, store, out):
    write(store, range(3))
    write(store, range(300), OTHER, "sam")
    write(store, range(9), {"schema": 1, "imported": {"name": "mine", "digest": "0"}}, "mine")
    clip, sam = store.find("clip"), store.find("sam")
    fit(out, {"clip": clip.digest})
    moments, ablations = out / "moments" / "subj01", out / "ablations" / "subj01"
    for number, spaces in enumerate([[clip.digest] * 2, [f"{clip.digest}:1", sam.digest]]):
        meta = {"kind": "moments", "key": {"spaces": spaces}}
        write_artifact(moments / f"xx-{number}.h5", {"a": row(1)}, meta)
    for number, space in enumerate([f"{clip.digest}:0", f"{sam.digest}:0", "0123"]):
        meta = {"kind": "moments", "key": {"space": space}}
        write_artifact(moments / f"lh-{number}.h5", {"a": row(1)}, meta)
    kept = [[clip.digest], [f"{clip.digest}:1"], [clip.digest, "0123"]]
    for number, spaces in enumerate(kept):
        write_artifact(ablations / f"lh-{number}.h5", {"a": row(1)}, {"key": {"spaces": spaces}})
    search = out / "searches" / "ridge-1" / "subj01.lh.0-0-9.h5"
    write_artifact(search, {"a": row(1)}, {"kind": "search", "belongs": "x"})
    before = files(out)
    status, said = main("prune")
    assert status == 0
    assert f"features/{sam.path.name}: features that no fit and no ablation uses" in said
    mine = store.find("mine").path
    note = f"{mine.stem}: imported, so roiridge cannot make it again; it stays"
    assert note in said
    assert "moments/subj01: 3 x moments of features that are gone or go" in said
    assert "ablations/subj01: 1 x ablations of" in said
    assert "1 interrupted searches stay" in said
    assert "nothing was removed" in said
    assert files(out) == before
    status, said = main("prune", "--delete")
    assert status == 0
    left = {path.name for path in files(out)}
    assert left == {
        clip.path.name, mine.name, "lh.V1.h5", "xx-0.h5", "lh-0.h5", "lh-1.h5", search.name,
    }  # fmt: skip
    np.testing.assert_array_equal(store.read(clip, [name(2)]), rows([2]))
    assert main("prune")[1].startswith(note)


def spoil(path):
    path.write_bytes(path.read_bytes()[:-50])


@pytest.mark.parametrize(
    ("damaging", "message"),
    [
        (spoil, "damaged or cut short"),
        (lambda path: write_artifact(path, {}, {"kind": "moments"}), "is not a fit"),
        (lambda path: write_artifact(path, {}, {"kind": "fit"}), "does not say what features"),
    ],
)
def test_a_fit_that_cannot_be_read_keeps_everything(main, store, out, damaging, message):
    write(store, range(3))
    write(store, range(3), OTHER, "sam")
    fit(out, {"clip": store.find("clip").digest})
    fit(out, {"sam": store.find("sam").digest}, "ridge-1")
    path = out / "fits" / "ridge-1" / "subj01" / "lh.V1.h5"
    damaging(path)
    before = files(out)
    status, said = main("prune", "--delete")
    assert status == 2
    assert said.startswith(f"error: {path}: ")
    assert message in said
    assert "Nothing was removed" in said
    assert files(out) == before


def test_what_is_being_written_stays(main, store, out):
    write(store, range(3))
    write(store, range(3), OTHER, "sam")
    fit(out, {"clip": store.find("clip").digest})
    code = (
        "import sys; from pathlib import Path; from cache import FeatureStore\n"
        f"with FeatureStore(Path({str(store.folder)!r})).writer('sam', {OTHER!r}, {{}}):\n"
        "    print('in', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout.readline() == "in\n"
    path = store.path("sam", OTHER)
    temporary = store.folder / f".{path.stem}-0123abcd.h5"
    temporary.write_bytes(b"half")
    try:
        status, said = main("prune", "--delete")
        assert status == 0
        assert f"{path.stem}: is being written; it stays" in said
        assert {path, temporary, path.with_suffix(".lock")} <= set(files(out))
        assert path.with_suffix(".shards").is_dir()
    finally:
        process.communicate("")
    temporary.write_bytes(b"half")
    main("prune", "--delete")
    assert not {path, temporary, path.with_suffix(".lock")} & set(files(out))


def interrupted(store, called, key):
    def fill():
        with store.writer(called, key, {}) as writer:
            writer.add([name(n) for n in range(3)], rows(range(3)))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fill()
    return store.path(called, key).with_suffix(".shards")


def test_leftovers_of_killed_processes(main, store, out):
    write(store, range(3))
    used = interrupted(store, "clip", KEY)
    unused = interrupted(store, "sam", OTHER)
    empty = store.folder / "vgg-0123456789abcdef.shards"
    empty.mkdir()
    old, young = (out / "fits" / "x-0" / "subj01" / f".lh.V{n}-0123abcd.h5" for n in (1, 2))
    staging = store.folder / ".unpack-0123abcd"
    user = out / ".notes-of-mine.txt"
    for path in (old, young, staging / "a.h5", user):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half")
    hour = time.time() - 4000
    for path in (old, user, staging / "a.h5", staging):
        os.utime(path, (hour, hour))
    _, said = main("prune", "--delete")
    assert f"{used}: rows of an interrupted extraction; run it again" in said
    assert f"{unused}: rows of an interrupted extraction; run it again" in said
    assert unused.is_dir()  # without a fit
    assert not empty.exists()
    assert not old.exists()
    assert not staging.exists()
    assert young.exists()
    assert user.exists()
    fit(out, {"clip": store.find("clip").digest})
    _, said = main("prune", "--delete")
    assert "rows of an interrupted extraction, used by no fit" in said
    assert used.is_dir()
    assert not unused.exists()
    assert write(store, range(3)) == 0
    assert not used.exists()


def test_a_damaged_space_is_said(main, store, out):
    write(store, range(3))
    fit(out, {"clip": "0"})
    spoil(store.find("clip").path)
    status, said = main("prune", "--delete")
    assert status == 2
    assert "damaged or cut short" in said
    with pytest.raises(CacheError):
        store.entries()


def test_prune_knows_what_the_second_stage_writes(main, store, out, simulated):
    from challenge import find_subjects
    from regress.__main__ import regress
    from regress.ablate import ablate

    (subject,) = find_subjects(simulated, "1")
    digests = list({*subject.picture_digests("train"), *subject.picture_digests("test")})
    apart = {"bands": [{"name": "a", "columns": 2}, {"name": "b", "columns": 3}]}
    for called, key, about in (("clip", KEY, apart), ("sam", OTHER, {}), ("vgg", UNTRAINED, {})):
        with store.writer(called, key, about) as writer:
            writer.add(digests, rows(range(len(digests))))
    regress(simulated, out, "1", "ridge", ["clip"])
    ablate(simulated, out, "1", ["clip", "sam"])
    before = files(out)
    kinds = {path.relative_to(out).parts[0] for path in before}
    assert {"fits", "moments", "ablations"} <= kinds
    assert main("verify")[0] == 0
    main("prune", "--delete")
    left = files(out)
    # What an ablation was made of is in use, as a fit's is.
    assert [entry.name for entry in store.entries()] == ["clip", "sam"]
    kept = {p for p in before if not {"features"} & set(p.parts)}
    assert kept <= set(left)
    # The space itself gone, its sums and scores go too; of three bands those of clip are left.
    store.find("sam").path.unlink()
    main("prune", "--delete")
    left = files(out)
    assert sum("ablations" in path.parts for path in left) == 2 * 3
    assert sum(path.name.startswith("xx-") for path in left) == 3
    assert sum(path.name.startswith("xx-") for path in before) == 6
    main("prune", "--delete")
    assert files(out) == left

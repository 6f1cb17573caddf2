"""prune must never take what is in use."""

import os
import subprocess
import sys
import time

import numpy as np
import pytest

from cache import CacheError, FeatureStore, write_artifact
from tests.builders.cache_verbs import OTHER, caller
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
    for number, spaces in enumerate([[clip.digest] * 2, [clip.digest, sam.digest]]):
        meta = {"kind": "moments", "key": {"spaces": spaces}}
        write_artifact(moments / f"xx-{number}.h5", {"a": row(1)}, meta)
    for number, space in enumerate([clip.digest, sam.digest, "0123"]):
        meta = {"kind": "moments", "key": {"space": space}}
        write_artifact(moments / f"lh-{number}.h5", {"a": row(1)}, meta)
    kept = [[clip.digest], [clip.digest] * 2, [clip.digest, "0123"]]
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
    from regress.commands.ablate import ablate
    from regress.commands.fit import fit as regress

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
    # The space itself gone, its sums and scores go too; those of clip are left.
    store.find("sam").path.unlink()
    main("prune", "--delete")
    left = files(out)
    assert sum("ablations" in path.parts for path in left) == 2
    assert sum(path.name.startswith("xx-") for path in left) == 1
    assert sum(path.name.startswith("xx-") for path in before) == 3
    main("prune", "--delete")
    assert files(out) == left

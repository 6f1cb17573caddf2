"""One file to share: what comes out is what went in, or nothing comes out."""

import json
import shutil
import signal
import subprocess
import sys
import time
import tracemalloc
import zipfile

import numpy as np
import pytest

from base.command_line.parser import run
from cache import CacheError, FeatureStore
from cache.__main__ import EXAMPLES, VERBS
from cache.commands.arguments import as_flags
from cache.exchange.pack import pack, unpack
from tests.builders.commands import call
from tests.builders.feature_rows import KEY, UNTRAINED, name, rows, write
from tests.builders.paths import ROOT


@pytest.fixture
def store(tmp_path):
    store = FeatureStore(tmp_path / "ours" / "features")
    write(store, range(300))
    write(store, range(40), UNTRAINED, "s/a m")
    return store


@pytest.fixture
def theirs(tmp_path):
    return FeatureStore(tmp_path / "theirs" / "features")


@pytest.fixture
def packed(store, tmp_path):
    pack(store.entries(), tmp_path / "f.zip")
    return tmp_path / "f.zip"


def contents(store):
    return {p.name: p.read_bytes() for p in store.folder.iterdir() if p.suffix == ".h5"}


def nothing_came(theirs):
    return not theirs.folder.exists() or not list(theirs.folder.iterdir())


def test_a_colleague_gets_the_same(store, tmp_path):
    def called(*words):
        done = call("cache", *words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    file, out = tmp_path / "f.zip", tmp_path / "theirs"
    said = called("pack", "clip", "s/a m", file, "--out", tmp_path / "ours")
    assert f"2 spaces, {file.stat().st_size / 1e6:.1f} MB -> {file}" in said
    assert called("unpack", file, "--out", out).count("unpacked -> ") == 2
    assert called("verify", "--out", out).count("ok   ") == 2
    theirs = FeatureStore(out / "features")
    assert contents(theirs) == contents(store)
    np.testing.assert_array_equal(theirs.read(theirs.find("clip"), [name(7)]), rows([7]))
    assert theirs.find("s/a m").untrained
    # by the back door
    with zipfile.ZipFile(file) as archive:
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
        manifest = json.loads(archive.read("manifest.json"))
    assert manifest["schema"] == 1
    assert {space["name"]: space["rows"] for space in manifest["spaces"]} == {
        "clip": 300,
        "s/a m": 40,
    }


def test_the_same_spaces_give_the_same_file(store, packed, tmp_path):
    pack([*store.entries(), store.find("clip")], tmp_path / "g.zip")
    assert (tmp_path / "g.zip").read_bytes() == packed.read_bytes()


def _written(store):
    """Give the file of each space, and when it was written; when it was read does not matter."""
    files = [(path, path.stat()) for path in store.folder.glob("*.h5")]
    return {path: (about.st_ino, about.st_mtime_ns) for path, about in files}


def test_what_is_there_already_is_left(packed, theirs):
    assert set(unpack(packed, theirs).values()) == {True}
    before = _written(theirs)
    assert set(unpack(packed, theirs).values()) == {False}
    assert _written(theirs) == before
    assert not list(theirs.folder.glob(".*"))


def test_other_rows_under_the_same_name_are_kept(packed, theirs):
    write(theirs, range(5), UNTRAINED, "s/a m")
    before = contents(theirs)
    with pytest.raises(CacheError, match=r"s_a_m-.*: is there already, and .*f\.zip holds another"):
        unpack(packed, theirs)
    assert contents(theirs) == before
    assert not list(theirs.folder.glob(".*"))


def test_what_cannot_be_packed(store, tmp_path, capsys):
    def called(*words):
        status = run(VERBS, "cache", EXAMPLES, as_flags([*words, "--out", str(tmp_path / "ours")]))
        return status, capsys.readouterr().err

    file = str(tmp_path / "g.zip")
    status, said = called("pack", file)
    assert status == 2
    assert "g.zip: no feature space named; for example `pack clip alexnet" in said
    status, said = called("pack", "clip", "sam")
    assert (status, "sam: expected a file to make, such as sam.zip" in said) == (2, True)
    status, said = called("pack", "clop", file)
    assert (status, "no features named 'clop'" in said) == (2, True)
    (tmp_path / "g.zip").write_text("mine")
    status, said = called("pack", "clip", file)
    assert (status, "g.zip: is there already; remove it" in said) == (2, True)
    assert (tmp_path / "g.zip").read_text() == "mine"
    (tmp_path / "g.zip").unlink()
    path = store.find("clip").path
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    status, said = called("pack", "clip", file)
    assert (status, "Nothing was packed" in said or "damaged" in said) == (2, True)
    assert not (tmp_path / "g.zip").exists()


def test_a_file_that_is_no_pack(theirs, tmp_path):
    for content, message in [
        (None, "no such file"),
        (b"", "is not a packed"),
        (b"PK", "is not a packed"),
    ]:
        if content is not None:
            (tmp_path / "g.zip").write_bytes(content)
        with pytest.raises(CacheError, match=rf"g\.zip: .*{message}"):
            unpack(tmp_path / "g.zip", theirs)
    assert nothing_came(theirs)


def test_a_flipped_byte_or_a_cut_lets_nothing_wrong_in(store, packed, theirs):
    content, right = packed.read_bytes(), contents(store)
    generator = np.random.default_rng(0)
    refused: list[str] = []
    # Everywhere, and more often in the last bytes, where the directory and the manifest are.
    places = [
        *generator.integers(0, len(content), 60),
        *(len(content) - generator.integers(1, 900, 60)),
    ]
    for place in places:
        damaged = bytearray(content)
        damaged[place] ^= int(generator.integers(1, 256))
        packed.write_bytes(damaged)
        try:
            unpack(packed, theirs)
        except CacheError as error:
            refused.append(str(error))
        else:
            assert contents(theirs) == right
            shutil.rmtree(theirs.folder)
        assert nothing_came(theirs)
    assert len(refused) > 80
    assert all("f.zip" in error for error in refused)
    for length in generator.integers(0, len(content), 20):
        packed.write_bytes(content[:length])
        with pytest.raises(CacheError, match=r"f\.zip: "):
            unpack(packed, theirs)
        assert nothing_came(theirs)


def repack(packed, change, compression=zipfile.ZIP_STORED):
    """Write the archive anew, with other members and another manifest."""
    with zipfile.ZipFile(packed) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    manifest = json.loads(members.pop("manifest.json"))
    members, manifest = change(members, manifest)
    with zipfile.ZipFile(packed, "w", compression) as archive:
        for called, content in members.items():
            archive.writestr(called, content)
        if manifest is not None:
            archive.writestr("manifest.json", json.dumps(manifest))


def of_first(**changes):
    def change(members, manifest):
        first = manifest["spaces"][0]
        if "file" in changes:
            members[changes["file"]] = members.pop(first["file"])
        manifest["spaces"][0] = {**first, **changes}
        return members, manifest

    return change


def swapped(members, manifest):
    one, two = manifest["spaces"]
    one["file"], two["file"] = two["file"], one["file"]
    members[one["file"]], members[two["file"]] = members[two["file"]], members[one["file"]]
    return members, manifest


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (of_first(file="../clip-0123456789abcdef.h5"), r"names a file '\.\./clip.*do not trust"),
        (of_first(file="/tmp/clip-0123456789abcdef.h5"), r"names a file '/tmp/.*do not trust"),
        (of_first(file=".clip.h5"), r"names a file '\.clip\.h5'"),
        (of_first(file="clip.txt"), r"names a file 'clip\.txt'"),
        (of_first(file="clip-0123456789abcdef.h5"), r"belongs in clip-.*Nothing was unpacked"),
        (swapped, r"belongs in .*Nothing was unpacked"),
        (of_first(sha256="0" * 64), r"has sha256 [0-9a-f]{16}…, expected 0000000000000000…"),
        (of_first(bytes=7), r"has \d+ bytes, expected 7 without compression"),
        (of_first(bytes="many"), r"its manifest\.json lacks bytes, file, sha256"),
        (
            lambda m, manifest: (m, {**manifest, "schema": 2}),
            r"schema 2, expected .* schema 1;.*use",
        ),
        (lambda m, manifest: (m, {**manifest, "kind": "x"}), r"holds x with schema 1, expected"),
        (lambda m, manifest: (m, None), r"has no manifest\.json"),
        (lambda m, manifest: (m, [manifest]), r"holds list, expected names and values"),
        (lambda m, manifest: (m, {**manifest, "spaces": [3]}), r"lacks bytes, file, sha256"),
        (lambda m, manifest: ({}, manifest), r"holds other files than its .*\(clip-"),
        (lambda m, manifest: ({**m, "x": b""}, manifest), r"holds other files than its .*\(x\)"),
        (lambda m, manifest: ({**m, "../x": b""}, manifest), r"holds other files .*\(\.\./x\)"),
    ],
)
def test_a_pack_that_was_tampered_with(packed, theirs, change, message):
    repack(packed, change)
    with pytest.raises(CacheError, match=rf"f\.zip: .*{message}"):
        unpack(packed, theirs)
    assert nothing_came(theirs)
    assert not list(theirs.folder.parent.parent.rglob("clip-0123456789abcdef.h5"))


def test_a_compressed_member_is_refused(packed, theirs):
    repack(packed, lambda members, manifest: (members, manifest), zipfile.ZIP_DEFLATED)
    with pytest.raises(CacheError, match=r"without compression; nothing was unpacked"):
        unpack(packed, theirs)
    assert nothing_came(theirs)


def test_memory_is_flat(tmp_path, theirs, monkeypatch):
    monkeypatch.setattr("cache.feature_table.BLOCK_BYTES", 1 << 20)
    store = FeatureStore(tmp_path / "large")
    with store.writer("clip", KEY, {}) as writer:
        for start in range(0, 4096, 256):
            numbers = np.random.default_rng(start).standard_normal((256, 2048), "f4")
            writer.add([name(n) for n in range(start, start + 256)], numbers)
    tracemalloc.start()
    try:
        pack(store.entries(), tmp_path / "g.zip")
        unpack(tmp_path / "g.zip", theirs)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (tmp_path / "g.zip").stat().st_size > 32e6
    assert peak < 10e6


def test_kills_leave_nothing_half(packed, store, theirs):
    right, out = contents(store), theirs.folder.parent
    command = [sys.executable, "-m", "cache", "unpack", str(packed), "--out", str(out)]
    for delay in np.random.default_rng(0).uniform(0.3, 0.8, 3):
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
        there = contents(theirs) if theirs.folder.exists() else {}
        assert there.items() <= right.items()
    unpack(packed, theirs)
    assert contents(theirs) == right

"""Writing that is killed, interrupted, doubled or out of space: nothing is lost, nothing wrong."""

import os
import signal
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest

from cache import CacheError, FeatureStore
from tests.builders.feature_rows import KEY, name, row, rows, write
from tests.builders.paths import ROOT

COUNT = 900

# A real process that writes COUNT rows, ten at a time, and says how many were there.
WRITER = """
import sys, time
from pathlib import Path
from tests.builders.feature_rows import KEY, name, rows
from base.command_line.parser import run
from cache import FeatureStore

def fill(out: Path = Path("out"), count: int = 900, pause: float = 0.0, columns: int = 5) -> None:
    '''Fill.

    Parameters
    ----------
    out : Path
        Where.
    count : int
        Rows.
    pause : float
        Seconds.
    columns : int
        Columns.
    '''
    with FeatureStore(out / "features").writer("clip", KEY, dict(origin="a test")) as writer:
        there = writer.stored_digests()
        print("there", len(there), flush=True)
        for start in range(0, count, 10):
            new = [n for n in range(start, start + 10) if name(n) not in there]
            if new:
                writer.add([name(n) for n in new], rows(new, columns))
                time.sleep(pause)
    print("done", flush=True)

sys.exit(run(fill, "fill", ["fill"]))
"""


@pytest.fixture(scope="module")
def filling(tmp_path_factory):
    path = tmp_path_factory.mktemp("writer") / "fill.py"
    path.write_text(WRITER)

    def start(out, *arguments):
        return subprocess.Popen(
            [sys.executable, str(path), "--out", str(out), *map(str, arguments)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    return start


def finish(process):
    said, errors = process.communicate(timeout=300)
    return process.returncode, said, errors


def check(out, count=COUNT, columns=5):
    """All rows are there, once and right; nothing else is left but the lock."""
    store = FeatureStore(out / "features")
    entry = store.find("clip")
    assert entry.meta["rows"] == count
    found = store.read(entry, [name(number) for number in range(count)])
    np.testing.assert_array_equal(found, rows(range(count), columns))
    left = {path.suffix for path in store.folder.rglob("*")}
    assert left == {".h5", ".lock"}


def test_kills_lose_nothing(tmp_path, filling):
    generator, n_kills, n_rows, patience = np.random.default_rng(0), 0, 0, 1.0
    while n_kills < 6 or n_rows < 250:
        process = filling(tmp_path, "--pause", 0.003)
        n_before, n_rows = n_rows, int(process.stdout.readline().split()[1])
        # A busy machine writes less in the same time.
        patience *= 1 if n_rows > n_before else 1.5
        time.sleep(generator.uniform(0.02, 0.25) * patience)
        process.send_signal(signal.SIGKILL)
        finish(process)
        n_kills += 1
    status, said, errors = finish(filling(tmp_path))
    assert status == 0, errors
    assert int(said.split()[1]) >= 250, said  # resumed, and not from the start
    check(tmp_path)
    # killed at the merge, shards and the file hold the same rows
    assert finish(filling(tmp_path))[1].split() == ["there", str(COUNT), "done"]


def test_shards_that_outlived_their_merge_are_not_doubled(tmp_path, filling):
    process = filling(tmp_path, "--pause", 0.003)
    folder = tmp_path / "features"
    while process.poll() is None and not list(folder.glob("*.shards/shard-*.h5")):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    finish(process)
    (shard,) = folder.glob("*.shards/shard-*.h5")
    content = shard.read_bytes()
    assert finish(filling(tmp_path))[0] == 0
    shard.parent.mkdir()
    shard.write_bytes(content)
    (folder / f".{shard.parent.stem}-0123abcd.h5").write_bytes(b"left by a kill")
    assert finish(filling(tmp_path))[0] == 0
    check(tmp_path)


def test_ctrl_c_keeps_what_was_computed(tmp_path, filling):
    process = filling(tmp_path, "--pause", 0.1)
    assert process.stdout.readline() == "there 0\n"
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    status, _, errors = finish(process)
    assert status == 130
    assert "interrupted" in errors
    assert "Traceback" not in errors
    status, said, errors = finish(filling(tmp_path))
    assert status == 0, errors
    assert 10 <= int(said.split()[1]) < COUNT
    check(tmp_path)


def test_two_writers_at_once(tmp_path, filling):
    first = filling(tmp_path, "--pause", 0.0005)
    assert first.stdout.readline() == "there 0\n"
    # It must not be done before the second comes, however slow the machine is.
    first.send_signal(signal.SIGSTOP)
    second = filling(tmp_path, "--count", COUNT)
    assert "another process is writing it; waiting" in second.stdout.readline()
    first.send_signal(signal.SIGCONT)
    assert finish(first)[:2] == (0, "done\n")
    assert finish(second)[:2] == (0, f"there {COUNT}\ndone\n")
    check(tmp_path)


def test_a_reader_sees_the_old_file_until_the_new_one_is_whole(tmp_path, filling):
    assert finish(filling(tmp_path, "--count", 100))[0] == 0
    process = filling(tmp_path, "--pause", 0.002)
    store = FeatureStore(tmp_path / "features")
    seen = set()
    while process.poll() is None:
        entry = store.find("clip")
        seen.add(entry.meta["rows"])
        np.testing.assert_array_equal(
            store.read(entry, [name(99), name(0)]), np.stack([row(99), row(0)])
        )
    finish(process)
    assert seen <= {100, COUNT}
    assert 100 in seen
    check(tmp_path)


def test_a_damaged_shard_is_computed_again(tmp_path, capsys):
    store = FeatureStore(tmp_path / "features")

    def interrupted():
        with store.writer("clip", KEY, {}) as writer:
            writer.add([name(n) for n in range(256)], rows(range(256)))
            writer.add([name(n) for n in range(256, 512)], rows(range(256, 512)))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    damaged, _ = sorted(store.folder.glob("*.shards/shard-*.h5"))
    with h5py.File(damaged) as opened:
        start = opened["features"].id.get_offset()
    content = bytearray(damaged.read_bytes())
    content[start + 77] ^= 1
    damaged.write_bytes(content)
    assert write(store, range(512)) == 256
    said = capsys.readouterr().out
    assert f"{damaged}: damaged or cut short" in said
    assert "its pictures are computed again" in said
    check(tmp_path, 512)


def test_a_damaged_file_is_never_added_to(tmp_path):
    store = FeatureStore(tmp_path)
    write(store, range(5))
    path = store.find("clip").path
    content = path.read_bytes()
    path.write_bytes(content[:-9])
    with pytest.raises(CacheError, match=r"damaged or cut short.*delete it and run the command"):
        write(store, range(9))
    assert path.read_bytes() == content[:-9]


def test_a_flipped_bit_in_a_row_is_found_by_the_next_writer(tmp_path):
    store = FeatureStore(tmp_path / "features")
    write(store, range(9))
    path = store.find("clip").path
    with h5py.File(path) as opened:
        start = opened["features"].id.get_offset()
    content = bytearray(path.read_bytes())
    content[start + 7] ^= 1
    path.write_bytes(content)
    with pytest.raises(CacheError, match=r"damaged or cut short.*delete it and run the command"):
        write(store, range(9))
    path.unlink()
    assert write(store, range(9)) == 9


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(*options):
        return subprocess.run(
            ["mount", "-t", "tmpfs", *options, "tmpfs", str(folder)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    try:
        done = mount("-o", "size=1m")
    except OSError as error:
        pytest.skip(f"no mount command: {error}")
    if done.returncode:
        pytest.skip(f"a small disk cannot be mounted: {done.stderr.strip()}")
    yield folder, lambda options: mount("-o", f"remount,{options}")
    subprocess.run(["umount", str(folder)], check=True)


# 900 rows of 100 columns are 360 kB, and twice that while shards are merged.
@pytest.mark.parametrize(("size", "there"), [("64k", 0), ("300k", 500), ("600k", COUNT)])
def test_a_full_disk_is_said_and_loses_nothing(small_disk, filling, size, there):
    folder, remount = small_disk
    remount(f"size={size}")
    status, _, errors = finish(filling(folder, "--columns", 100))
    assert status == 2, errors
    assert errors.startswith("error: the disk is full (writing ")
    assert "free some space" in errors
    assert "Traceback" not in errors
    assert not list(folder.rglob("*.tmp*"))
    assert not list(folder.rglob(".*.h5"))
    assert FeatureStore(folder / "features").entries() == []
    remount("size=4m")
    status, said, errors = finish(filling(folder, "--columns", 100))
    assert status == 0, errors
    assert said.split() == ["there", str(there), "done"]
    check(folder, columns=100)


def test_a_read_only_disk_can_be_read_and_says_why_it_cannot_be_written(small_disk, filling):
    folder, remount = small_disk
    assert finish(filling(folder, "--count", 20))[0] == 0
    remount("ro")
    check(folder, 20)
    status, _, errors = finish(filling(folder, "--count", 40))
    assert status == 2
    assert "Read-only file system; expected a file or folder that can be used" in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize("count", [3, 300])
def test_rows_in_any_order_of_memory(tmp_path, count):
    store = FeatureStore(tmp_path)
    numbers = list(range(count))
    with store.writer("clip", KEY, {}) as writer:
        writer.add([name(n) for n in numbers], np.asfortranarray(rows(numbers)))
    found = store.read(store.find("clip"), [name(n) for n in numbers])
    np.testing.assert_array_equal(found, rows(numbers))

"""Extraction killed at random moments: no row lost, none wrong, and a rerun completes.

`make test-long` kills 100 times; otherwise KILLS says how often.
"""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from cache import CacheError, FeatureStore
from cache.feature_table import row_names, take_rows
from challenge import find_subjects
from challenge.simulator import simulate
from execute.status import read_progress

KILLS = int(os.environ.get("KILLS", "1"))
SPACES = ("timm:test_vit", "timm:test_resnet")
TRAIN, TEST = 700, 60


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One subject with enough pictures for several shards."""
    folder = tmp_path_factory.mktemp("many") / "data"
    simulate(folder, 1, TRAIN, TEST, 20, 0, "builtin", 32)
    return folder


def _command(data: Path, out: Path, *more: str) -> list[str]:
    command = [sys.executable, "-m", "extract", "--data", str(data), "--out", str(out)]
    command += ["--spaces", *SPACES, "--weights", *(f"{name}=random:0" for name in SPACES)]
    return [*command, "--device", "cpu", *more]


def _run(
    command: list[str], kill_after: float | None = None, shards_of: Path | None = None
) -> float:
    """Run a command, or kill it so many seconds after its networks are ready.

    With `shards_of`, an output folder, it is killed when its first shard is there.

    Returns
    -------
    float
        Seconds from there to its end; infinity where it was killed while it ran.
    """
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        while "weights from" not in (line := process.stdout.readline()):
            assert line, "the command ended before its networks were ready"
        began = time.monotonic()
        if kill_after is None:
            process.communicate()
            assert process.returncode == 0
            return time.monotonic() - began
        deadline = began + (kill_after if shards_of is None else 60)
        while time.monotonic() < deadline and process.poll() is None:
            if shards_of is not None and list(shards_of.glob("features/*.shards/shard-*.h5")):
                break
            time.sleep(0.001)
        running = process.poll() is None
        process.send_signal(signal.SIGKILL)
    return np.inf if running else time.monotonic() - began


def _check_what_is_there(folder: Path, expected: dict[str, dict[bytes, np.ndarray]]) -> int:
    """Compare every row of every file, shards too, with an undisturbed run's."""
    count = 0
    for path in folder.rglob("[!.]*.h5"):
        name = next(n for n in SPACES if path.parent.name.startswith(_stem(n)) or
                    path.name.startswith(_stem(n)))  # fmt: skip
        names = row_names(path)
        rows = take_rows(path, [one.decode() for one in names])
        for one, row in zip(names, rows, strict=True):
            np.testing.assert_allclose(row, expected[name][one], rtol=1e-3, atol=1e-3)
        count += len(names)
    return count


def _stem(space: str) -> str:
    return space.replace(":", "_")


def _rows(out: Path, digests: list[str]) -> dict[str, dict[bytes, np.ndarray]]:
    store = FeatureStore(out / "features")
    found = {name: store.read(store.find(name), digests) for name in SPACES}
    encoded = [digest.encode() for digest in digests]
    return {name: dict(zip(encoded, rows, strict=True)) for name, rows in found.items()}


@pytest.mark.slow
@pytest.mark.timeout(300 + 90 * KILLS)
@pytest.mark.parametrize(
    "more",
    [
        (),
        pytest.param(
            ("--device", "cpu,cpu", "--workers", "0"),
            # Three processes that import torch, three times: half a minute.
            marks=pytest.mark.skipif(KILLS == 1, reason="long: make test-long"),
        ),
    ],
)
def test_kills_lose_nothing(many: Path, tmp_path: Path, more: tuple[str, ...]) -> None:
    (subject,) = find_subjects(many)
    digests = [*subject.picture_digests("train"), *subject.picture_digests("test")]
    whole = _run(_command(many, tmp_path / "whole", *more))
    expected = _rows(tmp_path / "whole", digests)
    random.seed(0)
    running = 0
    out = tmp_path / "out"
    for number in range(KILLS):
        after = 0.8 * whole * (number + random.random()) / KILLS
        # The first kill comes while it runs, however fast the machine is at that moment.
        shards_of = out if number == 0 else None
        running += np.isinf(_run(_command(many, out, *more), after, shards_of))
        _check_what_is_there(out / "features", expected)
        try:
            complete = all(len(rows) == len(digests) for rows in _rows(out, digests).values())
        except CacheError:
            complete = False
        if complete:
            out = tmp_path / f"out{random.random()}"
    assert running, "no kill came while it ran"
    _run(_command(many, out, *more))
    for name, rows in _rows(out, digests).items():
        for one, row in rows.items():
            np.testing.assert_allclose(row, expected[name][one], rtol=1e-3, atol=1e-3)
    # Nothing of the killed is left: no process, no shard, no temporary file.
    assert not [path for path in out.rglob("*") if ".shards" in path.name or path.name[0] == "."]
    time.sleep(1)
    processes = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline")
                 if _readable(path)]  # fmt: skip
    assert not [one for one in processes if str(tmp_path).encode() in one]


def _readable(path: Path) -> bool:
    try:
        path.read_bytes()
    except OSError:
        return False
    return True


def test_n1_an_extraction_that_was_killed_is_not_done(many: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with subprocess.Popen(
        _command(many, out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        while not list(out.glob("features/*.shards")):
            assert process.poll() is None
            time.sleep(0.01)
        [progress] = read_progress(out)
        assert [unit.state for unit in progress.units] == ["running"]
        process.kill()
    [progress] = read_progress(out)
    assert [unit.state for unit in progress.units] == ["lost"]

"""Claims: one holder at a time, among threads, processes and machines, whatever dies."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from base import claiming, taking_turns
from base.claims import claim_holder, has_ended, identity, is_claimed
from tests.builders.paths import ROOT

HOLD = """
import sys, time
from pathlib import Path
from base import claiming
with claiming(Path(sys.argv[1]), lease=float(sys.argv[2])):
    print("held", flush=True)
    time.sleep(float(sys.argv[3]))
"""


def _holder(path: Path, lease: float = 60, seconds: float = 60) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", HOLD, str(path), str(lease), str(seconds)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    process.stdout.close()
    return process


def _other_machine(path: Path) -> None:
    """Write a claim as a process on another machine would, whose clock is ten years behind."""
    about = identity() | {"host": "node7", "boot": "another", "token": "theirs"}
    path.write_text(json.dumps(about))
    os.utime(path, (time.time() - 3e8,) * 2)


def test_one_at_a_time(tmp_path: Path) -> None:
    at_it, most, done = [0], [0], []

    def work(number: int) -> None:
        with claiming(tmp_path / "claim"):
            at_it[0] += 1
            most[0] = max(most[0], at_it[0])
            time.sleep(0.02)
            at_it[0] -= 1
            done.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == list(range(6))
    assert most == [1]
    assert list(tmp_path.iterdir()) == []


def test_who_holds_it_is_known(tmp_path: Path) -> None:
    path = tmp_path / "claim"
    assert claim_holder(path) == ""
    assert not is_claimed(path)
    process = _holder(path)
    assert claim_holder(path).startswith(f"process {process.pid} on ")
    assert is_claimed(path)
    with claiming(path, wait=False) as held:
        assert not held
    process.kill()
    process.wait()


def test_a_killed_holder_loses_it_at_once(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = tmp_path / "claim"
    process = _holder(path)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert path.exists()
    assert not is_claimed(path)
    began = time.monotonic()
    with claiming(path) as held:
        assert held
    assert time.monotonic() - began < 10
    assert f"process {process.pid}" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_elsewhere_the_lease_decides_and_no_clock(tmp_path: Path) -> None:
    path = tmp_path / "claim"
    _other_machine(path)
    with claiming(path, wait=False, lease=0.5) as held:
        # Its time is long ago; that says nothing.
        assert not held
    began = time.monotonic()
    with claiming(path, lease=0.5) as held:
        assert held
    assert time.monotonic() - began >= 0.5


def test_elsewhere_signs_of_life_keep_it(tmp_path: Path) -> None:
    path, took = tmp_path / "claim", threading.Event()
    _other_machine(path)

    def wait() -> None:
        with claiming(path, lease=1.0):
            took.set()

    waiting = threading.Thread(target=wait)
    waiting.start()
    for second in range(10):
        # As its file server's clock has it, which may be any.
        os.utime(path, (1e9 + second, 1e9 + second))
        time.sleep(0.25)
    assert not took.is_set()
    path.unlink()
    waiting.join()
    assert took.is_set()


def test_a_holder_that_lives_keeps_it(tmp_path: Path) -> None:
    path = tmp_path / "claim"
    process = _holder(path, lease=0.6, seconds=2.5)
    began = time.monotonic()
    with claiming(path, lease=0.6):
        assert process.wait() == 0
    assert time.monotonic() - began > 1.5


def test_a_stopped_holder_does_not_take_it_back(tmp_path: Path) -> None:
    """Its machine stood still; when it goes on, it leaves the other's claim alone."""
    path = tmp_path / "claim"
    process = _holder(path, lease=0.5, seconds=1)
    process.send_signal(signal.SIGSTOP)
    with claiming(path, lease=0.5):
        process.send_signal(signal.SIGCONT)
        assert process.wait() == 0
        assert claim_holder(path).startswith(f"process {os.getpid()} on ")
    assert not path.exists()


def test_a_job_that_was_started_again_has_ended_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "12")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")
    before = identity() | {"boot": "another", "host": "node7"}
    assert not has_ended(before)
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    assert has_ended(before)
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "4")
    assert not has_ended(before)


def test_turns_begin_with_what_nobody_does(tmp_path: Path) -> None:
    process = _holder(tmp_path / "b", seconds=1)
    turns = [
        (piece, (tmp_path / piece).exists()) for piece in taking_turns("abc", tmp_path.joinpath)
    ]
    assert turns == [("a", True), ("c", True), ("b", True)]
    assert process.wait() == 0
    assert list(tmp_path.iterdir()) == []

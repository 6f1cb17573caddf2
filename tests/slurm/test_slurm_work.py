"""Work in jobs of a real Slurm: the same bits as here, through kills, requeues and twins."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from cache import read_artifact
from cache.feature_table import all_rows, row_names
from challenge.simulator import simulate
from execute import Run
from execute.runs import write_json
from execute.status import read_progress
from tests.builders.cluster import Cluster, running, why_not
from tests.builders.paths import ROOT

SPACES = ("pixels:8", "pixels:4")
RIDGE = ("--model", "ridge")
# So long that a job can be killed in the middle of its search.
BANDED = ("--model", "banded_ridge", "--params.n_iter", "800")
ASKED = {"memory": 1.5, "time": 10, "cpus": 1}
Start = Callable[..., subprocess.Popen]


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two subjects, with more pictures than a job of extraction takes."""
    folder = tmp_path_factory.mktemp("data") / "slurm"
    simulate(folder, 2, 160, 12, 60, 0, "builtin", 32)
    return folder


@pytest.fixture
def started(cluster: Cluster, data: Path) -> Iterator[Start]:
    """Start commands of ours on the cluster; none survives the test."""
    processes: list[subprocess.Popen] = []

    def start(module: str, out: Path, *options: str, **asked: object) -> subprocess.Popen:
        settings = out.with_suffix(".yaml")
        settings.write_text("\n".join(f"{k}: {v}" for k, v in {**ASKED, **asked}.items()))
        there = ("--executor", "slurm", "--cluster", str(settings))
        command = _command(module, data, out, *options, *there)
        process = subprocess.Popen(
            command, cwd=ROOT, env=cluster.environment, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def here(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Do the same in one process of this machine; each once."""
    out = tmp_path_factory.mktemp("here")
    done: set[tuple[str, ...]] = set()

    def do(module: str, *options: str) -> Path:
        if (module, *options) not in done:
            # As the jobs have it: one processor, one thread.
            environment = {**os.environ, "OMP_NUM_THREADS": "1"}
            command = _command(module, data, out, *options)
            subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
            done.add((module, *options))
        return out

    return do


@pytest.fixture
def out(tmp_path: Path, here: Callable[..., Path]) -> Path:
    """Give an output folder that has the features."""
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "features").symlink_to(here("extract", "--spaces", *SPACES) / "features")
    return folder


def test_features_in_two_shards(
    started: Start, here: Callable[..., Path], tmp_path: Path, cluster: Cluster
) -> None:
    command = started("extract", tmp_path / "out", "--spaces", *SPACES)
    said = _finish(command)
    assert _submitted(said) == 2
    _equal_features(here("extract", "--spaces", *SPACES), tmp_path / "out")


def test_fits_of_two_subjects(started: Start, here: Callable[..., Path], out: Path) -> None:
    said = _finish(started("regress", out, *_spaces(*RIDGE)))
    assert _submitted(said) == 4
    _equal_fits(here("regress", *_spaces(*RIDGE)), out)
    assert "no job was submitted" in _finish(started("regress", out, *_spaces(*RIDGE)))


def test_killed_and_requeued_it_goes_on(
    started: Start, here: Callable[..., Path], out: Path, cluster: Cluster
) -> None:
    """One job's process is killed, another is sent back to the queue, both amid a search."""
    command = started("regress", out, *_spaces(*BANDED))
    # A search is kept every few seconds.
    cluster.until(lambda: len(list(out.glob("searches/*/*.h5"))) >= 2, 120)
    running = [json.loads(path.read_text()) for path in sorted(out.glob("runs/*/?.?.json"))]
    first, second, *_ = (unit for unit in running if unit["state"] == "running")
    os.kill(first["process"], signal.SIGKILL)
    cluster.run("scontrol", "requeue", second["job"])
    said = _finish(command)
    assert re.search(rf"job {first['job']} was killed .*again", said), said
    _equal_fits(here("regress", *_spaces(*BANDED)), out)
    assert not list(out.glob("searches/*/*.h5")) + list(out.glob("claims/*/*"))


@pytest.mark.timeout(2400)
@pytest.mark.skipif("KILLS" not in os.environ, reason="long: make test-long")
def test_out_of_time_it_goes_on(
    started: Start, here: Callable[..., Path], out: Path, cluster: Cluster
) -> None:
    """A job is stopped before its time ends, and begins again where it was: a minute and a half."""
    options = _spaces("--subject", "01", "--model", "banded_ridge", "--params.n_iter", "25000")
    said = _finish(started("regress", out, *options, time=3, retries=0), status=2)
    assert "reached its time once more than `retries` lets a job be started again" in said
    assert list(out.glob("searches/*/*.h5"))
    _finish(started("regress", out, *options, time=3))
    _equal_fits(here("regress", *options), out)


def test_asked_twice_at_once_it_is_done_once(
    started: Start, here: Callable[..., Path], out: Path, cluster: Cluster
) -> None:
    commands = [started("regress", out, *_spaces(*RIDGE)) for _ in range(2)]
    said = [_finish(command) for command in commands]
    assert sorted(map(_submitted, said)) == [0, 4], said
    _equal_fits(here("regress", *_spaces(*RIDGE)), out)


def test_jobs_that_ended_unseen_are_told_and_their_work_is_asked_for_anew(
    started: Start, here: Callable[..., Path], out: Path, cluster: Cluster
) -> None:
    """The command was interrupted; what the jobs then gave was asked for before."""
    status = [sys.executable, "-m", "execute", "--out", str(out)]
    for memory, told in (
        (0.1, r"4 failed\n.*subj02 rh: failed, ran out of memory \(asked for: 0.1 GB\)"),
        (1.5, "4 done"),
    ):
        command = started("regress", out, *_spaces(*RIDGE), memory=memory)
        assert command.stdout is not None
        while "submitted" not in (line := command.stdout.readline()):
            assert line, command.stderr.read()
        command.send_signal(signal.SIGINT)
        assert "the jobs go on without this command" in command.communicate(timeout=300)[0]
        cluster.wait()
        shown = subprocess.run(status, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        assert re.search(told, shown), shown
    shutil.rmtree(out / "fits")
    assert _submitted(_finish(started("regress", out, *_spaces(*RIDGE)))) == 4
    _equal_fits(here("regress", *_spaces(*RIDGE)), out)


def test_a_job_of_another_run_is_not_ours(cluster: Cluster, out: Path) -> None:
    """Numbers come again, on another cluster or after a restart."""
    job = cluster.submit("sleep 60")
    cluster.until(lambda: cluster.queue() == [f"{job} RUNNING"])
    run = Run(out / "runs" / "fit-1", "fit", "ridge", ["make", "fit"])
    run.begin([["subj01 lh"]])
    write_json(
        run.folder / "jobs.json", {"jobs": [{"number": job, "pieces": [[0, [0]]], "tries": 0}]}
    )
    (progress,) = read_progress(out)
    assert [unit.state for unit in progress.units] == ["failed"]
    assert "no more in Slurm's queue" in progress.units[0].reason


@pytest.mark.skipif(os.getuid() != 0, reason="only root can hide a folder from a process")
@pytest.mark.parametrize("option", ["--out", "--data"])
def test_a_node_that_does_not_see_a_folder(option: str, data: Path, tmp_path: Path) -> None:
    """On the node another file system lies over it, as where one is not mounted."""
    if reason := why_not():
        pytest.skip(reason)
    for name in ("slurm", "hidden", "seen"):
        (tmp_path / name).mkdir()
    mine = tmp_path / ("hidden" if option == "--data" else "seen") / "data"
    shutil.copytree(data, mine)
    out = tmp_path / ("hidden" if option == "--out" else "seen") / "out"
    settings = tmp_path / "cluster.yaml"
    settings.write_text("\n".join(f"{k}: {v}" for k, v in ASKED.items()))
    command = _command("extract", mine, out, "--spaces", SPACES[0])
    command += ["--executor", "slurm", "--cluster", str(settings)]
    with running(tmp_path / "slurm", hidden=tmp_path / "hidden") as cluster:
        asked = {"cwd": ROOT, "env": cluster.environment, "capture_output": True, "text": True}
        done = subprocess.run(command, check=False, **asked)
        look = [sys.executable, "-m", "execute", "--out", str(out)]
        status = subprocess.run(look, check=True, **asked).stdout
    # It is told once, and not tried again.
    assert done.returncode == 2
    assert _submitted(done.stdout) == 2
    which = out / "runs" if option == "--out" else mine
    told = rf"{which}\S* is not there on node .*expected {option} in a folder that"
    assert re.search(told, done.stderr), done.stderr
    assert "2 failed" in status
    assert re.search(f"pictures 1 to 256, pictures 257 to 324: failed, .*{told}", status), status


def _command(module: str, data: Path, out: Path, *options: str) -> list[str]:
    where = ["--data", str(data), "--out", str(out), "--device", "cpu"]
    return [sys.executable, "-m", module, *where, *options]


def _spaces(*options: str) -> tuple[str, ...]:
    return (*options, "--spaces", *SPACES)


def _finish(command: subprocess.Popen, status: int = 0) -> str:
    said, errors = command.communicate(timeout=900)
    assert command.returncode == status, said + errors
    return said + errors if status else said


def _submitted(said: str) -> int:
    """Count the jobs that a command says it submitted."""
    spans = re.findall(r"jobs? \d+_(\d+)(?: to \d+_(\d+))? submitted", said)
    return sum(int(last or first) - int(first) + 1 for first, last in spans)


def _equal_features(ours: Path, theirs: Path) -> None:
    files = sorted((ours / "features").glob("*.h5"))
    assert [f.name for f in files] == sorted(f.name for f in (theirs / "features").glob("*.h5"))
    for file in files:
        rows = []
        for path in (file, theirs / "features" / file.name):
            order = np.argsort(row_names(path))
            rows.append((row_names(path)[order], np.concatenate(list(all_rows(path)))[order]))
        for a, b in zip(*rows, strict=True):
            np.testing.assert_array_equal(a, b)


def _equal_fits(ours: Path, theirs: Path) -> None:
    """Hold every array of every model of a run against those that were made here."""
    made = {path.relative_to(theirs): path for path in theirs.glob("fits/*/subj*/*.h5")}
    (run,) = {path.parts[1] for path in made}
    mine = {path.relative_to(ours): path for path in ours.glob(f"fits/{run}/subj*/*.h5")}
    assert made.keys() == mine.keys()
    assert len(mine) > 50
    for name, path in mine.items():
        a, b = read_artifact(path)[0], read_artifact(made[name])[0]
        assert a.keys() == b.keys()
        for array in a:
            np.testing.assert_array_equal(a[array], b[array], err_msg=f"{name} {array}")

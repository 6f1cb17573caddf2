"""Work in units: packed into tasks, recorded as it goes, and what is said of it afterwards."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import cloudpickle
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from base import claiming, taking_turns
from cache import FeatureStore
from challenge import find_subjects
from execute import ALONE, Cost, ExecuteError, Run, choose_executor, share
from execute.__main__ import status
from execute.runs import write_json
from execute.slurm.cluster import read_cluster
from execute.slurm.job import pack
from execute.slurm.task import Task
from execute.status import read_progress
from execute.work import Mapped
from regress.fit_options import FitOptions
from regress.fitting.request_checks import make_request
from tests.builders.paths import ROOT


def _run(out: Path, costs: list[list[Cost]] | None = None) -> Run:
    return Run(out / "runs" / "fit-1", "fit", "ridge on clip", ["make", "fit"], costs)


def _double(number: int, units: object) -> list[int]:
    return [10 * number + unit for unit in units]  # type: ignore[attr-defined]


def _second_fails(number: int, units: object) -> list[int]:
    done = []
    for unit in units:  # type: ignore[attr-defined]
        if (number, unit) == (0, 1):
            raise ExecuteError("features of subj01 are not there")
        done.append(unit)
    return done


GROUPS = [["subj01 lh", "subj01 rh"], ["subj02 lh", "subj02 rh"]]


@given(
    st.lists(st.lists(st.floats(0, 2000), min_size=1, max_size=6), min_size=1, max_size=6),
    st.floats(0.1, 30),
)
def test_tasks_hold_every_unit_once_and_not_too_much(
    seconds: list[list[float]], minutes: float
) -> None:
    units = [(group, unit) for group, own in enumerate(seconds) for unit in range(len(own))]
    costs = [[Cost(seconds=each) for each in own] for own in seconds]
    tasks = pack(units, costs, minutes)
    packed = [(group, unit) for task in tasks for group, own in task for unit in own]
    assert packed == units
    times = [sum(seconds[g][u] for g, own in task for u in own) for task in tasks]
    for task, time in zip(tasks, times, strict=True):
        alone = sum(len(own) for _, own in task) == 1
        assert alone or time <= 60 * minutes * (1 + 1e-9)
        # A group is there once in a task.
        assert len({group for group, _ in task}) == len(task)
    # No task could have taken the first unit of the next one.
    for task, time, following in zip(tasks, times, tasks[1:], strict=False):
        group, own = following[0]
        assert time + seconds[group][own[0]] > 60 * minutes * (1 - 1e-9) or not task


def test_units_of_unknown_cost_are_tasks_of_their_own() -> None:
    tasks = pack([(0, 0), (0, 1), (1, 0)], None, 10)
    assert tasks == [[(0, (0,))], [(0, (1,))], [(1, (0,))]]


def test_what_is_done_is_recorded_beside_its_plan(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found: dict[int, list[list[int]]] = {}
    costs = [[Cost(seconds=90.0, memory=2 * 10**9)] * 2] * 2
    local = choose_executor("local", None, "fit")
    share(local, ALONE, _run(tmp_path, costs), GROUPS, _double, found.__setitem__)
    assert found == {0: [[0, 1]], 1: [[10, 11]]}
    (progress,) = read_progress(tmp_path)
    assert [unit.name for unit in progress.units] == [name for own in GROUPS for name in own]
    assert progress.counts == {"done": 4}
    status(tmp_path)
    said = capsys.readouterr().out
    assert "fit  ridge on clip" in said
    assert "  4 done\n" in said
    assert "; planned 360.0 s, 2.00 GB\n" in said


def test_a_failure_is_recorded_with_its_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    local = choose_executor("local", None, "fit")
    with pytest.raises(ExecuteError, match="features of subj01 are not there"):
        share(local, ALONE, _run(tmp_path), GROUPS, _second_fails, {}.__setitem__)
    (progress,) = read_progress(tmp_path)
    states = {unit.name: unit.state for unit in progress.units}
    assert states == {
        "subj01 lh": "done",
        "subj01 rh": "failed",
        "subj02 lh": "not begun",
        "subj02 rh": "not begun",
    }
    status(tmp_path)
    said = capsys.readouterr().out
    assert "subj01 rh: failed, features of subj01 are not there" in said
    assert "run the same command again" in said
    # Done again, and right this time, it is as if nothing had been.
    share(local, ALONE, _run(tmp_path), GROUPS, _double, {}.__setitem__)
    assert read_progress(tmp_path)[0].counts == {"done": 4}


KILLED = """
import os, signal, sys
from pathlib import Path
from execute import ALONE, Run, choose_executor, share
def work(number, units):
    for unit in units:
        if unit == 1:
            os.kill(os.getpid(), getattr(signal, sys.argv[2]))
run = Run(Path(sys.argv[1]) / "runs" / "fit-1", "fit", "ridge on clip", sys.argv)
share(choose_executor("local", None, "fit"), ALONE, run, [["a", "b", "c"]], work, print)
"""


@pytest.mark.parametrize(("how", "state"), [("SIGKILL", "lost"), ("SIGINT", "interrupted")])
def test_a_process_that_ended_is_not_running(tmp_path: Path, how: str, state: str) -> None:
    command = [sys.executable, "-c", KILLED, str(tmp_path), how]
    assert subprocess.run(command, cwd=ROOT, capture_output=True).returncode != 0
    (progress,) = read_progress(tmp_path)
    assert [unit.state for unit in progress.units] == ["done", state, "not begun"]


def test_while_it_runs_it_is_running(tmp_path: Path) -> None:
    script = KILLED.replace("os.kill(os.getpid(), getattr(signal, sys.argv[2]))", "input()")
    command = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE) as process:
        while not (tmp_path / "runs" / "fit-1" / "0.1.json").exists():
            assert process.poll() is None
        (progress,) = read_progress(tmp_path)
        assert [unit.state for unit in progress.units] == ["done", "running", "not begun"]
        process.communicate(b"\n")
    assert read_progress(tmp_path)[0].counts == {"done": 3}


TAKES = {
    "one": "(unit,) = units",
    "all": "take_all(units)",
    "last": "list(units)",
}
AT_ONCE = """
import sys
from pathlib import Path
from execute import ALONE, Run, choose_executor, share
from execute.work import take_all
def work(number, units):
    TAKE
    print("at it", flush=True)
    sys.stdin.read()
run = Run(Path(sys.argv[1]) / "runs" / "fit-1", "fit", "ridge on clip", sys.argv)
share(choose_executor("local", None, "fit"), ALONE, run, [GROUP], work, print)
"""


@pytest.mark.parametrize("how", list(TAKES))
@pytest.mark.parametrize("killed", [False, True])
def test_n1_units_are_done_when_their_work_is(tmp_path: Path, how: str, killed: bool) -> None:
    group = ["a"] if how == "one" else ["a", "b"]
    script = AT_ONCE.replace("TAKE", TAKES[how]).replace("GROUP", repr(group))
    command = [sys.executable, "-c", script, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=ROOT, **pipes) as process:  # type: ignore[call-overload]
        assert process.stdout.readline() == b"at it\n"
        states = [unit.state for unit in read_progress(tmp_path)[0].units]
        # Of a list of units the last alone is known to be at hand.
        first = ["done"] if how == "last" else ["running"] * (len(group) - 1)
        assert states == [*first, "running"]
        if killed:
            process.kill()
        process.communicate()
    end = "lost" if killed else "done"
    assert [unit.state for unit in read_progress(tmp_path)[0].units][-1] == end


def test_n1_a_unit_that_another_process_is_at_stays_its_own(tmp_path: Path) -> None:
    seen = []

    def work(_: int, units: Iterator[int]) -> None:
        pieces = Mapped(units, "ab".__getitem__)
        for piece in taking_turns(pieces, tmp_path.joinpath):
            seen.append((piece, [unit.state for unit in read_progress(tmp_path)[0].units]))
            if piece == "b":
                ended.set()
                holder.join()

    def hold() -> None:
        with claiming(tmp_path / "a"):
            begun.set()
            ended.wait()

    begun, ended = threading.Event(), threading.Event()
    holder = threading.Thread(target=hold)
    holder.start()
    begun.wait()
    share(choose_executor("local", None, "fit"), ALONE, _run(tmp_path), [["a", "b"]], work, print)
    assert seen == [("b", ["not begun", "running"]), ("a", ["running", "done"])]
    assert read_progress(tmp_path)[0].counts == {"done": 2}


def test_a_stage_has_what_all_have_and_its_own(tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text(
        "account: neuro\nmemory: 8\nsetup: [module load cuda]\n"
        "features: {partition: gpu, gpus: 2, memory: 32.5}\n"
        "options: {qos: preempt, exclusive: true, hold: false}\n"
    )
    fit, features = read_cluster(path, "fit"), read_cluster(path, "features")
    assert (fit.account, fit.memory, fit.gpus, fit.partition) == ("neuro", 8, 0, None)
    assert (features.account, features.gpus, features.partition) == ("neuro", 2, "gpu")
    asked = features.for_submitit()
    assert asked["mem"] == "33280M"
    assert asked["additional_parameters"] == {"qos": "preempt", "exclusive": True}
    assert asked["setup"][-1] == "module load cuda"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("partitin: gpu", "partitin (for all stages): unknown; known are partition, account"),
        ("memory: much", "memory, in gigabytes (for all stages): Input should be a valid number"),
        ("fit: {cpus: 0}", "cpus (for fit): Input should be greater than 0, found '0'"),
        ("- gpu", "holds list, expected names and values"),
        ("features: gpu", "features: expected names and values, such as `memory: 16`, found 'gpu'"),
        ("a: [", "cannot be read as YAML (while parsing a flow node"),
        ("1: 2", "1 (for all stages): unknown; known are"),
        # YAML takes the one for 5400, and Slurm a job of no memory for one that takes all.
        ("time: 1:30:00", "time, in minutes (for all stages): Input should be a valid integer"),
        ("time: true", "time, in minutes (for all stages): Input should be a valid integer"),
        ("memory: 0.0004", "memory, in gigabytes (for all stages): Input should be greater than"),
        ("memory: .inf", "memory, in gigabytes (for all stages): Input should be a valid number"),
        ("setup: module load x", "setup (for all stages): Input should be a valid list"),
        ("options: {mem: 500}", "options (for all stages): mem is set by `memory`"),
        ("\x00", "cannot be read as YAML"),
    ],
)
def test_a_cluster_file_that_cannot_be(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text(text)
    with pytest.raises(ExecuteError) as raised:
        read_cluster(path, "features")
    assert f"--cluster {path}: " in str(raised.value)
    assert told in str(raised.value)


def test_executors_that_cannot_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ExecuteError, match="--executor slrm: expected one of local, slurm"):
        choose_executor("slrm", None, "fit")
    with pytest.raises(ExecuteError, match=r"--cluster c\.yaml: is for --executor slurm"):
        choose_executor("local", Path("c.yaml"), "fit")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ExecuteError, match="there is no sbatch, squeue, srun on this machine"):
        choose_executor("slurm", None, "fit")


@pytest.mark.parametrize("module", ["regress", "regress.ablate", "extract", "evaluate"])
def test_every_command_refuses_them_in_words(tmp_path: Path, module: str) -> None:
    verb = ["report"] if module == "evaluate" else []
    command = [sys.executable, "-m", module, *verb, "--executor", "slurm", "--data", "nowhere"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env={**os.environ, "PATH": str(tmp_path)}
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: --executor slurm: there is no sbatch")
    assert len(done.stderr.splitlines()) == 1


def test_nothing_was_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status(tmp_path)
    assert capsys.readouterr().out == f"{tmp_path}: no run was started yet\n"


def test_a_damaged_file_is_named_and_all_else_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in (1, 2):
        run = replace(_run(tmp_path), folder=tmp_path / "runs" / f"fit-{number}")
        share(choose_executor("local", None, "fit"), ALONE, run, GROUPS, _double, print)
    for name, text in (("jobs.json", ""), ("0.0.json", '{"state": "do'), ("1.1.json", "[]")):
        (tmp_path / "runs" / "fit-1" / name).write_text(text)
    capsys.readouterr()
    found = read_progress(tmp_path)
    assert [one.counts for one in found] == [{"done": 2, "not begun": 2}, {"done": 4}]
    told = capsys.readouterr().out
    for name in ("jobs.json", "0.0.json", "1.1.json"):
        assert f"fit-1/{name}: is damaged, and ignored" in told
    (tmp_path / "runs" / "fit-1" / "run.json").write_text("{")
    assert [one.folder.name for one in read_progress(tmp_path)] == ["fit-2"]
    # Asked for again, it is whole again.
    share(choose_executor("local", None, "fit"), ALONE, _run(tmp_path), GROUPS, _double, print)
    assert [one.counts for one in read_progress(tmp_path)] == [{"done": 4}, {"done": 4}]


def test_what_was_planned_is_kept_where_nothing_is_left_to_do(tmp_path: Path) -> None:
    """Once it is there it is planned to take no time, and that is not what it took."""
    for seconds in (3.0, 0.0):
        run = _run(tmp_path, [[Cost(seconds, 10)] * 2] * 2)
        share(choose_executor("local", None, "fit"), ALONE, run, GROUPS, _double, print)
        (progress,) = read_progress(tmp_path)
        assert [unit.planned["seconds"] for unit in progress.units] == [3.0] * 4


def test_a_failure_of_a_job_is_forgotten_when_it_is_asked_for_again(tmp_path: Path) -> None:
    run = _run(tmp_path)
    run.begin(GROUPS)
    failed = {
        "number": "7",
        "units": ["subj01 lh"],
        "reason": "was cancelled",
        "node": "n",
        "log": "",
    }
    write_json(run.folder / "jobs.json", {"jobs": [], "failed": [failed]})
    run.record_failure(1, 1, "the data are not there", "")
    assert read_progress(tmp_path)[0].counts == {"failed": 2, "not begun": 2}
    run.begin(GROUPS)
    assert read_progress(tmp_path)[0].counts == {"not begun": 4}


def test_where_slurm_does_not_answer_what_was_handed_over_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = _run(tmp_path)
    run.begin(GROUPS)
    job = {"number": "7_1", "pieces": [[1, [0, 1]]], "tries": 0}
    write_json(run.folder / "jobs.json", {"jobs": [job], "failed": []})
    monkeypatch.setenv("PATH", str(tmp_path))
    status(tmp_path)
    assert "2 waiting (Slurm does not answer now), 2 not begun" in capsys.readouterr().out


def test_a_node_that_does_not_see_the_folder_says_so(tmp_path: Path) -> None:
    run = _run(tmp_path / "not-mounted-there")
    outcome = Task([(0, (0, 1))], GROUPS, ALONE, run, _double, ["make", "fit"])()
    assert outcome.results == []
    assert f"{run.folder} is not there on node {socket.gethostname()}" in str(outcome.error)
    assert "expected --out in a folder that all nodes share" in str(outcome.error)


def test_a_task_holds_no_arrays(simulated: Path, tmp_path: Path) -> None:
    """What travels to a job is small, however large the responses and features are."""
    rows = np.ones((200, 4000), np.float32)
    names = [f"{n:064x}" for n in range(len(rows))]
    with FeatureStore(tmp_path / "features").writer("wide", {"made": "so"}, {"origin": "x"}) as w:
        w.add(names, rows)
    asked = make_request(FitOptions(simulated, tmp_path, model="ridge", spaces=["wide"]))
    task = Task([(0, (0, 1))], asked.units(), ALONE, asked.run(None), asked, ["make", "fit"])
    assert len(cloudpickle.dumps(task)) < 50_000


def test_the_same_of_other_data_is_another_request(
    simulated: Path, broken: Callable[[], Path], tmp_path: Path
) -> None:
    """Jobs for the one are not followed for the other."""
    subject = find_subjects(simulated)[0]
    pictures = [*subject.picture_digests("train"), *subject.picture_digests("test")]
    with FeatureStore(tmp_path / "features").writer("a", {"made": "so"}, {"origin": "x"}) as writer:
        writer.add(sorted(set(pictures)), np.ones((len(set(pictures)), 3), np.float32))
    runs = [
        make_request(FitOptions(data, tmp_path, "01", "ridge", ["a"])).run()
        for data in (simulated, broken(), simulated)
    ]
    assert runs[0].folder == runs[2].folder != runs[1].folder

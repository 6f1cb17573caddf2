"""The cluster that other tests trust: it runs, ends, requeues and refuses as a real one does."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import suppress
from pathlib import Path

import pytest
import submitit

from tests.builders import submitted
from tests.builders.cluster import Cluster, why_not
from tests.builders.paths import ROOT

HOG = f"{sys.executable} -c 'import time; held = bytearray(600_000_000); time.sleep(60)'"
# Runs long, but not when it runs again.
TWICE = 'echo run $SLURM_RESTART_COUNT; [ -n "$SLURM_RESTART_COUNT" ] || sleep 60'


def test_an_array_runs_side_by_side(cluster: Cluster) -> None:
    start = time.monotonic()
    job = cluster.submit("echo task $SLURM_ARRAY_TASK_ID; sleep 2", "--array=1-4")
    cluster.wait(job)
    assert sorted(cluster.output(job).splitlines()) == [f"task {n}" for n in (1, 2, 3, 4)]
    assert time.monotonic() - start < 8, "one after another"


def test_submitit_gets_its_results(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does it need accounting for that."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    executor = submitit.SlurmExecutor(cluster.folder / "submitit")
    executor.update_parameters(mem="500M", time=5, array_parallelism=4, use_srun=False)
    jobs = executor.map_array(submitted.square, range(6))
    cluster.wait()
    assert [job.result() for job in jobs] == [(n * n, n) for n in range(6)]
    # Of one that died it knows nothing, and would wait forever: the controller knows.
    dead = executor.submit(submitted.die, 0)
    cluster.wait()
    assert (dead.state, dead.done()) == ("UNKNOWN", False)
    assert (cluster.told(dead.job_id), cluster.told(dead.job_id, "ExitCode")) == ("FAILED", "137:0")


@pytest.mark.parametrize(("start", "code"), [("", "0:9"), ("srun ", "137:0")])
def test_too_much_memory_ends_a_task(cluster: Cluster, start: str, code: str) -> None:
    """Without cgroups the state is not OUT_OF_MEMORY, but the log says it."""
    job = cluster.submit(start + HOG, "--mem=300M")
    cluster.wait(job, seconds=40)
    assert (cluster.told(job), cluster.told(job, "ExitCode")) == ("FAILED", code)
    assert "Exceeded job memory limit" in cluster.output(job)


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--mem=900G", "Memory specification can not be satisfied"),
        ("--partition=gpu", "invalid partition specified: gpu"),
    ],
)
def test_what_cannot_be_had_is_refused(cluster: Cluster, option: str, said: str) -> None:
    command = ["sbatch", option, "--wrap", "true"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert said in done.stderr


def test_requeued_it_runs_again(cluster: Cluster) -> None:
    job = cluster.submit(TWICE)
    cluster.until(lambda: "run" in cluster.output(job))
    cluster.run("scontrol", "requeue", job)
    cluster.wait(job, seconds=60)
    assert (cluster.told(job), cluster.told(job, "Restarts")) == ("COMPLETED", "1")
    assert [line for line in cluster.output(job).splitlines() if line[:3] == "run"] == [
        "run",
        "run 1",
    ]


def test_what_is_urgent_preempts(cluster: Cluster) -> None:
    job = cluster.submit(TWICE, "--exclusive")
    cluster.until(lambda: "run" in cluster.output(job))
    urgent = cluster.submit("true", "--exclusive", "--partition=urgent")
    cluster.wait(job, urgent, seconds=60)
    assert cluster.told(urgent) == cluster.told(job) == "COMPLETED"
    assert cluster.told(job, "Restarts") == "1"
    assert "DUE TO PREEMPTION" in cluster.output(job)


def test_a_node_that_fails_sends_its_jobs_back(cluster: Cluster) -> None:
    job = cluster.submit(TWICE)
    cluster.until(lambda: "run" in cluster.output(job))
    with cluster.node_down():
        assert cluster.queue() == [f"{job} PENDING"]
    cluster.wait(job, seconds=60)
    assert (cluster.told(job), cluster.told(job, "Restarts")) == ("COMPLETED", "1")


def test_a_signal_reaches_a_job(cluster: Cluster) -> None:
    job = cluster.submit("trap 'echo got it; exit 0' USR1; echo run; while :; do sleep 0.1; done")
    cluster.until(lambda: "run" in cluster.output(job))
    cluster.run("scancel", "--batch", "--signal=USR1", job)
    cluster.wait(job, seconds=30)
    assert "got it" in cluster.output(job)
    assert cluster.told(job) == "COMPLETED"


def test_cancelled_it_ends(cluster: Cluster) -> None:
    job = cluster.submit("echo run; sleep 60")
    cluster.until(lambda: "run" in cluster.output(job))
    cluster.run("scancel", job)
    cluster.wait(job, seconds=30)
    assert cluster.told(job) == "CANCELLED"


@pytest.mark.skipif(bool(why_not()), reason=why_not())
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_behind(tmp_path: Path, how: signal.Signals) -> None:
    """Whoever has a cluster, with a job in it, is ended: by Ctrl-C, or killed."""
    code = f"""
        import signal, time
        from pathlib import Path
        from tests.builders.cluster import running
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with running(Path({str(tmp_path)!r})) as cluster:
            job = cluster.submit("echo run; sleep 600")
            cluster.until(lambda: "run" in cluster.output(job))
            print("ready", flush=True)
            time.sleep(600)
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    # When it is killed, nobody is left to end the job that runs; the daemons end all the same.
    allowed = {"slurmstepd", "slurm_script", "sleep"} if how == signal.SIGKILL else set()
    try:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(how)
        process.wait(60)
        end = time.monotonic() + 20
        while not set(_of(tmp_path).values()) <= allowed:
            assert time.monotonic() < end, _of(tmp_path)
            time.sleep(0.1)
    finally:
        process.kill()
        for number in _of(tmp_path):
            os.kill(number, signal.SIGKILL)


def _of(folder: Path) -> dict[int, str]:
    mine, found = f"SLURM_CONF={folder}/slurm.conf\0".encode(), {}
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if mine in (process / "environ").read_bytes():
                found[int(process.name)] = (process / "comm").read_text().strip()
    return found

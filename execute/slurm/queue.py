"""What Slurm says of jobs, in words that help. No accounting database is needed."""

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from execute.errors import ExecuteError
from execute.slurm.cluster import Resources

# How long a question to Slurm's controller may take.
PATIENCE = 60
# States after which a job may be started again by itself: it was lost, and made no mistake.
LOST = ("NODE_FAIL", "PREEMPTED", "BOOT_FAIL", "TIMEOUT", "KILLED", "UNKNOWN")
# The signal by which Slurm tells that it could not open the file of what a job prints.
NO_LOG = "53"
OUT_OF_MEMORY = re.compile(r"exceeded (job |step )?memory limit|oom.?kill|out of memory", re.I)


@dataclass(frozen=True)
class JobEnd:
    """How a job ended that gave no result.

    Attributes
    ----------
    state : str
        Slurm's, or KILLED where a signal ended it, or UNKNOWN where Slurm has forgotten it.
    node : str
        Where it ran.
    reason : str
        In words, with what to do.
    """

    state: str
    node: str
    reason: str


def check_slurm() -> None:
    """Refuse to go on where there is no Slurm, or not what speaks with it."""
    missing = [name for name in ("sbatch", "squeue", "srun") if shutil.which(name) is None]
    if missing:
        raise ExecuteError(
            f"--executor slurm: there is no {', '.join(missing)} on this machine; run it on a "
            "login node of the cluster, or use --executor local"
        )
    try:
        import submitit  # noqa: F401
    except ImportError as error:
        raise ExecuteError(
            "--executor slurm: submitit is not installed; pip install 'roiridge[slurm]', or make "
            "install in this checkout"
        ) from error


def partitions() -> str:
    """List the partitions."""
    answer = _run_command("sinfo", "-h", "-o", "%R")
    return ", ".join(dict.fromkeys(answer.stdout.split())) if answer.returncode == 0 else ""


@dataclass(frozen=True)
class Queued:
    """A job that has not ended.

    Attributes
    ----------
    state : str
        Slurm's.
    node : str
        Where it runs; empty while it waits.
    reason : str
        Why it waits.
    """

    state: str
    node: str
    reason: str

    @property
    def label(self) -> str:
        """Its state, and why it waits, where Slurm says why."""
        reason = "" if self.node or self.reason in ("", "None") else f" ({self.reason})"
        return self.state.lower() + reason


def queue(jobs: Sequence[str], folder: Path) -> dict[str, Queued] | None:
    """Ask which jobs wait or run.

    Parameters
    ----------
    folder : Path
        That of the run which they are of: another cluster's, or a later one's, have the same
        numbers.

    Returns
    -------
    dict of str to Queued, or None
        Those that have not ended. None: Slurm does not answer now.
    """
    if not jobs:
        return {}
    masters = sorted({job.partition("_")[0] for job in jobs})
    answer = _run_command("squeue", "-h", "-r", "-j", ",".join(masters), "-o", "%i|%T|%r|%N|%o")
    if answer.returncode != 0:
        # So it says of a job that ended long ago, if it is the only one.
        return {} if "Invalid job id" in answer.stderr else None
    jobs_by_number = {}
    for line in answer.stdout.splitlines():
        name, state, reason, node, command = line.split("|", 4)
        if _belongs_to_run(folder, command):
            jobs_by_number[name] = Queued(state, node, reason)
    return {job: jobs_by_number[job] for job in jobs if job in jobs_by_number}


def _belongs_to_run(folder: Path, command: str) -> bool:
    return f"/{folder.name}/jobs/" in command


def job_end(job: str, folder: Path, resources: Resources, log: Path) -> JobEnd:
    """Say how a job ended that is not in the queue any more, and gave no result."""
    # An array's own number would give all its jobs.
    answer = _run_command("scontrol", "show", "job", job).stdout
    fields = dict(re.findall(r"(\w+)=(\S+)", answer)) if _belongs_to_run(folder, answer) else {}
    state, node = fields.get("JobState", "UNKNOWN"), fields.get("NodeList", "")
    code, _, number = fields.get("ExitCode", "0:0").partition(":")
    if number == NO_LOG and not log.exists():
        state = "UNSEEN"
    elif state == "FAILED" and (int(number or 0) or int(code) > 128):
        state, number = "KILLED", number if int(number or 0) else str(int(code) - 128)
    # Not every cluster tells the state; all print it.
    if state == "KILLED" and OUT_OF_MEMORY.search(_tail(log)):
        state = "OUT_OF_MEMORY"
    memory = f"{resources.memory:g} GB" if resources.memory else "the partition's default"
    reason = {
        "OUT_OF_MEMORY": f"ran out of memory (asked for: {memory}): ask for more with `memory`",
        "TIMEOUT": f"reached its {resources.time} minutes: ask for more with `time`",
        "NODE_FAIL": "its node failed",
        "PREEMPTED": "was preempted",
        "CANCELLED": "was cancelled",
        "KILLED": f"was killed (signal {number}), as is done where memory runs out (asked for: "
        f"{memory}): ask for more with `memory` if it happens again",
        "UNSEEN": f"could not begin: {log.parent.parent.absolute()} is not there on node {node}, "
        "or nothing can be written there; expected --out in a folder that all nodes share",
        "UNKNOWN": "is no more in Slurm's queue, and left no result",
        "FAILED": f"could not start, or broke off (exit status {code}): its log says why; without "
        f"one, look whether {node or 'its node'} sees this folder, and runs `setup`",
    }.get(state, f"ended as {state}")
    return JobEnd(state, node, reason)


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-4000:] if log.exists() else ""


def _run_command(*command: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except (subprocess.TimeoutExpired, FileNotFoundError):
        return subprocess.CompletedProcess(command, 1, "", "no answer")

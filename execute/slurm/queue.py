"""The state of Slurm jobs, in messages for users. No accounting database is needed."""

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from execute.errors import ExecuteError
from execute.slurm.cluster import Resources

# Seconds that Slurm's controller may take to answer.
PATIENCE = 60
# States of a job that was lost through no fault of its own, and may be started again.
LOST = ("NODE_FAIL", "PREEMPTED", "BOOT_FAIL", "TIMEOUT", "KILLED", "UNKNOWN")
# Signal number that Slurm reports if it could not open a job's log file.
NO_LOG = "53"
OUT_OF_MEMORY = re.compile(r"exceeded (job |step )?memory limit|oom.?kill|out of memory", re.I)


@dataclass(frozen=True)
class JobState:
    """The state of a job in the queue, or of one that ended without a result."""

    state: str  # Slurm's; KILLED if a signal ended the job, UNKNOWN if Slurm has forgotten it
    node: str  # on which it runs or ran; empty while it waits
    reason: str  # why it waits, in Slurm's words; or why it ended, with what to do

    @property
    def label(self) -> str:
        """The state in lower case, with the reason if the job waits for one."""
        reason = "" if self.node or self.reason in ("", "None") else f" ({self.reason})"
        return self.state.lower() + reason


def check_slurm() -> None:
    """Raise an error if Slurm's commands or submitit are not installed."""
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
    """Return the partitions of the cluster, joined by commas."""
    answer = _run_command("sinfo", "-h", "-o", "%R")
    return ", ".join(dict.fromkeys(answer.stdout.split())) if answer.returncode == 0 else ""


def queue(jobs: Sequence[str], folder: Path) -> dict[str, JobState] | None:
    """Return those of the jobs that wait or run, or None if Slurm does not answer now.

    Jobs of another cluster, or later ones, may have the same numbers; only those of `folder` count.
    """
    if not jobs:
        return {}
    masters = sorted({job.partition("_")[0] for job in jobs})
    answer = _run_command("squeue", "-h", "-r", "-j", ",".join(masters), "-o", "%i|%T|%r|%N|%o")
    if answer.returncode != 0:
        # Slurm's answer if the only job ended long ago.
        return {} if "Invalid job id" in answer.stderr else None
    jobs_by_number = {}
    for line in answer.stdout.splitlines():
        name, state, reason, node, command = line.split("|", 4)
        if _belongs_to_run(folder, command):
            jobs_by_number[name] = JobState(state, node, reason)
    return {job: jobs_by_number[job] for job in jobs if job in jobs_by_number}


def _belongs_to_run(folder: Path, command: str) -> bool:
    return f"/{folder.name}/jobs/" in command


def job_end(job: str, folder: Path, resources: Resources, log: Path) -> JobState:
    """Return how a job ended that is not in the queue any more and left no result."""
    # The number of one job in the array, since the array's own would return all its jobs.
    answer = _run_command("scontrol", "show", "job", job).stdout
    fields = dict(re.findall(r"(\w+)=(\S+)", answer)) if _belongs_to_run(folder, answer) else {}
    state, node = fields.get("JobState", "UNKNOWN"), fields.get("NodeList", "")
    code, _, number = fields.get("ExitCode", "0:0").partition(":")
    if number == NO_LOG and not log.exists():
        state = "UNSEEN"
    elif state == "FAILED" and (int(number or 0) or int(code) > 128):
        state, number = "KILLED", number if int(number or 0) else str(int(code) - 128)
    # Not every cluster has a state for this, but each prints it to the log.
    text = log.read_text(errors="replace") if state == "KILLED" and log.exists() else ""
    if OUT_OF_MEMORY.search(text[-4000:]):
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
    return JobState(state, node, reason)


def _run_command(*command: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except (subprocess.TimeoutExpired, FileNotFoundError):
        return subprocess.CompletedProcess(command, 1, "", "no answer")

"""The progress of runs, from the files in their folders and from Slurm."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from base.claims import has_ended, identity
from execute.runs import read_json
from execute.slurm.cluster import Resources
from execute.slurm.job import Job, jobs_in
from execute.slurm.queue import Queued, job_end, queue

# Lines of a log that are shown, from its end.
LOG_LINES = 5


@dataclass
class Unit:
    """A unit of work and its state.

    Attributes
    ----------
    name : str
        For example "subj01 lh".
    state : str
        "not begun", "waiting", "running", "done", "failed", "interrupted" or "lost".
    about : dict
        The record of the process that did it: host, job, seconds, memory, reason, log.
    planned : dict
        Planned seconds and memory; empty if there is no plan.
    """

    name: str
    state: str
    about: dict[str, Any]
    planned: dict[str, Any] = field(default_factory=dict)

    @property
    def reason(self) -> str:
        """Why the unit failed, or waits."""
        return str(self.about.get("reason") or "ended without a message")

    @property
    def location(self) -> str:
        """The job and the host, as far as they are known."""
        job, host = self.about.get("job"), self.about.get("host")
        return " on ".join([*([f"job {job}"] if job else []), *([str(host)] if host else [])])

    @property
    def last_lines(self) -> list[str]:
        """The last lines of its log."""
        log = Path(self.about.get("log") or "/dev/null")
        try:
            return log.read_text(errors="replace").splitlines()[-LOG_LINES:]
        except FileNotFoundError:
            return []


@dataclass
class Progress:
    """The progress of a run.

    Attributes
    ----------
    folder : Path
        The run's folder.
    about : dict
        The request: stage, label, command, date.
    units : list of Unit
        All units of the run.
    """

    folder: Path
    about: dict[str, Any]
    units: list[Unit]

    @property
    def counts(self) -> Counter[str]:
        """The number of units in each state."""
        return Counter(unit.state for unit in self.units)


def read_progress(out: Path) -> list[Progress]:
    """Return the progress of all runs, the earliest request first."""
    folders = [path.parent for path in (out / "runs").glob("*/run.json")]
    runs = [_progress(folder) for folder in folders if read_json(folder / "run.json")]
    return sorted(runs, key=lambda progress: progress.about["asked"])


def _progress(folder: Path) -> Progress:
    about, job_records = read_json(folder / "run.json"), read_json(folder / "jobs.json")
    jobs = {
        (group, unit): job
        for job in jobs_in(job_records)
        for group, units in job.pieces
        for unit in units
    }
    queued = queue(list({job.number for job in jobs.values()}), folder)
    failed = {name: job for job in job_records.get("failed", []) for name in job["units"]}
    units = []
    for group, unit, name in _numbered(about["groups"]):
        record = read_json(folder / f"{group}.{unit}.json")
        planned = about["planned"][group][unit] if about.get("planned") else {}
        state, job = record.get("state", "not begun"), jobs.get((group, unit))
        # Slurm's answer is used first; while it does not answer, a running unit counts as running.
        alive = job is not None and (queued is None or job.number in queued)
        if state == "running" and _is_lost(record, job.number if job and alive else ""):
            state = "lost"
        if job and state in ("not begun", "lost", "interrupted"):
            if alive:
                state, record = "waiting", {**record, **_queue_record(job, queued)}
            else:
                # No command was following the job when it ended.
                resources = Resources(**job_records.get("asked", {}))
                end = job_end(job.number, folder, resources, job.log(folder))
                failure = {"number": job.number, "node": end.node, "reason": end.reason}
                failure["log"] = str(job.log(folder))
                state, record = "failed", {**record, **_failure_record(failure)}
        elif state != "done" and name in failed:
            state, record = "failed", {**record, **_failure_record(failed[name])}
        units.append(Unit(name, state, record, planned))
    return Progress(folder, about, units)


def _numbered(groups: list[list[str]]) -> Iterator[tuple[int, int, str]]:
    for group, names in enumerate(groups):
        for unit, name in enumerate(names):
            yield group, unit, name


def _is_lost(record: dict[str, Any], job: str) -> bool:
    """Return whether a unit that was running has stopped, as far as this machine can know."""
    if record.get("job"):
        return record["job"] != job
    same_machine = record.get("host") == identity()["host"]
    return has_ended(record) or (same_machine and record.get("boot") != identity()["boot"])


def _queue_record(job: Job, queued: dict[str, Queued] | None) -> dict[str, Any]:
    if queued is None:
        return {"job": job.number, "host": "", "reason": "Slurm does not answer now"}
    entry = queued[job.number]
    return {
        "job": job.number,
        "host": entry.node,
        "reason": "begins" if entry.node else entry.reason,
    }


def _failure_record(failed: dict[str, Any]) -> dict[str, Any]:
    return {
        "job": failed["number"],
        "host": failed["node"],
        "reason": failed["reason"],
        "log": failed["log"],
    }

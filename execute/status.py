"""The progress of runs, from the files in their folders and from Slurm."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from base.claims import has_ended, identity
from execute.runs import read_json
from execute.slurm.cluster import Resources
from execute.slurm.job import Job, jobs_in
from execute.slurm.queue import JobState, job_end, queue

# Lines of a log that are shown, from its end.
LOG_LINES = 5


@dataclass
class Unit:
    """A unit of work and its state."""

    name: str  # for example "subj01 lh"
    state: str  # "not begun", "waiting", "running", "done", "failed", "interrupted" or "lost"
    # The record of the process that did it: host, job, seconds, memory, reason, log.
    about: dict[str, Any]
    planned: dict[str, Any]  # seconds and memory; empty if there is no plan

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
    """The progress of a run."""

    folder: Path
    about: dict[str, Any]  # the request: stage, label, command, date
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
    jobs = {unit: job for job in jobs_in(job_records) for unit in job.units}
    queued = queue(list({job.number for job in jobs.values()}), folder)
    failed = {name: job for job in job_records.get("failed", []) for name in job["units"]}
    units = []
    names = {
        (group, unit): name
        for group, group_names in enumerate(about["groups"])
        for unit, name in enumerate(group_names)
    }
    for (group, unit), name in names.items():
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
                log = job.log(folder)
                end = job_end(job.number, folder, resources, log)
                failure = {"job": job.number, "host": end.node, "reason": end.reason}
                state, record = "failed", {**record, **failure, "log": str(log)}
        elif state != "done" and name in failed:
            failure = failed[name]
            state = "failed"
            record |= {"job": failure["number"], "host": failure["node"]}
            record |= {"reason": failure["reason"], "log": failure["log"]}
        units.append(Unit(name, state, record, planned))
    return Progress(folder, about, units)


def _is_lost(record: dict[str, Any], job: str) -> bool:
    """Return whether a unit that was running has stopped, as far as this machine can know."""
    if record.get("job"):
        return record["job"] != job
    same_machine = record.get("host") == identity()["host"]
    return has_ended(record) or (same_machine and record.get("boot") != identity()["boot"])


def _queue_record(job: Job, queued: dict[str, JobState] | None) -> dict[str, Any]:
    if queued is None:
        return {"job": job.number, "host": "", "reason": "Slurm does not answer now"}
    node, reason = queued[job.number].node, queued[job.number].reason
    return {"job": job.number, "host": node, "reason": "begins" if node else reason}

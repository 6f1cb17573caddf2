"""The jobs of a run: submitted, followed to their end, and found again by a later command."""

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import submitit
from submitit.core.utils import FailedJobError, FailedSubmissionError

from base import RoiridgeError, claiming, run_hint, say
from execute.errors import ExecuteError
from execute.runs import read_json, write_json
from execute.slurm.cluster import Resources
from execute.slurm.job import Job, jobs_in, pack
from execute.slurm.queue import LOST, JobState, job_end, partitions, queue
from execute.slurm.task import Outcome, Piece, Task
from execute.work import Report, Unit

# Seconds between looks for results; and between queries to Slurm, at first and later.
LOOK, FIRST, ASK = 0.5, 1.0, 10.0
# Seconds until a result must be visible through a network file system.
GRACE = 60.0


def share_by_jobs(resources: Resources, task: Task, report: Report) -> None:
    """Run units of work in Slurm jobs, and wait for them.

    Jobs of an earlier command with the same request are followed, and not submitted again.
    """
    jobs, groups = _Jobs(resources, task), task.groups
    results: list[list[Any]] = [[] for _ in groups]
    find = getattr(task.work, "existing_result", None)
    left: Counter[int] = Counter()
    todo = []
    for group, units in enumerate(groups):
        for unit in range(len(units)):
            result = find(group, unit) if find else None
            if result is None:
                todo.append((group, unit))
                left[group] += 1
            else:
                results[group].append(result)
        if not left[group]:
            report(group, results[group])
    for group, n_units, new_results in jobs.run(todo):
        results[group] += new_results
        left[group] -= n_units
        if not left[group]:
            report(group, results[group])


class _Jobs:
    """Submits and follows the jobs of a run, and lists them in `jobs.json` in its folder."""

    def __init__(self, resources: Resources, task: Task) -> None:
        self._resources, self._task, self._folder = resources, task, task.run.folder
        self._path = self._folder / "jobs.json"
        self._following: list[Job] = []
        self._failed: list[dict[str, Any]] = []
        self._errors: list[Exception] = []
        self._todo: set[Unit] = set()

    def run(self, todo: Sequence[Unit]) -> Iterable[tuple[int, int, list[Any]]]:
        """Run units in jobs; yield group, number of its units, and results, as they come."""
        if not todo:
            say("nothing is left to do: no job was submitted")
            return
        self._todo = set(todo)
        try:
            self._begin(todo)
            yield from self._follow()
        except KeyboardInterrupt:
            if self._following:
                masters = sorted({job.number.partition("_")[0] for job in self._following})
                command = f"scancel {' '.join(masters)}"
                say(f"the jobs go on without this command; to end them: {command}")
            raise
        if self._errors or self._failed:
            self._raise()

    def _begin(self, todo: Sequence[Unit]) -> None:
        """Submit jobs for the units that no running job includes."""
        with claiming(self._folder / "jobs.claim"):
            self._following = self._find_earlier_jobs(self._todo)
            followed = set[Unit]().union(*(job.units for job in self._following))
            new = [unit for unit in todo if unit not in followed]
            if self._following:
                numbers = ", ".join(job.number for job in self._following)
                say(f"following the jobs that were submitted before: {numbers}")
            if new:
                self._warn_of_memory()
                self._submit(pack(new, self._task.run.costs, self._resources.minutes))

    def _warn_of_memory(self) -> None:
        """Warn if jobs are planned to need more memory than they request."""
        costs, limit = self._task.run.costs, self._resources.memory
        peak = max((cost.memory for group in costs or [] for cost in group), default=0) / 1e9
        if limit and peak > limit:
            say(
                f"warning: the plan is {peak:.1f} GB at most, but jobs ask for {limit:g} GB: "
                "increase `memory` in the --cluster file"
            )

    def _find_earlier_jobs(self, todo: set[Unit]) -> list[Job]:
        """Return the jobs of an earlier command that are still working on some of these units."""
        # The result of a job that has ended is not used: the data may have changed since.
        jobs = jobs_in(read_json(self._path))
        queued = queue([job.number for job in jobs], self._folder)
        if queued is None:
            raise ExecuteError(
                "--executor slurm: Slurm does not answer (squeue), so it cannot be known whether "
                f"the jobs of {self._folder} still run; try again when it does"
            )
        return [job for job in jobs if job.number in queued and todo.intersection(job.units)]

    def _submit(self, packed: Sequence[Sequence[Piece]], tries: int = 0) -> None:
        executor = submitit.SlurmExecutor(
            folder=self._folder / "jobs", max_num_timeout=self._resources.retries
        )
        executor.update_parameters(
            job_name=f"roiridge-{self._task.run.stage}", **self._resources.for_submitit()
        )
        tasks = [replace(self._task, pieces=pieces) for pieces in packed]
        try:
            with executor.batch():
                submitted = [executor.submit(task) for task in tasks]
        except (FailedJobError, FailedSubmissionError) as error:
            lines = [line for line in str(error).splitlines() if "error:" in line][:1]
            reason = " ".join(lines) or str(error)
            hint = f"; its partitions are {partitions()}" if "partition" in reason else ""
            raise ExecuteError(
                f"Slurm refused the jobs: {reason}{hint}; what jobs ask for is set in the "
                "--cluster file"
            ) from error
        new = [
            Job(job.job_id, pieces, tries) for job, pieces in zip(submitted, packed, strict=True)
        ]
        self._following += new
        self._write()
        numbers = f"s {new[0].number} to {new[-1].number}" if len(new) > 1 else f" {new[0].number}"
        say(f"job{numbers} submitted")

    def _write(self) -> None:
        jobs = [vars(job) for job in self._following]
        limits = self._resources.model_dump(include={"memory", "time"})
        write_json(self._path, {"jobs": jobs, "failed": self._failed, "asked": limits})

    def _follow(self) -> Iterable[tuple[int, int, list[Any]]]:
        last_query, interval, previous_line = -ASK, FIRST, ""
        missing_since: dict[str, float] = {}
        total = len(self._following)
        while self._following:
            for job in list(self._following):
                outcome = job.outcome(self._folder)
                if outcome is not None:
                    self._drop(job, outcome)
                    sizes = Counter(group for group, _ in self._todo.intersection(job.units))
                    yield from ((g, sizes[g], results) for g, results in outcome.results)
            if time.monotonic() - last_query >= interval and self._following:
                last_query, interval = time.monotonic(), min(ASK, 1.3 * interval)
                states = queue([job.number for job in self._following], self._folder)
                if states is None:
                    continue
                count = Counter(entry.label for entry in states.values())
                line = ", ".join(f"{n} {state}" for state, n in sorted(count.items()))
                if line and line != previous_line:
                    say(f"{total - len(self._following)} of {total} jobs done; {line}")
                    previous_line = line
                for job in list(self._following):
                    if job.number in states:
                        missing_since.pop(job.number, None)
                    elif self._is_lost(job, missing_since):
                        self._lose(job)
            time.sleep(LOOK)

    def _is_lost(self, job: Job, missing_since: dict[str, float]) -> bool:
        """Return whether a job that is not in the queue will leave no result any more."""
        first = missing_since.setdefault(job.number, time.monotonic())
        if job.has_result(self._folder):
            return False
        state = self._job_end(job).state
        return state not in ("COMPLETED", "COMPLETING") or time.monotonic() - first > GRACE

    def _lose(self, job: Job) -> None:
        end = self._job_end(job)
        with claiming(self._folder / "jobs.claim"):
            self._following.remove(job)
            replacements = [
                new
                for new in jobs_in(read_json(self._path))
                if new.pieces == job.pieces and new.tries > job.tries
            ]
            if replacements:
                # Another command that follows the same run has submitted it again.
                self._following += replacements
                return
            if end.state in LOST and job.tries < self._resources.retries:
                say(f"job {job.number} {end.reason}: its work is submitted again")
                self._submit([job.pieces], job.tries + 1)
                return
            units = [self._task.groups[group][unit] for group, unit in job.units]
            about = {"number": job.number, "units": units, "reason": end.reason, "node": end.node}
            self._failed.append(about | {"log": str(job.log(self._folder))})
            self._write()

    def _drop(self, job: Job, outcome: Outcome) -> None:
        """Stop following a job that has left a result or an error."""
        if outcome.error is not None:
            say(f"job {job.number} failed: {outcome.error}")
            # The records of its units hold the reason.
            self._errors.append(outcome.error)
        with claiming(self._folder / "jobs.claim"):
            self._following.remove(job)
            self._write()

    def _job_end(self, job: Job) -> JobState:
        return job_end(job.number, self._folder, self._resources, job.log(self._folder))

    def _raise(self) -> None:
        reasons: dict[str, list[str]] = {}
        for failure in self._failed:
            reasons.setdefault(failure["reason"], []).append(failure["number"])
        lost = [f"job {', '.join(jobs)} {reason}" for reason, jobs in reasons.items()]
        same = len(set(map(str, self._errors))) == 1
        if not lost and same and isinstance(self._errors[0], RoiridgeError):
            raise self._errors[0]
        # A fault that several jobs share is listed once.
        faults = "; ".join(dict.fromkeys([*lost, *map(str, self._errors)]))
        n_failed = len(self._failed) + len(self._errors)
        jobs = "a job" if n_failed == 1 else f"{n_failed} jobs"
        raise ExecuteError(
            f"{jobs} failed: {faults}; what was finished is kept: fix it and run the same "
            f"command again ({run_hint('status')} shows the logs)"
        )

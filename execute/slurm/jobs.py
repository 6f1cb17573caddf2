"""The jobs of a run: handed to Slurm, followed to their end, found again by a later command."""

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
from execute.slurm.job import Job, jobs_in
from execute.slurm.packing import pack
from execute.slurm.queue import LOST, Ended, ended, partitions, queue
from execute.slurm.task import Outcome, Piece, Task
from execute.work import Report

# Seconds between looks for results; and between questions to Slurm, at first and later.
LOOK, FIRST, ASK = 0.5, 1.0, 10.0
# So long may a result take to be seen through a network file system.
GRACE = 60.0


def share_by_jobs(resources: Resources, made: Task, report: Report) -> None:
    """Do units of work in jobs; wait for them.

    Jobs of an earlier command that asked for the same are followed, and not submitted again.
    """
    jobs, groups = _Jobs(resources, made), made.groups
    results: list[list[Any]] = [[] for _ in groups]
    find = getattr(made.work, "existing_result", None)
    todo = []
    for group, units in enumerate(groups):
        for unit in range(len(units)):
            there = find(group, unit) if find else None
            if there is None:
                todo.append((group, unit))
            else:
                results[group].append(there)
    left = Counter(group for group, _ in todo)
    for group in range(len(groups)):
        if not left[group]:
            report(group, results[group])
    for group, n_units, found in jobs.done(todo):
        results[group] += found
        left[group] -= n_units
        if not left[group]:
            report(group, results[group])


class _Jobs:
    """Submits and follows the jobs of a run; `jobs.json` in its folder says which there are."""

    def __init__(self, resources: Resources, made: Task) -> None:
        self._resources, self._made, self._folder = resources, made, made.run.folder
        self._path = self._folder / "jobs.json"
        self._following: list[Job] = []
        self._failed: list[dict[str, Any]] = []
        self._errors: list[Exception] = []
        self._todo: set[tuple[int, int]] = set()

    def done(self, todo: Sequence[tuple[int, int]]) -> Iterable[tuple[int, int, list[Any]]]:
        """Have units done.

        Yields
        ------
        (int, int, list)
            Group, number of its units, and results, as they come.
        """
        if not todo:
            say("nothing is left to do: no job was submitted")
            return
        self._todo = set(todo)
        try:
            self._begin(todo)
            yield from self._follow()
        except KeyboardInterrupt:
            if self._following:
                say(f"the jobs go on without this command; to end them: {self._scancel()}")
            raise
        if self._errors or self._failed:
            self._raise()

    def _begin(self, todo: Sequence[tuple[int, int]]) -> None:
        """Submit what no job is at."""
        with claiming(self._folder / "jobs.claim"):
            self._following = self._adopted(self._todo)
            known = {(g, u) for job in self._following for g, units in job.pieces for u in units}
            new = [unit for unit in todo if unit not in known]
            if self._following:
                numbers = ", ".join(job.number for job in self._following)
                say(f"following the jobs that were submitted before: {numbers}")
            if new:
                self._warn_of_memory()
                self._submit(pack(new, self._made.run.costs, self._resources.minutes))

    def _warn_of_memory(self) -> None:
        """Say beforehand that jobs will run out of memory, as far as a plan knows."""
        costs, asked = self._made.run.costs, self._resources.memory
        most = max((one.memory for own in costs or [] for one in own), default=0) / 1e9
        if asked and most > asked:
            say(f"warning: planned are up to {most:.1f} GB, and jobs ask for {asked:g}: `memory`")

    def _adopted(self, todo: set[tuple[int, int]]) -> list[Job]:
        """Find jobs of an earlier command that are at units which are still to be done."""
        # One that has ended did them for what was asked then: data may have changed since.
        jobs = jobs_in(read_json(self._path))
        alive = queue([job.number for job in jobs], self._folder)
        if alive is None:
            raise ExecuteError(
                "--executor slurm: Slurm does not answer (squeue), so it cannot be known whether "
                f"the jobs of {self._folder} still run; try again when it does"
            )
        return [
            job
            for job in jobs
            if job.number in alive
            and todo.intersection((g, u) for g, units in job.pieces for u in units)
        ]

    def _submit(self, packed: Sequence[Sequence[Piece]], tries: int = 0) -> None:
        executor = submitit.SlurmExecutor(
            folder=self._folder / "jobs", max_num_timeout=self._resources.retries
        )
        executor.update_parameters(
            job_name=f"roiridge-{self._made.run.stage}", **self._resources.for_submitit()
        )
        try:
            with executor.batch():
                made = [executor.submit(replace(self._made, pieces=own)) for own in packed]
        except (FailedJobError, FailedSubmissionError) as error:
            said = [line for line in str(error).splitlines() if "error:" in line][:1]
            why = " ".join(said) or str(error)
            known = f"; its partitions are {partitions()}" if "partition" in why else ""
            raise ExecuteError(
                f"Slurm refused the jobs: {why}{known}; what jobs ask for is set in the --cluster "
                "file"
            ) from error
        new = [Job(one.job_id, own, tries) for one, own in zip(made, packed, strict=True)]
        self._following += new
        self._write()
        to = f"s {new[0].number} to {new[-1].number}" if len(new) > 1 else f" {new[0].number}"
        say(f"job{to} submitted")

    def _write(self) -> None:
        jobs = [vars(job) for job in self._following]
        asked = self._resources.model_dump(include={"memory", "time"})
        write_json(self._path, {"jobs": jobs, "failed": self._failed, "asked": asked})

    def _follow(self) -> Iterable[tuple[int, int, list[Any]]]:
        asked, every, told = -ASK, FIRST, ""
        gone: dict[str, float] = {}
        total = len(self._following)
        while self._following:
            for job in list(self._following):
                outcome = job.outcome(self._folder)
                if outcome is not None:
                    self._drop(job, outcome)
                    yield from self._taken(job, outcome)
            if time.monotonic() - asked >= every and self._following:
                asked, every = time.monotonic(), min(ASK, 1.3 * every)
                states = queue([job.number for job in self._following], self._folder)
                if states is None:
                    continue
                count = Counter(one.told for one in states.values())
                line = ", ".join(f"{n} {state}" for state, n in sorted(count.items()))
                if line and line != told:
                    say(f"{total - len(self._following)} of {total} jobs done; {line}")
                    told = line
                for job in list(self._following):
                    if job.number in states:
                        gone.pop(job.number, None)
                    elif self._is_lost(job, gone):
                        self._lose(job)
            time.sleep(LOOK)

    def _is_lost(self, job: Job, gone: dict[str, float]) -> bool:
        """Say whether a job that is not in the queue will give no result any more."""
        first = gone.setdefault(job.number, time.monotonic())
        if job.gave(self._folder):
            return False
        state = self._ended(job).state
        return state not in ("COMPLETED", "COMPLETING") or time.monotonic() - first > GRACE

    def _lose(self, job: Job) -> None:
        how = self._ended(job)
        with claiming(self._folder / "jobs.claim"):
            self._following.remove(job)
            again = [
                o
                for o in jobs_in(read_json(self._path))
                if o.pieces == job.pieces and o.tries > job.tries
            ]
            if again:
                # Another command that follows the same run was first.
                self._following += again
                return
            if how.state in LOST and job.tries < self._resources.retries:
                say(f"job {job.number} {how.why}: its work is submitted again")
                self._submit([job.pieces], job.tries + 1)
                return
            self._fail(job, how.why, how.node)
            self._write()

    def _fail(self, job: Job, reason: str, node: str) -> None:
        units = [self._made.groups[g][u] for g, own in job.pieces for u in own]
        about = {"number": job.number, "units": units, "reason": reason, "node": node}
        self._failed.append(about | {"log": str(job.log(self._folder))})

    def _drop(self, job: Job, outcome: Outcome) -> None:
        """Follow a job no longer that gave something, if only what stopped it."""
        if outcome.error is not None:
            say(f"job {job.number} failed: {outcome.error}")
            # Its units say themselves why they failed.
            self._errors.append(outcome.error)
        with claiming(self._folder / "jobs.claim"):
            self._following.remove(job)
            self._write()

    def _taken(self, job: Job, outcome: Outcome) -> Iterable[tuple[int, int, list[Any]]]:
        sizes = {g: sum((g, u) in self._todo for u in units) for g, units in job.pieces}
        for group, found in outcome.results:
            yield group, sizes[group], found

    def _ended(self, job: Job) -> Ended:
        return ended(job.number, self._folder, self._resources, job.log(self._folder))

    def _raise(self) -> None:
        reasons: dict[str, list[str]] = {}
        for one in self._failed:
            reasons.setdefault(one["reason"], []).append(one["number"])
        lost = [f"job {', '.join(jobs)} {reason}" for reason, jobs in reasons.items()]
        same = len(set(map(str, self._errors))) == 1
        if not lost and same and isinstance(self._errors[0], RoiridgeError):
            raise self._errors[0]
        # The same fault in every job is said once.
        every = "; ".join(dict.fromkeys([*lost, *map(str, self._errors)]))
        n_failed = len(self._failed) + len(self._errors)
        jobs = "a job" if n_failed == 1 else f"{n_failed} jobs"
        raise ExecuteError(
            f"{jobs} failed: {every}; what was finished is kept: mend it and run the same "
            f"command again ({run_hint('status')} shows the logs)"
        )

    def _scancel(self) -> str:
        masters = sorted({job.number.partition("_")[0] for job in self._following})
        return f"scancel {' '.join(masters)}"

"""A Slurm job, its files in the folder of a run, and the packing of units of work into jobs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from execute.errors import ExecuteError
from execute.forecast.cost import Cost
from execute.slurm.task import Outcome, Piece
from execute.work import Unit


@dataclass
class Job:
    """A Slurm job that does some units."""

    number: str  # in Slurm: "12", or "12_3" in an array
    pieces: Sequence[Piece]
    tries: int = 0  # how often the job was started again

    @property
    def units(self) -> list[Unit]:
        """The group and number of each of its units."""
        return [(group, unit) for group, units in self.pieces for unit in units]

    def has_result(self, folder: Path) -> bool:
        """Return whether the job has left a result."""
        return (folder / "jobs" / f"{self.number}_0_result.pkl").exists()

    def outcome(self, folder: Path) -> Outcome | None:
        """Read the result of the job; None if there is none yet."""
        if not self.has_result(folder):
            return None
        import submitit

        slurm_job = submitit.SlurmJob[Outcome](folder / "jobs", self.number, tasks=[0])
        error = slurm_job.exception()
        if error is None:
            return slurm_job.result()
        last = str(error).strip().splitlines()[-1]
        message = f"job {self.number} broke off: {last}; its log: {self.log(folder)}"
        return Outcome(error=ExecuteError(message))

    def log(self, folder: Path) -> Path:
        """Return the file that the job prints to."""
        return folder / "jobs" / f"{self.number}_0_log.out"


def jobs_in(record: Mapping[str, Any]) -> list[Job]:
    """Return the jobs of `jobs.json`, which had not ended when it was written."""
    jobs = record.get("jobs", [])
    return [Job(o["number"], [(g, tuple(u)) for g, u in o["pieces"]], o["tries"]) for o in jobs]


def pack(
    units: Sequence[Unit], costs: Sequence[Sequence[Cost]] | None, minutes: float
) -> list[list[Piece]]:
    """Pack units, (group, unit), into tasks of some minutes, if possible with groups together.

    A unit that takes longer is a task by itself; without costs, each unit is.
    """
    tasks: list[list[Unit]] = []
    seconds = 0.0
    for group, unit in units:
        unit_seconds = costs[group][unit].seconds if costs else 60 * minutes
        if not tasks or seconds + unit_seconds > 60 * minutes:
            tasks.append([])
            seconds = 0.0
        tasks[-1].append((group, unit))
        seconds += unit_seconds
    return [_pieces(task) for task in tasks]


def _pieces(task: Sequence[Unit]) -> list[Piece]:
    by_group = groupby(task, itemgetter(0))
    return [(group, tuple(number for _, number in units)) for group, units in by_group]

"""A job of Slurm, and the files that it leaves in a run's folder."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from execute.errors import ExecuteError
from execute.slurm.task import Outcome, Piece


@dataclass
class Job:
    """A job of Slurm that does some units.

    Attributes
    ----------
    number : str
        Slurm's: "12", or "12_3" of an array.
    pieces : sequence of (int, tuple of int)
        Groups, and units of each.
    tries : int
        How often it was started again.
    """

    number: str
    pieces: Sequence[Piece]
    tries: int = 0

    def has_result(self, folder: Path) -> bool:
        """Say whether it has given something."""
        return (folder / "jobs" / f"{self.number}_0_result.pkl").exists()

    def outcome(self, folder: Path) -> Outcome | None:
        """Read what it gave."""
        if not self.has_result(folder):
            return None
        import submitit

        slurm_job = submitit.SlurmJob[Outcome](
            folder=folder / "jobs", job_id=self.number, tasks=[0]
        )
        error = slurm_job.exception()
        if error is None:
            return slurm_job.result()
        last = str(error).strip().splitlines()[-1]
        message = f"job {self.number} broke off: {last}; its log: {self.log(folder)}"
        return Outcome(error=ExecuteError(message))

    def log(self, folder: Path) -> Path:
        """Name the file that it prints to."""
        return folder / "jobs" / f"{self.number}_0_log.out"


def jobs_in(record: Mapping[str, Any]) -> list[Job]:
    """List the jobs that a command submitted and has not seen the end of."""
    jobs = record.get("jobs", [])
    return [Job(o["number"], [(g, tuple(u)) for g, u in o["pieces"]], o["tries"]) for o in jobs]

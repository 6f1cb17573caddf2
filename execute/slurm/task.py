"""The task of a Slurm job: units of work, done on its node with the devices there."""

import logging
import os
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from base import RoiridgeError
from base.progress import log_lines
from execute.errors import ExecuteError
from execute.local import share_here
from execute.recording import RecordedWork
from execute.runs import Run
from execute.work import Groups, Work, package_of

# Number of a group, and of some of its units.
Piece = tuple[int, tuple[int, ...]]


@dataclass
class Outcome:
    """The outcome of a task."""

    # Number and results of each group of which it did some units.
    results: list[tuple[int, list[Any]]] = field(default_factory=list)
    error: Exception | None = None  # that stopped it, if it is one that the user can fix


@dataclass(frozen=True)
class Task:
    """Units of work for one job; it is pickled, so it holds names and numbers, and no arrays."""

    pieces: Sequence[Piece]
    groups: Groups
    devices: Any  # `Devices`, which choose those of the node
    run: Run
    work: Work
    command: list[str]  # the user's command line
    data: Path | None = None  # the challenge directory, which must be visible on the node

    def __call__(self) -> Outcome:
        """Run the units on the node, and return their outcome."""
        # Instead of submitit's command, for the provenance of results.
        sys.orig_argv = self.command
        log_lines(package_of(self.work))
        logging.getLogger("submitit").setLevel(logging.WARNING)
        outcome = Outcome()

        def report(number: int, results: list[Any]) -> None:
            outcome.results.append((self.pieces[number][0], results))

        names = [[self.groups[group][unit] for unit in units] for group, units in self.pieces]
        try:
            self._check_folders()
            recorded = RecordedWork(_TimeLimited(self.work), self.run, _log_file())
            work = _Renumbered(self.pieces, recorded)
            with _explain_timeout():
                share_here(self.devices.choose(), self.devices.begin, names, work, report)
        except (RoiridgeError, OSError) as error:
            print(f"error: {error}", file=sys.stderr, flush=True)
            outcome.error = error
        return outcome

    def checkpoint(self) -> Any:
        """Return the task to submit again when the job was preempted or reached its time limit."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)

    def _check_folders(self) -> None:
        node = socket.gethostname()
        if not (self.run.folder / "run.json").exists():
            raise ExecuteError(_unseen_message(self.run.folder, node, "--out"))
        if self.data and not self.data.exists():
            reason = _unseen_message(self.data, node, "--data")
            for group, units in self.pieces:
                for unit in units:
                    self.run.record_failure(group, unit, reason, _log_file())
            raise ExecuteError(reason)


def _unseen_message(folder: Path, node: str, option: str) -> str:
    return (
        f"{folder.absolute()} is not there on node {node}; expected {option} in a folder that all "
        "nodes share"
    )


@dataclass(frozen=True)
class _Renumbered:
    """The work of some units, numbered from 0."""

    pieces: Sequence[Piece]
    work: Work

    def __call__(self, number: int, units: Iterator[int]) -> Any:
        group, numbers = self.pieces[number]
        return self.work(group, (numbers[unit] for unit in units))


@dataclass(frozen=True)
class _TimeLimited:
    """Work that explains the error of a job that has reached its time limit too often."""

    work: Work

    def __call__(self, number: int, units: Iterator[int]) -> Any:
        with _explain_timeout():
            return self.work(number, units)


@contextmanager
def _explain_timeout() -> Iterator[None]:
    # An optional dependency, which `make status` does not need.
    from submitit.core.utils import UncompletedJobError

    try:
        yield
    except UncompletedJobError as error:
        raise ExecuteError(
            "reached its time once more than `retries` lets a job be started again: run the same "
            "command again, which goes on, or ask for more with `time`"
        ) from error


def _log_file() -> str:
    """Return the file that the job prints to, or ""."""
    folder = os.environ.get("SUBMITIT_FOLDER", "")
    array, task, job = (
        os.environ.get(f"SLURM_{name}", "") for name in ("ARRAY_JOB_ID", "ARRAY_TASK_ID", "JOB_ID")
    )
    number = f"{array}_{task}" if array else job
    return str(Path(folder) / f"{number}_0_log.out") if folder else ""

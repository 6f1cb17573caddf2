"""The choice of where work is done, and the one call by which stages hand it over."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from base import convert_paths, list_choices
from execute.errors import ExecuteError
from execute.local import share_here
from execute.recording import Recorded
from execute.runs import Run
from execute.slurm.cluster import Resources, read_cluster
from execute.work import Groups, Report, Work

EXECUTORS = ("local", "slurm")


@dataclass(frozen=True)
class Executor:
    """Where work is done.

    Attributes
    ----------
    resources : Resources or None
        What the jobs of a cluster ask for; None: on this machine.
    data : Path, optional
        The challenge directory, which must be seen there.
    """

    resources: Resources | None = None
    data: Path | None = None

    @property
    def is_local(self) -> bool:
        """Whether it is this machine."""
        return self.resources is None


@dataclass(frozen=True)
class Place:
    """The devices of the machine that does the work; it may be another than this.

    Attributes
    ----------
    choose : callable
        Gives their names there, as for `share_here`.
    begin : callable
        Takes the kind of device, and is called first in each process.
    """

    choose: Callable[[], Sequence[str]]
    begin: Callable[[str], object]


def _this_process() -> list[str]:
    return ["cpu"]


def _nothing(_: str) -> None:
    pass


# For work that chooses devices itself: it is done in one process of the machine.
ALONE = Place(_this_process, _nothing)


@convert_paths
def choose_executor(
    executor: str, cluster: Path | None, stage: str, data: Path | None = None
) -> Executor:
    """Turn the user's words into an executor.

    Parameters
    ----------
    executor : str
        "local" or "slurm".
    cluster : Path or None
        For Slurm: what jobs ask for, as `read_cluster` reads it.
    stage : str
        Whose work it is.
    data : Path, optional
        The challenge directory.

    Returns
    -------
    Executor
        The same for all work of the stage.

    Raises
    ------
    ExecuteError
        If there is no such executor, or no Slurm here, or nothing that takes a cluster's file.
    """
    if executor not in EXECUTORS:
        raise ExecuteError(
            f"--executor {executor}: expected one of {list_choices(executor, EXECUTORS)}"
        )
    if executor == "local":
        if cluster is not None:
            raise ExecuteError(
                f"--cluster {cluster}: is for --executor slurm (EXECUTOR=slurm), and this is local"
            )
        return Executor()
    # submitit is an extra.
    from execute.slurm.queue import check_slurm

    check_slurm()
    # What is not here either, the work itself will miss, if it needs it.
    there = data.absolute() if data and data.exists() else None
    return Executor(read_cluster(cluster, stage), there)


def share(
    executor: Executor, place: Place, run: Run, groups: Groups, work: Work, report: Report
) -> None:
    """Do units of work, and record them.

    Parameters
    ----------
    executor : Executor
        Where.
    place : Place
        With which devices.
    run : Run
        What it is, and where it is recorded.
    groups : sequence of sequence of str
        The units of each group, by name.
    work : callable
        Runs units of a group. It may have a method `existing_result`, which takes the number of a
        group and of a unit and returns the stored result, or None if the unit is still to be done.
    report : callable
        Takes the number of a group that is done, and what `work` gave for it.

    Raises
    ------
    ExecuteError
        If jobs cannot be handed over; what `share_here` and `share_by_jobs` raise, too.
    """
    recorded = run.begin(groups)
    if executor.resources is None:
        own = Recorded(work, run) if recorded else work
        share_here(place.choose(), place.begin, groups, own, report)
        return
    if not recorded:
        raise ExecuteError(
            f"{run.folder}: nothing can be written there; jobs are handed over in that folder: "
            "give another with --out"
        )
    from execute.slurm.jobs import share_by_jobs
    from execute.slurm.task import Task

    made = Task([], groups, place, run, work, sys.orig_argv, executor.data)
    share_by_jobs(executor.resources, made, report)

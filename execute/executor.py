"""The choice of an executor, and `share`, by which stages hand over their work."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from base import convert_paths, list_choices
from execute.errors import ExecuteError
from execute.local import share_here
from execute.recording import RecordedWork
from execute.runs import Run
from execute.work import Groups, Report, Work

if TYPE_CHECKING:
    from execute.slurm.cluster import Resources

EXECUTORS = ("local", "slurm")


@dataclass(frozen=True)
class Executor:
    """The place of execution: this machine, or the jobs of a cluster.

    Attributes
    ----------
    resources : Resources or None
        Resources of each job; None for this machine.
    data : Path, optional
        The challenge directory, which must be visible on the nodes of the cluster.

    Examples
    --------
    >>> Executor().is_local
    True
    """

    resources: "Resources | None" = None
    data: Path | None = None

    @property
    def is_local(self) -> bool:
        """Whether the work runs on this machine."""
        return self.resources is None


@dataclass(frozen=True)
class Devices:
    """The devices of the machine that does the work, which may be a node of a cluster.

    Attributes
    ----------
    choose : callable
        Returns the names of the devices there, as `share_here` takes them.
    begin : callable
        Called first in each process, with the kind of device, "cpu" or "cuda".

    Examples
    --------
    >>> Devices(choose=lambda: ["cuda:0", "cuda:1"], begin=print).choose()
    ['cuda:0', 'cuda:1']
    """

    choose: Callable[[], Sequence[str]]
    begin: Callable[[str], object]


def _cpu_only() -> list[str]:
    return ["cpu"]


def _no_setup(_: str) -> None:
    pass


# For work that chooses its devices itself: it runs in one process.
ALONE = Devices(_cpu_only, _no_setup)


@convert_paths
def choose_executor(
    executor: str, cluster: Path | None, stage: str, data: Path | None = None
) -> Executor:
    """Return the executor for the options of the command line.

    Parameters
    ----------
    executor : str
        "local" or "slurm".
    cluster : Path or None
        File of the jobs' resources, as `read_cluster` reads it; only for Slurm.
    stage : str
        The stage, whose section of the file applies.
    data : Path, optional
        The challenge directory.

    Returns
    -------
    Executor
        The executor for all work of the stage.

    Raises
    ------
    ExecuteError
        If the executor is unknown, Slurm is not available, or a file is given for "local".

    Examples
    --------
    >>> choose_executor("local", cluster=None, stage="fit")
    Executor(resources=None, data=None)
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
    from execute.slurm.cluster import read_cluster
    from execute.slurm.queue import check_slurm

    check_slurm()
    # If the data do not exist here either, the work itself fails where it needs them.
    data_folder = data.absolute() if data and data.exists() else None
    return Executor(read_cluster(cluster, stage), data_folder)


def share(
    executor: Executor, devices: Devices, run: Run, groups: Groups, work: Work, report: Report
) -> None:
    """Run units of work, here or in jobs of a cluster, and record each.

    Parameters
    ----------
    executor : Executor
        This machine, or the resources of the jobs.
    devices : Devices
        The devices to use on the machine that does the work.
    run : Run
        The run that the work belongs to, and its folder of records.
    groups : sequence of sequence of str
        The units of each group, by name.
    work : callable
        Runs units of a group. It may have a method `existing_result`, which takes the number of a
        group and of a unit and returns the stored result, or None if the unit is still to be done.
    report : callable
        Called with the number of each finished group, and the results of `work` for it.

    Raises
    ------
    ExecuteError
        If jobs cannot be submitted; also what `share_here` and `share_by_jobs` raise.

    Examples
    --------
    >>> def fit_units(group, units):
    ...     return len(list(units))
    >>> run = Run(Path("runs/fit-1"), "fit", "ridge on clip", ["python", "analysis.py"])
    >>> share(Executor(), ALONE, run, [["subj01 lh", "subj01 rh"]], fit_units, report=print)
    0 [2]
    """
    recorded = run.begin(groups)
    if executor.resources is None:
        recorded_work = RecordedWork(work, run) if recorded else work
        share_here(devices.choose(), devices.begin, groups, recorded_work, report)
        return
    if not recorded:
        raise ExecuteError(
            f"{run.folder}: cannot be written to, and jobs are submitted through that folder: give "
            "another with --out"
        )
    from execute.slurm.jobs import share_by_jobs
    from execute.slurm.task import Task

    task = Task([], groups, devices, run, work, sys.orig_argv, executor.data)
    share_by_jobs(executor.resources, task, report)

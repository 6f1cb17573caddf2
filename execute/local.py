"""Several devices: a process for each, which does units of work until none is left."""

import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

from base import say, signal_blocked
from execute.errors import ExecuteError
from execute.threads import one_of
from execute.work import Unit, Work
from execute.worker import serve

# Seconds that a process has to stop in; then it is killed, which loses no more than a checkpoint.
GRACE = 10.0


def share_here(
    devices: Sequence[str],
    begin: Callable[[str], object],
    groups: Sequence[Sequence[str]],
    work: Work,
    report: Callable[[int, list[Any]], None],
) -> None:
    """Do units of work on devices.

    Units of a group have much in common, such as a subject's features, so that a process goes on
    with those of its group while there are any.

    Parameters
    ----------
    devices : sequence of str
        For example "cpu" or "cuda:1". A single one without a number is this process; one that is
        there twice is two processes, which have as many processors each.
    begin : callable
        Takes the kind of device, "cpu" or "cuda", and is called first in each process.
    work : callable
        Does units of a group: takes the group's number and those of the units, as they come, and
        takes them all. It is pickled for other processes, as is what it gives.
    report : callable
        Takes the number of a group that is done, and what `work` gave for it: in a list, from each
        process that did some of its units.
    """
    if len(devices) == 1 and _kind_of(devices[0]) == devices[0]:
        begin(devices[0])
        for number, units in enumerate(groups):
            report(number, [work(number, iter(range(len(units))))])
        return
    several, every = _Several(groups, report), ",".join(devices)
    names = _told_apart(devices)
    busy, idle = names[: several.n_units], names[several.n_units :]
    if idle:
        what = ", ".join(name for units in groups for name in units)
        stay = "stay" if len(idle) > 1 else "stays"
        say(f"{', '.join(idle)} {stay} idle: side by side can be done only {what}")
    try:
        for device, name in zip(devices, busy, strict=False):
            serving = partial(serve, begin=partial(begin, _kind_of(device)), work=work)
            several.workers.append(_start(device, len(busy), name, serving, several.choose(None)))
        several.run(every)
    finally:
        several.stop()


def _kind_of(device: str) -> str:
    return device.partition(":")[0]


def _told_apart(devices: Sequence[str]) -> list[str]:
    """Name processes by their devices, numbered where one is there twice."""
    seen: Counter[str] = Counter()
    names = []
    for device in devices:
        seen[device] += 1
        names.append(f"{device} ({seen[device]})" if devices.count(device) > 1 else device)
    return names


@dataclass
class _Worker:
    """A process, as seen from the one that started it."""

    name: str
    process: SpawnProcess
    pipe: Connection
    # What it does, or is to do first; its number in the order in which units were given; and how
    # many of each group it was given that it has not yet given results of.
    unit: Unit | None
    nth: int = 0
    given: Counter[int] = field(default_factory=Counter)


def _start(
    device: str, n_beside: int, name: str, serving: Callable[..., None], first: Unit | None
) -> _Worker:
    context = get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=serving, args=(there, sys.orig_argv), daemon=True)
    with signal_blocked(signal.SIGINT), _seeing(device), one_of(n_beside):
        process.start()
    # Only the process has it now, so that its end is noticed.
    there.close()
    return _Worker(name, process, here, first)


@contextmanager
def _seeing(device: str) -> Iterator[None]:
    """Let processes that are started meanwhile see only one GPU, as the first.

    Neither himalaya nor Lightning, which each choose a GPU, can then choose another.
    """
    name, before = "CUDA_VISIBLE_DEVICES", os.environ.get("CUDA_VISIBLE_DEVICES")
    number = device.partition(":")[2]
    if number:
        # Numbers count those that this process was given, as by a batch system.
        os.environ[name] = before.split(",")[int(number)] if before else number
    try:
        yield
    finally:
        if number and before is None:
            del os.environ[name]
        elif before is not None:
            os.environ[name] = before


class _Several:
    """Gives units to processes, shows what they say, and collects their results."""

    def __init__(
        self, groups: Sequence[Sequence[str]], report: Callable[[int, list[Any]], None]
    ) -> None:
        self.workers: list[_Worker] = []
        self.n_units, self._n_given = sum(map(len, groups)), 0
        self._groups, self._report = groups, report
        self._left = [list(range(len(units))) for units in groups]
        self._undone = [len(units) for units in groups]
        self._results: list[list[Any]] = [[] for _ in groups]

    def run(self, every: str) -> None:
        """Serve the processes until all have ended."""
        running = list(self.workers)
        while running:
            ready = wait([worker.pipe for worker in running])
            for worker in [one for one in running if one.pipe in ready]:
                try:
                    kind, *told = worker.pipe.recv()
                    if kind == "ask":
                        self._give(worker)
                except (EOFError, OSError):
                    self._check_end(worker, every)
                    running.remove(worker)
                    continue
                if kind == "line":
                    self._show(worker, *told)
                elif kind == "done":
                    self._take(worker, *told)
                elif kind == "failed":
                    raise told[0]

    def choose(self, group: int | None) -> Unit | None:
        """Choose a unit of a group, or else of the first group of which the most are left."""
        left = [group for group, units in enumerate(self._left) if units]
        if not left:
            return None
        if group not in left:
            group = max(left, key=lambda one: len(self._left[one]))
        return group, self._left[group].pop(0)

    def _give(self, worker: _Worker) -> None:
        """Give a process its first unit, or the next."""
        if worker.nth and worker.unit:
            worker.unit = self.choose(worker.unit[0])
        if worker.unit:
            worker.given[worker.unit[0]] += 1
            self._n_given += 1
            worker.nth = self._n_given
        worker.pipe.send(worker.unit)

    def _take(self, worker: _Worker, group: int, result: Any) -> None:
        self._results[group].append(result)
        self._undone[group] -= worker.given.pop(group)
        if not self._undone[group]:
            self._report(group, self._results[group])

    def _check_end(self, worker: _Worker, every: str) -> None:
        """Refuse the end of a process that had work left."""
        worker.process.join()
        code = worker.process.exitcode or 0
        if code == 0 and worker.unit is None and not worker.given:
            return
        by = -code if code < 0 else code - 128
        how = f"ended with exit status {code}"
        if by in set(signal.Signals):
            how = f"was ended by {signal.Signals(by).name}"
        if by == signal.SIGKILL:
            how += ", as the system does when memory runs out"
        where = "its end"
        if worker.unit:
            where = self._groups[worker.unit[0]][worker.unit[1]] if worker.nth else "its start"
        raise ExecuteError(
            f"--device {every}: the process on {worker.name} {how}, at {where}; what was "
            "finished is kept: run it again, with fewer devices if memory was short"
        )

    def _show(self, worker: _Worker, to_errors: bool, line: str) -> None:
        which = f", {worker.nth} of {self.n_units}" if worker.nth else ""
        told = f"[{worker.name}{which}] {line}"
        if to_errors:
            print(told, file=sys.stderr, flush=True)
        else:
            say(told)

    def stop(self) -> None:
        """Stop those processes that still run."""
        for worker in self.workers:
            worker.process.terminate()
        end = time.monotonic() + GRACE
        try:
            for worker in self.workers:
                worker.process.join(max(0, end - time.monotonic()))
        finally:
            for worker in self.workers:
                worker.process.kill()
                worker.pipe.close()

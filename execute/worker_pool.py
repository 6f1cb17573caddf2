"""Processes, one for each device of this machine, which take units of work until none is left."""

import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

import joblib

from base import say
from base.processes import signal_blocked
from execute.errors import ExecuteError
from execute.work import Groups, Report, Unit, Work, device_kind
from execute.worker import serve

# Seconds in which a process has to stop before it is killed; no more than the work since its last
# checkpoint is lost.
GRACE = 10.0
# Variables with a number of threads, which numerical libraries, at their first import, and joblib
# read.
THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "LOKY_MAX_CPU_COUNT",
)


def share_among_processes(
    devices: Sequence[str],
    begin: Callable[[str], object],
    groups: Groups,
    work: Work,
    report: Report,
) -> None:
    """Run units of work in a process for each device; the arguments are those of `share_here`."""
    pool, device_option = _WorkerPool(groups, report), ",".join(devices)
    names = _process_names(devices)
    busy, idle = names[: pool.n_units], names[pool.n_units :]
    if idle:
        unit_names = ", ".join(name for units in groups for name in units)
        verb = "stay" if len(idle) > 1 else "stays"
        say(f"{', '.join(idle)} {verb} idle: there is no more work than {unit_names}")
    try:
        for device, name in zip(devices, busy, strict=False):
            serving = partial(serve, begin=partial(begin, device_kind(device)), work=work)
            pool.workers.append(_start(device, len(busy), name, serving, pool.choose(None)))
        pool.run(device_option)
    finally:
        pool.stop()


def _process_names(devices: Sequence[str]) -> list[str]:
    """Return the names of processes: their devices, numbered where a device is listed twice."""
    numbers = [devices[: n + 1].count(device) for n, device in enumerate(devices)]
    return [
        f"{device} ({number})" if devices.count(device) > 1 else device
        for device, number in zip(devices, numbers, strict=True)
    ]


@dataclass
class _Worker:
    """A process, as seen from the one that started it."""

    name: str
    process: SpawnProcess
    pipe: Connection
    # The current unit, or the first one to do; its number in the order of assignment; and, for each
    # group, the number of assigned units whose results have not come back yet.
    unit: Unit | None
    nth: int = 0
    pending: Counter[int] = field(default_factory=Counter)


def _start(
    device: str, n_processes: int, name: str, serving: Callable[..., None], first: Unit | None
) -> _Worker:
    context = get_context("spawn")
    parent_end, child_end = context.Pipe()
    process = context.Process(target=serving, args=(child_end, sys.orig_argv), daemon=True)
    variables = _gpu_variables(device) | _thread_variables(n_processes)
    with signal_blocked(signal.SIGINT), _environment(variables):
        process.start()
    # Only the process holds this end now, so that its exit closes the pipe.
    child_end.close()
    return _Worker(name, process, parent_end, first)


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables of the environment for processes that are started meanwhile."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _gpu_variables(device: str) -> dict[str, str]:
    """Make one GPU, as the first, the only one that a process can see.

    Neither himalaya nor Lightning, which each choose a GPU, can then choose another.
    """
    number, visible = device.partition(":")[2], os.environ.get("CUDA_VISIBLE_DEVICES")
    if not number:
        return {}
    # Numbers count the GPUs that this process may use, as a batch system has set them.
    return {"CUDA_VISIBLE_DEVICES": visible.split(",")[int(number)] if visible else number}


def _thread_variables(n_processes: int) -> dict[str, str]:
    """Give each process an equal share of the processors, unless the user has set the threads."""
    names = [name for name in THREADS if name not in os.environ] if n_processes > 1 else []
    return dict.fromkeys(names, str(max(1, joblib.cpu_count() // n_processes)))


class _WorkerPool:
    """Assigns units to processes, prints their output, and collects their results."""

    def __init__(self, groups: Groups, report: Report) -> None:
        self.workers: list[_Worker] = []
        self.n_units, self._n_assigned = sum(map(len, groups)), 0
        self._groups, self._report = groups, report
        self._left = [list(range(len(units))) for units in groups]
        self._n_unfinished = [len(units) for units in groups]
        self._results: list[list[Any]] = [[] for _ in groups]

    def run(self, device_option: str) -> None:
        """Answer the processes until all have ended."""
        running = list(self.workers)
        while running:
            ready = wait([worker.pipe for worker in running])
            for worker in [worker for worker in running if worker.pipe in ready]:
                try:
                    kind, *message = worker.pipe.recv()
                    if kind == "ask":
                        self._assign(worker)
                except (EOFError, OSError):
                    self._check_end(worker, device_option)
                    running.remove(worker)
                    continue
                if kind == "line":
                    self._print_line(worker, *message)
                elif kind == "done":
                    self._collect(worker, *message)
                elif kind == "failed":
                    raise message[0]

    def choose(self, group: int | None) -> Unit | None:
        """Return the next unit of a group or, if none is left, of the group with the most left."""
        left = [group for group, units in enumerate(self._left) if units]
        if not left:
            return None
        if group not in left:
            group = max(left, key=lambda number: len(self._left[number]))
        return group, self._left[group].pop(0)

    def _assign(self, worker: _Worker) -> None:
        """Send a process its first or next unit, or None if none is left."""
        if worker.nth and worker.unit:
            worker.unit = self.choose(worker.unit[0])
        if worker.unit:
            worker.pending[worker.unit[0]] += 1
            self._n_assigned += 1
            worker.nth = self._n_assigned
        worker.pipe.send(worker.unit)

    def _collect(self, worker: _Worker, group: int, result: Any) -> None:
        self._results[group].append(result)
        self._n_unfinished[group] -= worker.pending.pop(group)
        if not self._n_unfinished[group]:
            self._report(group, self._results[group])

    def _check_end(self, worker: _Worker, device_option: str) -> None:
        """Raise an error if a process ended before it had finished its work."""
        worker.process.join()
        code = worker.process.exitcode or 0
        if code == 0 and worker.unit is None and not worker.pending:
            return
        signal_number = -code if code < 0 else code - 128
        reason = f"ended with exit status {code}"
        if signal_number in set(signal.Signals):
            reason = f"was ended by {signal.Signals(signal_number).name}"
        if signal_number == signal.SIGKILL:
            reason += ", as the system does when memory runs out"
        step = "its end"
        if worker.unit:
            step = self._groups[worker.unit[0]][worker.unit[1]] if worker.nth else "its start"
        raise ExecuteError(
            f"--device {device_option}: the process on {worker.name} {reason}, at {step}; what was "
            "finished is kept: run it again, with fewer devices if memory was short"
        )

    def _print_line(self, worker: _Worker, to_errors: bool, line: str) -> None:
        progress = f", {worker.nth} of {self.n_units}" if worker.nth else ""
        text = f"[{worker.name}{progress}] {line}"
        if to_errors:
            print(text, file=sys.stderr, flush=True)
        else:
            say(text)

    def stop(self) -> None:
        """Stop all processes that are still running."""
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

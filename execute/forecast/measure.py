"""Time and peak memory of work, as on a machine that nobody else uses."""

import importlib
import logging
import resource
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from base.processes import end_with_parent, signal_blocked
from execute.errors import ExecuteError

Values = dict[str, float]


def measure_process(
    work: Callable[..., Values] | None = None, *arguments: Any, imports: Sequence[str] = ()
) -> Values:
    """Import modules and call a function in a new process, and measure it.

    Returned are `seconds` of the whole process, without the time it waited for other processes;
    `memory`, its peak in bytes; and the numbers that the function returns by name.
    """
    context, start = get_context("spawn"), time.perf_counter()
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_measure, args=(sender, work, arguments, imports))
    # Ctrl-C is handled by this process, which ends the other.
    with signal_blocked(signal.SIGINT):
        process.start()
    sender.close()
    try:
        values: Values | Exception = receiver.recv()
    except EOFError as error:
        label = getattr(work, "__name__", " ".join(imports))
        raise ExecuteError(
            f"measuring {label}: its process ended without a message, as when memory runs out"
        ) from error
    finally:
        # Its own exit would take seconds to free torch.
        process.kill()
    if isinstance(values, Exception):
        raise values
    return values | {"seconds": min(values["seconds"], time.perf_counter() - start)}


def _measure(
    sender: Connection,
    work: Callable[..., Values] | None,
    arguments: Sequence[Any],
    imports: Sequence[str],
) -> None:
    end_with_parent()
    logging.disable(logging.WARNING)
    try:
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            for name in imports:
                importlib.import_module(name)
            values = work(*arguments) if work else {}
        sender.send({"memory": peak_memory(), "seconds": time.process_time(), **values})
    except Exception as error:
        sender.send(error)


def peak_memory() -> int:
    """Return the peak resident memory of this process, in bytes."""
    # `resource` also counts the process from which this one was forked.
    status = Path("/proc/self/status")
    if status.exists():
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def minimum_time(work: Callable[[], object], waits: bool = False, enough: float = 0.5) -> float:
    """Return the shortest of several times of some work.

    It is called once before, and then for `enough` seconds; `waits` as for `elapsed_time`.
    """
    work()
    times: list[float] = []
    first = time.perf_counter()
    while len(times) < 3 or (time.perf_counter() - first < enough and len(times) < 100):
        times.append(elapsed_time(work, waits))
    return min(times)


def elapsed_time(work: Callable[[], object], waits: bool = False) -> float:
    """Return the seconds of one call of some work.

    Work that does not wait for the disk cannot take longer than its processor time, which excludes
    the time of other processes.
    """
    start, before = time.perf_counter(), time.process_time()
    work()
    wall, processor = time.perf_counter() - start, time.process_time() - before
    return wall if waits else min(wall, processor)

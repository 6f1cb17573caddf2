"""Time and peak memory of work, as on a machine that nobody else uses."""

import importlib
import logging
import resource
import signal
import sys
import time
from collections.abc import Callable, Sequence
from io import StringIO
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from base.processes import end_with_parent, signal_blocked
from execute.errors import ExecuteError

Values = dict[str, float]
SIDE, EIGH_SIDE, BYTES = 1536, 1024, 128 << 20


def calibrate() -> Values:
    """Measure the rates of basic operations, in some seconds.

    Returned are `float32`, flop/s of matrix products; `eigh 1024`, seconds for such a matrix of
    float64; `memory`, bytes/s read while as many are written.
    """
    A = np.random.default_rng(0).standard_normal((SIDE, SIDE), np.float32)
    X, block = np.asarray(A[:, :EIGH_SIDE], np.float64), np.ones(BYTES // 4, np.float32)
    kernel = X.T @ X
    return {
        "float32": 2 * SIDE**3 / minimum_time(lambda: A @ A),
        f"eigh {EIGH_SIDE}": minimum_time(lambda: np.linalg.eigh(kernel)),
        "memory": BYTES / minimum_time(lambda: block + 1),
    }


def measure_process(
    work: Callable[..., Values] | None = None, *arguments: Any, imports: Sequence[str] = ()
) -> Values:
    """Import modules and call a function in a new process, and measure it.

    Returned are `seconds` of its processor; `memory`, its peak in bytes; and the numbers that the
    function returns by name.
    """
    context = get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_measure, args=(sender, work, arguments, imports))
    # Ctrl-C is handled by this process, which ends the other.
    with signal_blocked(signal.SIGINT):
        process.start()
    sender.close()
    try:
        values: Values | Exception = receiver.recv()
    except EOFError as error:
        raise ExecuteError(
            f"measuring {getattr(work, '__name__', ' '.join(imports))}: its process ended without "
            "a message, as when memory runs out"
        ) from error
    finally:
        # Its own exit would take seconds to free torch.
        process.kill()
    if isinstance(values, Exception):
        raise values
    return values


def _measure(
    sender: Connection, work: Callable[..., Values] | None, arguments: Any, imports: Sequence[str]
) -> None:
    end_with_parent()
    logging.disable(logging.WARNING)
    sys.stdout = sys.stderr = StringIO()
    try:
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
        return int(status.read_text().partition("VmHWM:")[2].split()[0]) << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def minimum_time(work: Callable[[], object]) -> float:
    """Return the shortest of several times of some work."""
    return min(elapsed_time(work) for _ in range(6))


def elapsed_time(work: Callable[[], object]) -> float:
    """Return the seconds of one call of some work, without the time of other processes."""
    start, before = time.perf_counter(), time.process_time()
    work()
    return min(time.perf_counter() - start, time.process_time() - before)

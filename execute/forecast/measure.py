"""`python -m execute.forecast.measure`: time and memory of a function in a new process."""

import base64
import importlib
import json
import os
import pickle
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from execute.errors import ExecuteError

ROOT = Path(__file__).resolve().parents[2]


def measure_process(
    work: Callable[..., dict[str, float]] | None = None,
    *arguments: Any,
    imports: Sequence[str] = (),
) -> dict[str, float]:
    """Import modules and call a function in a new process, and measure it.

    Returned are `seconds` of the whole process, without the time it waited for other processes;
    `memory`, its peak in bytes; and the numbers that the function returns by name.
    """
    payload = base64.b64encode(pickle.dumps((work, arguments))).decode()
    # The working directory stays, so that relative paths hold; the project is found by PYTHONPATH.
    path = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    start, before = time.perf_counter(), os.times()
    process = subprocess.run(
        [sys.executable, "-m", "execute.forecast.measure", *imports],
        input=payload,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path))},
    )
    seconds, after = time.perf_counter() - start, os.times()
    processor = sum(after[2:4]) - sum(before[2:4])
    if process.returncode:
        label = getattr(work, "__name__", " ".join(imports))
        message = process.stderr.strip()[-600:] or "no message, as when memory runs out"
        raise ExecuteError(
            f"measuring {label}: its process ended with status {process.returncode}: {message}"
        )
    values: dict[str, float] = json.loads(process.stdout.splitlines()[-1])
    return {"seconds": min(seconds, processor), **values}


def peak_memory() -> int:
    """Return the peak resident memory of this process, in bytes."""
    # `resource` also counts the process from which this one was forked.
    status = Path("/proc/self/status")
    if status.exists():
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> None:
    """Call the function from standard input; print its results and the peak memory as JSON."""
    for name in sys.argv[1:]:
        importlib.import_module(name)
    # Safe to unpickle: it comes from the process of this project that started this one.
    work, arguments = pickle.loads(base64.b64decode(sys.stdin.read()))  # noqa: S301
    values = work(*arguments) if work else {}
    print(json.dumps({"memory": peak_memory(), **values}), flush=True)


if __name__ == "__main__":
    main()

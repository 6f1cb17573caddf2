"""Records of each unit of work, written by the process that does it."""

import os
import resource
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from base.claims import identity
from execute.runs import Run, read_json, write_json
from execute.work import Work


@dataclass(frozen=True)
class RecordedWork:
    """Work that records, in the folder of a run, when each of its units begins and ends."""

    work: Work
    run: Run
    log: str = ""  # the file of what the process prints, if any

    def __call__(self, number: int, units: Iterator[int]) -> Any:
        """Run units of a group, and record each."""
        watch = _Watch(self.run, number, units, self.log)
        try:
            result = self.work(number, watch)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                watch.end("interrupted", "by Ctrl-C or a signal")
            else:
                watch.end("failed", str(error).strip() or type(error).__name__)
            raise
        watch.end("done")
        return result


@dataclass
class _Watch:
    """An iterator that records each unit as running when it is taken; see `execute.work.Work`."""

    run: Run
    number: int
    units: Iterator[int]
    log: str
    # Files of the current units, and their contents before.
    _before: dict[Path, dict[str, Any]] = field(default_factory=dict)
    _about: dict[str, Any] = field(default_factory=dict)
    _start_time: float = 0.0

    def __iter__(self) -> Iterator[int]:
        return self

    def __next__(self) -> int:
        unit = next(self.units)
        self.resume(unit)
        return unit

    def resume(self, unit: int) -> None:
        """Record a unit as running, and the previous one as done."""
        self.end("done")
        self._begin([unit])

    def take_all(self) -> list[int]:
        """Return all units that are left, and record them as running."""
        units = list(self.units)
        self._begin(units)
        return units

    def _begin(self, units: list[int]) -> None:
        self._start_time = time.monotonic()
        now = datetime.now(UTC).isoformat(timespec="seconds")
        self._about = {**identity(), "log": self.log, "state": "running", "began": now}
        for unit in units:
            path = self.run.unit(self.number, unit)
            self._before[path] = read_json(path)
            write_json(path, self._about)

    def postpone(self) -> None:
        """Restore the earlier records of the current units, at which another process is working."""
        for path, before in self._before.items():
            if read_json(path) == self._about:
                if before:
                    write_json(path, before)
                else:
                    path.unlink()
        self._before = {}

    def end(self, state: str, reason: str = "") -> None:
        """Record how the current units ended, if there are any."""
        seconds = time.monotonic() - self._start_time
        for path in self._before:
            about = {
                "state": state,
                "reason": reason,
                "seconds": round(seconds / len(self._before), 3),
                "memory": _peak_memory(),
                "threads": os.environ.get("OMP_NUM_THREADS", ""),
            }
            write_json(path, self._about | about)
        self._before = {}


def _peak_memory() -> int:
    """Return the peak memory, in bytes, of this process or of the largest that it started."""
    targets = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    # Kilobytes on Linux, bytes on a Mac.
    unit = 1 if sys.platform == "darwin" else 1024
    return max(resource.getrusage(target).ru_maxrss for target in targets) * unit

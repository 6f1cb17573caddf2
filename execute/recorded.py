"""Work that is recorded unit by unit, by the process that does it."""

import os
import resource
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from base import identity
from execute.runs import Run, write_json
from execute.work import Work


@dataclass(frozen=True)
class Recorded:
    """Work whose units are recorded as they begin and end.

    Attributes
    ----------
    work : Work
        Does it.
    run : Run
        Where it is recorded.
    log : str
        The file of what the process prints, if any.
    """

    work: Work
    run: Run
    log: str = ""

    def __call__(self, number: int, units: Iterator[int]) -> Any:
        """Do units of a group; record each.

        Parameters
        ----------
        number : int
            The group.
        units : iterator of int
            Which, as they come.

        Returns
        -------
        object
            What the work gives.
        """
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
    """Units as they are taken: when the next is asked for, the one before is done."""

    run: Run
    number: int
    units: Iterator[int]
    log: str
    _path: Path | None = None
    _about: dict[str, Any] = field(default_factory=dict)
    _began: float = 0.0

    def __iter__(self) -> Iterator[int]:
        return self

    def __next__(self) -> int:
        self.end("done")
        unit = next(self.units)
        self._path, self._began = self.run.unit(self.number, unit), time.monotonic()
        now = datetime.now(UTC).isoformat(timespec="seconds")
        self._about = {**identity(), "log": self.log, "state": "running", "began": now}
        write_json(self._path, self._about)
        return unit

    def end(self, state: str, reason: str = "") -> None:
        """Record how the unit at hand ended, if there is one."""
        if self._path is None:
            return
        self._about |= {
            "state": state,
            "reason": reason,
            "seconds": round(time.monotonic() - self._began, 3),
            "memory": _peak_memory(),
            "threads": os.environ.get("OMP_NUM_THREADS", ""),
        }
        write_json(self._path, self._about)
        self._path = None


def _peak_memory() -> int:
    """Bytes: the peak of this process so far, or of the largest that it started."""
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    # Kilobytes on Linux, bytes on a Mac.
    unit = 1 if sys.platform == "darwin" else 1024
    return max(resource.getrusage(one).ru_maxrss for one in who) * unit

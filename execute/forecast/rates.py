"""The speed of this machine: a few measured rates, stored in a file, for forecasts.

Every rate is measured with the number of threads of this process; the run must be started with
the same number. The rate of a network or a training is measured when it is first needed, in a
process of its own, and stored in the same file.
"""

import json
import platform
import re
from collections import ChainMap
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from base import DocumentError, plural, read_json, replacing, say
from challenge import Subject
from execute.forecast.calibration import EIGH_SIDE, calibrate, n_threads
from execute.forecast.cost import Cost
from execute.forecast.measure import Values, measure_process
from execute.records import RatesRecord

# Packages whose versions affect the rates.
PACKAGES = ("numpy", "scipy", "torch", "h5py")
# Opening a file takes as long as digesting this many bytes.
OPENING = 50e3


class NotMeasuredError(Exception):
    """A rate that would have to be measured."""


class Rates:
    """The rates of a machine, from `OUT/rates`: a JSON file for each host and number of threads.

    A rate that is not stored is measured when it is needed, or raises `NotMeasuredError`.
    """

    def __init__(self, folder: Path, recalibrate: bool = False, measures: bool = True) -> None:
        self.host, self.threads = platform.node() or "here", n_threads()
        self.path = folder / f"{self.host}-{self.threads}.json"
        self._measures = measures
        stored = {} if recalibrate else _stored_rates(folder)
        record = stored.get(self.path.stem)
        complete = [name for name, record in stored.items() if "basic work" in record.rates]
        newest = max(complete, key=lambda name: stored[name].date, default="")
        self.elsewhere = "" if record else newest
        now = datetime.now(UTC).isoformat(timespec="minutes")
        self.date = record.date if record else now
        # What is measured goes into the first, and is stored as this machine's.
        self._rates = ChainMap(record.rates if record else {})
        if self.elsewhere:
            self._rates.maps.append(stored[self.elsewhere].rates)

    @property
    def origin(self) -> str:
        """A sentence on where and when the rates were measured."""
        if self.elsewhere:
            return (
                f"rates measured on {self.elsewhere}, not on this machine "
                f"({self.host}-{self.threads}): --recalibrate measures them here"
            )
        threads = plural(self.threads, "thread")
        return f"rates of {self.host}, {threads}, measured {self.date} -> {self.path}"

    def get_or_measure(self, name: str, measure: Callable[[], Values]) -> Values:
        """Return the stored values of a name, or measure and store them.

        The name must contain all that the values depend on.
        """
        if name not in self._rates:
            if not self._measures:
                raise NotMeasuredError(name)
            # The name may end with a digest, which is not shown.
            label = re.sub(" [0-9a-f]{16}$", "", name)
            say(f"measuring how fast this machine is: {label} …")
            self._rates[name] = measure()
            self._save()
        return self._rates[name]

    def start(self, *modules: str) -> Cost:
        """Return the cost of a process that only imports the modules."""
        values = self.get_or_measure(
            f"start {' '.join(modules)}", lambda: measure_process(imports=modules)
        )
        return Cost(values["seconds"], int(values["memory"]))

    def products(self, *sides: float) -> float:
        """Return the seconds of the product of (a, b) and (b, c) matrices of float32.

        Factors besides a, b and c repeat it; in float64 it takes as long as 2 of float32.
        """
        return 2 * float(np.prod(sides, dtype=float)) / self._basic["float32"]

    def eigh(self, n: float) -> float:
        """Return the seconds of the eigendecomposition of an (n, n) symmetric matrix of float64."""
        return self._basic[f"eigh {EIGH_SIDE}"] * (n / EIGH_SIDE) ** 3

    def passes(self, n_bytes: float) -> float:
        """Return the seconds to read arrays and write them anew, as in adding 1 to them."""
        return n_bytes / self._basic["memory"]

    def digests(self, n_bytes: float) -> float:
        """Return the seconds of the sha256 of bytes, with one thread."""
        return n_bytes / self._basic["sha256"]

    def picture_digests(self, subjects: Sequence[Subject]) -> float:
        """Return the seconds of the sha256 of all pictures in parallel, from some files' sizes."""
        files: list[Path] = []
        for subject in subjects:
            files += [*subject.pictures("train"), *subject.pictures("test")]
        sizes = [file.stat().st_size for file in files[:: max(1, len(files) // 50)]]
        return self.digests(len(files) * (float(np.mean(sizes)) + OPENING)) / self.threads

    def writes(self, n_bytes: float, n_files: int = 1) -> float:
        """Return the seconds to write files and flush them to the disk."""
        return n_bytes / self._basic["write"] + n_files * self._basic["file"]

    @property
    def _basic(self) -> Values:
        return self.get_or_measure("basic work", lambda: calibrate(self.path.parent))

    def _save(self) -> None:
        document = {
            "host": self.host,
            "threads": self.threads,
            "processor": platform.processor() or platform.machine(),
            "date": self.date,
            "versions": _versions(),
            "rates": self._rates.maps[0],
        }
        with replacing(self.path) as temporary:
            temporary.write_text(json.dumps(document, indent=1))


def _versions() -> dict[str, str]:
    return {name: version(name) for name in PACKAGES}


def _stored_rates(folder: Path) -> dict[str, RatesRecord]:
    """Return the files of rates, by name, that were measured with the packages of now."""
    records = {}
    for file in sorted(folder.glob("[!.]*.json")):
        with suppress(OSError, DocumentError, ValidationError):
            record = RatesRecord.model_validate(read_json(file))
            if record.versions == _versions():
                records[file.stem] = record
    return records

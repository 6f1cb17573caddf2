"""The speed of this machine: a few measured rates, stored in a file, for forecasts.

Every rate is measured when it is first needed, with the number of threads of this process; the run
must be started with the same number.
"""

import json
import math
import platform
import re
from collections import ChainMap
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from pydantic import ValidationError
from threadpoolctl import threadpool_info

from base import DocumentError, convert_paths, plural, read_json, replacing, say
from execute.forecast.cost import Cost
from execute.forecast.measure import EIGH_SIDE, Values, calibrate, measure_process
from execute.records import RatesRecord

# Packages whose versions affect the rates.
PACKAGES = ("numpy", "scipy", "torch", "h5py")


class NotMeasuredError(Exception):
    """A rate that would have to be measured."""


class Rates:
    """The rates of a machine, from `OUT/rates`: a JSON file for each host and number of threads.

    A rate that is not stored is measured when it is needed, or raises `NotMeasuredError`.
    """

    def __init__(self, folder: Path, recalibrate: bool = False, measures: bool = True) -> None:
        self.threads = max([1, *(library["num_threads"] for library in threadpool_info())])
        self.host = platform.node() or "here"
        self.path = folder / f"{self.host}-{self.threads}.json"
        self._measures = measures
        stored = {} if recalibrate else _stored_rates(folder)
        record = stored.get(self.path.stem)
        hosts = [name for name in stored if not record and "basic work" in stored[name].rates]
        self.elsewhere = max(hosts, key=lambda name: stored[name].date, default="")
        self.date = record.date if record else datetime.now(UTC).isoformat(timespec="minutes")
        # What is measured goes into the first, and is stored as this machine's.
        other_rates = stored[self.elsewhere].rates if self.elsewhere else {}
        self._rates = ChainMap(record.rates if record else {}, other_rates)

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
        """Return the stored values of a name, which has all they depend on, or measure them."""
        if name not in self._rates:
            if not self._measures:
                raise NotMeasuredError(name)
            # The name may end with a digest, which is not shown.
            label = re.sub(" [0-9a-f]{16}$", "", name)
            say(f"measuring how fast this machine is: {label} …")
            self._rates[name] = measure()
            document = {"host": self.host, "threads": self.threads, "date": self.date,
                        "processor": platform.processor() or platform.machine(),
                        "versions": _versions(), "rates": self._rates.maps[0]}  # fmt: skip
            with replacing(self.path) as temporary:
                temporary.write_text(json.dumps(document, indent=1))
        return self._rates[name]

    def start(self, *modules: str) -> Cost:
        """Return the cost of a process that only imports the modules."""
        name = f"start {' '.join(modules)}"
        values = self.get_or_measure(name, lambda: measure_process(imports=modules))
        return Cost(values["seconds"], int(values["memory"]))

    def _speed(self, name: str) -> float:
        return self.get_or_measure("basic work", calibrate)[name]

    def products(self, *sides: float) -> float:
        """Return the seconds of (a, b) by (b, c) in float32; further factors repeat the product."""
        return 2 * math.prod(sides) / self._speed("float32")

    def eigh(self, n: float) -> float:
        """Return the seconds of the eigendecomposition of an (n, n) symmetric matrix of float64."""
        return self._speed(f"eigh {EIGH_SIDE}") * (n / EIGH_SIDE) ** 3

    def passes(self, n_bytes: float) -> float:
        """Return the seconds to read arrays and write them anew, as in adding 1 to them."""
        return n_bytes / self._speed("memory")


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


@convert_paths
def planned_costs(
    folder: Path, cost: Callable[[Rates], list[list[Cost]]]
) -> list[list[Cost]] | None:
    """Return the costs of units by the rates in a folder; None where one was never measured."""
    if folder.is_dir():
        with suppress(NotMeasuredError):
            return cost(Rates(folder, measures=False))
    return None

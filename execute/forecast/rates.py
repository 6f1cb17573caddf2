"""The speed of this machine: a few measured rates, stored in a file, for forecasts.

Every rate is measured with the number of threads of this process; the run must be started with
the same number. The rate of a network or a training is measured when it is first needed, in a
process of its own, and stored in the same file.
"""

import json
import platform
import re
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from base import DocumentError, read_json, replacing, say
from execute.forecast.calibration import EIGH_SIDES, Values, calibrate, n_threads
from execute.forecast.measure import measure_process
from execute.records import RatesRecord

__all__ = ["PACKAGES", "Rates", "Values"]

# Packages whose versions affect the rates.
PACKAGES = ("numpy", "scipy", "torch", "h5py")


class Rates:
    """The rates of a machine; a rate that is not stored is measured when it is needed.

    Parameters
    ----------
    folder : Path
        Folder of the stored rates, `OUT/rates`: a JSON file for each host and number of threads.
    recalibrate : bool
        Whether to measure stored rates again.
    """

    def __init__(self, folder: Path, recalibrate: bool = False) -> None:
        self.host, self.threads = platform.node() or "here", n_threads()
        self.path = folder / f"{self.host}-{self.threads}.json"
        stored = None if recalibrate else self._load(self.path)
        self._rates: dict[str, Values] = stored["rates"] if stored else {}
        self.date = stored["date"] if stored else datetime.now(UTC).isoformat(timespec="minutes")
        self.elsewhere = "" if stored or recalibrate else self._newest(folder)
        fallback = self._load(folder / f"{self.elsewhere}.json") if self.elsewhere else None
        self._fallback_rates: dict[str, Values] = fallback["rates"] if fallback else {}

    @property
    def origin(self) -> str:
        """A sentence on where and when the rates were measured."""
        if self.elsewhere:
            name = f"{self.host}-{self.threads}"
            return (
                f"rates measured on {self.elsewhere}, not on this machine ({name}): "
                "--recalibrate measures them here"
            )
        threads = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        return f"rates of {self.host}, {threads}, measured {self.date} -> {self.path}"

    def get_or_measure(self, name: str, measure: Callable[[], Values]) -> Values:
        """Return the stored values of a name, or measure and store them.

        The name must contain all that the values depend on.
        """
        for rates in (self._rates, self._fallback_rates):
            if name in rates:
                return rates[name]
        # The name may end with a digest, which is not shown.
        label = re.sub(" [0-9a-f]{16}$", "", name)
        say(f"measuring how fast this machine is: {label} …")
        self._rates[name] = measure()
        self._save()
        return self._rates[name]

    def start(self, *modules: str) -> Values:
        """Return the time and memory of a process that only imports the modules."""
        return self.get_or_measure(
            f"start {' '.join(modules)}", lambda: measure_process(imports=modules)
        )

    def products(self, *sides: float, float64: bool = False) -> float:
        """Return the seconds of a matrix product.

        Parameters
        ----------
        *sides : float
            The three numbers of an (a, b) matrix times a (b, c) one; more factors repeat it.
        float64 : bool
            Whether the matrices are of float64 rather than float32.
        """
        name = "float64" if float64 else "float32"
        return 2 * float(np.prod(sides, dtype=float)) / self._basic[name]

    def eigh(self, n: float) -> float:
        """Return the seconds of the eigendecomposition of an (n, n) symmetric matrix of float64.

        Between measured sides they follow a power law, beyond them the third power.
        """
        seconds = [self._basic[f"eigh {side}"] for side in EIGH_SIDES]
        if n >= EIGH_SIDES[-1]:
            return seconds[-1] * (n / EIGH_SIDES[-1]) ** 3
        return float(np.exp(np.interp(np.log(max(n, 1)), np.log(EIGH_SIDES), np.log(seconds))))

    def passes(self, n_bytes: float) -> float:
        """Return the seconds to read arrays and write them anew, as in adding 1 to them."""
        return n_bytes / self._basic["memory"]

    def gathers(self, n_bytes: float) -> float:
        """Return the seconds to copy rows of an array in random order."""
        return n_bytes / self._basic["gather"]

    def digests(self, n_bytes: float) -> float:
        """Return the seconds of the sha256 of bytes, with one thread."""
        return n_bytes / self._basic["sha256"]

    def writes(self, n_bytes: float, n_files: int = 1) -> float:
        """Return the seconds to write files and flush them to the disk."""
        return n_bytes / self._basic["write"] + n_files * self._basic["file"]

    @property
    def _basic(self) -> Values:
        return self.get_or_measure("basic work", lambda: calibrate(self.path.parent))

    def _save(self) -> None:
        versions = {name: version(name) for name in PACKAGES}
        document = {
            "host": self.host,
            "threads": self.threads,
            "processor": platform.processor() or platform.machine(),
            "date": self.date,
            "versions": versions,
            "rates": self._rates,
        }
        with replacing(self.path) as temporary:
            temporary.write_text(json.dumps(document, indent=1))

    @staticmethod
    def _load(path: Path) -> dict | None:
        """Return stored rates; None if there are none, or they are of other package versions."""
        with suppress(OSError, DocumentError, ValidationError):
            document = RatesRecord.model_validate(read_json(path))
            if document.versions == {name: version(name) for name in PACKAGES}:
                return document.model_dump()
        return None

    @classmethod
    def _newest(cls, folder: Path) -> str:
        """Return the name of the newest complete file of rates in a folder, or ""."""
        documents = {file: cls._load(file) or {} for file in sorted(folder.glob("[!.]*.json"))}
        whole = [
            file
            for file, document in documents.items()
            if "basic work" in document.get("rates", {})
        ]
        return max(whole, key=lambda file: documents[file]["date"]).stem if whole else ""

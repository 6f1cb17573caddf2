"""How fast this machine is: a few measured rates, kept in a file, from which plans are made.

Every rate is measured with the threads that this process has, as the run itself would: start both
alike. What takes a network or a training to know is measured when it is first asked for, in a
process of its own, and kept beside the others.
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
from execute.forecast.calibration import EIGHS, Values, calibrate, n_threads
from execute.forecast.measure import measured
from execute.records import RatesRecord

__all__ = ["PACKAGES", "Rates", "Values"]

# Whose speed the rates are.
PACKAGES = ("numpy", "scipy", "torch", "h5py")


class Rates:
    """The rates of a machine; what is not yet known is measured when it is asked for.

    Parameters
    ----------
    folder : Path
        Where they are kept, `OUT/rates`: a JSON file for each host and number of threads.
    recalibrate : bool
        Whether to measure anew what is kept.
    """

    def __init__(self, folder: Path, recalibrate: bool = False) -> None:
        self.host, self.threads = platform.node() or "here", n_threads()
        self.path = folder / f"{self.host}-{self.threads}.json"
        kept = None if recalibrate else self._kept(self.path)
        self._own: dict[str, Values] = kept["rates"] if kept else {}
        self.date = kept["date"] if kept else datetime.now(UTC).isoformat(timespec="minutes")
        self.elsewhere = "" if kept or recalibrate else self._newest(folder)
        other = self._kept(folder / f"{self.elsewhere}.json") if self.elsewhere else None
        self._other: dict[str, Values] = other["rates"] if other else {}

    @property
    def origin(self) -> str:
        """Where and when they were measured, in words."""
        if self.elsewhere:
            here = f"{self.host}-{self.threads}"
            return (
                f"rates measured on {self.elsewhere}, not on this machine ({here}): "
                "--recalibrate measures them here"
            )
        threads = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        return f"rates of {self.host}, {threads}, measured {self.date} -> {self.path}"

    def of(self, name: str, measure: Callable[[], Values]) -> Values:
        """Give what is known under a name, or measure and keep it.

        Parameters
        ----------
        name : str
            What it is; with all that the numbers depend on.
        """
        for known in (self._own, self._other):
            if name in known:
                return known[name]
        # Without the digest of what it depends on.
        told = re.sub(" [0-9a-f]{16}$", "", name)
        say(f"measuring how fast this machine is: {told} …")
        self._own[name] = measure()
        self._keep()
        return self._own[name]

    def start(self, *modules: str) -> Values:
        """Say what a process takes to begin."""
        return self.of(f"start {' '.join(modules)}", lambda: measured(imports=modules))

    def products(self, *sides: float, float64: bool = False) -> float:
        """Say how long a product of matrices takes.

        Parameters
        ----------
        *sides : float
            The three numbers of an (a, b) matrix times a (b, c) one; more factors repeat it.
        """
        name = "float64" if float64 else "float32"
        return 2 * float(np.prod(sides, dtype=float)) / self._basic[name]

    def eigh(self, n: float) -> float:
        """Say how long a symmetric matrix of float64 takes to be decomposed.

        Returns
        -------
        float
            Seconds; between measured sides by a power law, beyond them by the third power.
        """
        known = [self._basic[f"eigh {side}"] for side in EIGHS]
        if n >= EIGHS[-1]:
            return known[-1] * (n / EIGHS[-1]) ** 3
        return float(np.exp(np.interp(np.log(max(n, 1)), np.log(EIGHS), np.log(known))))

    def passes(self, n_bytes: float) -> float:
        """Say how long arrays take to be read and written anew, as by adding 1 to them."""
        return n_bytes / self._basic["memory"]

    def gathers(self, n_bytes: float) -> float:
        """Say how long rows take to be picked out of an array."""
        return n_bytes / self._basic["gather"]

    def digests(self, n_bytes: float) -> float:
        """Say how long the sha256 of bytes takes, by one thread."""
        return n_bytes / self._basic["sha256"]

    def writes(self, n_bytes: float, n_files: int = 1) -> float:
        """Say how long files take to be written and flushed to the disk."""
        return n_bytes / self._basic["write"] + n_files * self._basic["file"]

    @property
    def _basic(self) -> Values:
        return self.of("basic work", lambda: calibrate(self.path.parent))

    def _keep(self) -> None:
        versions = {name: version(name) for name in PACKAGES}
        found = {
            "host": self.host,
            "threads": self.threads,
            "processor": platform.processor() or platform.machine(),
            "date": self.date,
            "versions": versions,
            "rates": self._own,
        }
        with replacing(self.path) as temporary:
            temporary.write_text(json.dumps(found, indent=1))

    @staticmethod
    def _kept(path: Path) -> dict | None:
        """Read rates; None where there are none, or of other versions."""
        with suppress(OSError, DocumentError, ValidationError):
            found = RatesRecord.model_validate(read_json(path))
            if found.versions == {name: version(name) for name in PACKAGES}:
                return found.model_dump()
        return None

    @classmethod
    def _newest(cls, folder: Path) -> str:
        kept = {file: cls._kept(file) or {} for file in sorted(folder.glob("[!.]*.json"))}
        whole = [file for file, of in kept.items() if "basic work" in of.get("rates", {})]
        return max(whole, key=lambda file: kept[file]["date"]).stem if whole else ""

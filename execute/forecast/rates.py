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
from execute.forecast.calibration import EIGH_SIDES, Values, calibrate, n_threads
from execute.forecast.measure import measure_process
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
        stored = None if recalibrate else self._load(self.path)
        self._rates: dict[str, Values] = stored["rates"] if stored else {}
        self.date = stored["date"] if stored else datetime.now(UTC).isoformat(timespec="minutes")
        self.elsewhere = "" if stored or recalibrate else self._newest(folder)
        fallback = self._load(folder / f"{self.elsewhere}.json") if self.elsewhere else None
        self._fallback_rates: dict[str, Values] = fallback["rates"] if fallback else {}

    @property
    def origin(self) -> str:
        """Where and when they were measured, in words."""
        if self.elsewhere:
            name = f"{self.host}-{self.threads}"
            return (
                f"rates measured on {self.elsewhere}, not on this machine ({name}): "
                "--recalibrate measures them here"
            )
        threads = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        return f"rates of {self.host}, {threads}, measured {self.date} -> {self.path}"

    def get_or_measure(self, name: str, measure: Callable[[], Values]) -> Values:
        """Give what is known under a name, or measure and keep it.

        Parameters
        ----------
        name : str
            What it is; with all that the numbers depend on.
        """
        for rates in (self._rates, self._fallback_rates):
            if name in rates:
                return rates[name]
        # Without the digest of what it depends on.
        label = re.sub(" [0-9a-f]{16}$", "", name)
        say(f"measuring how fast this machine is: {label} …")
        self._rates[name] = measure()
        self._save()
        return self._rates[name]

    def start(self, *modules: str) -> Values:
        """Say what a process takes to begin."""
        return self.get_or_measure(
            f"start {' '.join(modules)}", lambda: measure_process(imports=modules)
        )

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
        seconds = [self._basic[f"eigh {side}"] for side in EIGH_SIDES]
        if n >= EIGH_SIDES[-1]:
            return seconds[-1] * (n / EIGH_SIDES[-1]) ** 3
        return float(np.exp(np.interp(np.log(max(n, 1)), np.log(EIGH_SIDES), np.log(seconds))))

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
        """Read rates; None where there are none, or of other versions."""
        with suppress(OSError, DocumentError, ValidationError):
            document = RatesRecord.model_validate(read_json(path))
            if document.versions == {name: version(name) for name in PACKAGES}:
                return document.model_dump()
        return None

    @classmethod
    def _newest(cls, folder: Path) -> str:
        documents = {file: cls._load(file) or {} for file in sorted(folder.glob("[!.]*.json"))}
        whole = [
            file
            for file, document in documents.items()
            if "basic work" in document.get("rates", {})
        ]
        return max(whole, key=lambda file: documents[file]["date"]).stem if whole else ""

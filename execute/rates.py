"""How fast this machine is: a few measured rates, kept in a file, from which plans are made.

Every rate is measured with the threads that this process has, as the run itself would: start both
alike. What takes a network or a training to know is measured when it is first asked for, in a
process of its own, and kept beside the others.
"""

import hashlib
import json
import os
import platform
import re
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

from base import replacing, say
from execute.measuring import measured

Values = dict[str, float]
# Whose speed the rates are.
PACKAGES = ("numpy", "scipy", "torch", "h5py")
SIDE = 1536
EIGHS = (128, 512, 1024)
BYTES = 128 << 20


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
        measure : callable
            Gives the numbers.

        Returns
        -------
        dict of str to float
            In seconds, bytes, or so much a second.
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
        """Say what a process takes to begin.

        Parameters
        ----------
        *modules : str
            What it imports.

        Returns
        -------
        dict
            `seconds`, and `memory` in bytes.
        """
        return self.of(f"start {' '.join(modules)}", lambda: measured(imports=modules))

    def products(self, *sides: float, float64: bool = False) -> float:
        """Say how long a product of matrices takes.

        Parameters
        ----------
        *sides : float
            The three numbers of an (a, b) matrix times a (b, c) one; more factors repeat it.
        float64 : bool
            Whether in float64.

        Returns
        -------
        float
            Seconds.
        """
        name = "float64" if float64 else "float32"
        return 2 * float(np.prod(sides, dtype=float)) / self._basic[name]

    def eigh(self, n: float) -> float:
        """Say how long a symmetric matrix of float64 takes to be decomposed.

        Parameters
        ----------
        n : float
            Its side.

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
        """Say how long arrays take to be read and written anew, as by adding 1 to them.

        Parameters
        ----------
        n_bytes : float
            Of what is written.

        Returns
        -------
        float
            Seconds.
        """
        return n_bytes / self._basic["memory"]

    def gathers(self, n_bytes: float) -> float:
        """Say how long rows take to be picked out of an array.

        Parameters
        ----------
        n_bytes : float
            Of the rows.

        Returns
        -------
        float
            Seconds.
        """
        return n_bytes / self._basic["gather"]

    def digests(self, n_bytes: float) -> float:
        """Say how long the sha256 of bytes takes, by one thread.

        Parameters
        ----------
        n_bytes : float
            How many.

        Returns
        -------
        float
            Seconds.
        """
        return n_bytes / self._basic["sha256"]

    def writes(self, n_bytes: float, n_files: int = 1) -> float:
        """Say how long files take to be written and flushed to the disk.

        Parameters
        ----------
        n_bytes : float
            In all.
        n_files : int
            How many files.

        Returns
        -------
        float
            Seconds.
        """
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
        with suppress(OSError, ValueError):
            found: dict = json.loads(path.read_text())
            if found["versions"] == {name: version(name) for name in PACKAGES}:
                return found
        return None

    @classmethod
    def _newest(cls, folder: Path) -> str:
        files = sorted(folder.glob("[!.]*.json"), key=lambda file: file.stat().st_mtime)
        whole = [f for f in files if "basic work" in ((cls._kept(f) or {}).get("rates", {}))]
        return whole[-1].stem if whole else ""


def n_threads() -> int:
    """Count the threads of matrix products in this process.

    Returns
    -------
    int
        As OMP_NUM_THREADS, the batch system or the number of processors has it.
    """
    return max([1, *(library["num_threads"] for library in threadpool_info())])


def calibrate(folder: Path) -> Values:
    """Measure what all work is made of, in some seconds.

    Parameters
    ----------
    folder : Path
        On the disk whose speed is asked for; made if missing.

    Returns
    -------
    dict of str to float
        `float32` and `float64`, flop/s of matrix products; `eigh N`, seconds of a matrix of float64
        of that side; `memory`, bytes/s written anew while as many are read, and `gather`, row by
        row; `sha256`, bytes/s;
        `write`, bytes/s to the disk; `file`, seconds to create a small file that is flushed.
    """
    rng = np.random.default_rng(0)
    found: Values = {}
    for name in ("float32", "float64"):
        A = rng.standard_normal((SIDE, SIDE)).astype(name)
        found[name] = 2 * SIDE**3 / _shared(partial(np.matmul, A, A))
    for side in EIGHS:
        X = rng.standard_normal((2 * side, side))
        found[f"eigh {side}"] = _shared(partial(np.linalg.eigh, X.T @ X))
    block = np.ones(BYTES // 4, np.float32)  # zeros would be one page
    found["memory"] = BYTES / least(lambda: block + 1)
    rows, some = block.reshape(-1, 8192), rng.permutation(BYTES // 4 // 8192)
    found["gather"] = BYTES / least(lambda: rows[some])
    found["sha256"] = BYTES / least(lambda: hashlib.sha256(block.data))
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder, prefix=".disk-") as inside:
        file = Path(inside) / "file"
        found["file"] = least(lambda: _write(file, b"0"), waits=True)
        found["write"] = BYTES / least(lambda: _write(file, block.data.cast("B")), waits=True)
    return found


def _shared(work: Callable[[], object]) -> float:
    """Time work of several threads; one alone is no quicker, but where others keep them waiting."""
    with threadpool_limits(1):
        alone = least(work)
    return min(alone, least(work)) if n_threads() > 1 else alone


def least(work: Callable[[], object], waits: bool = False, enough: float = 0.5) -> float:
    """Time some work as on a machine that nobody else uses: the least of several times.

    Parameters
    ----------
    work : callable
        What to time; it is run once before, and then thrice or more.
    waits : bool
        Whether it waits for the disk. What does not can take no longer than its processor time,
        which tells its own time from that of others on a busy machine.
    enough : float
        Seconds after which it is not run again.

    Returns
    -------
    float
        Seconds.
    """
    work()
    times: list[float] = []
    first = time.perf_counter()
    while len(times) < 3 or (time.perf_counter() - first < enough and len(times) < 100):
        times.append(elapsed(work, waits))
    return min(times)


def elapsed(work: Callable[[], object], waits: bool = False) -> float:
    """Time some work once, as on a machine that nobody else uses.

    Parameters
    ----------
    work : callable
        What to time.
    waits : bool
        As for `least`.

    Returns
    -------
    float
        Seconds.
    """
    began, before = time.perf_counter(), time.process_time()
    work()
    wall, processor = time.perf_counter() - began, time.process_time() - before
    return wall if waits else min(wall, processor)


def _write(path: Path, content: bytes | memoryview) -> None:
    with replacing(path) as temporary, temporary.open("wb") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())

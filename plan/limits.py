"""Memory and disk of this machine, or of the machine to plan for."""

import os
import re
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from base import machine_memory
from plan.errors import PlanError

# A number without a unit is in gigabytes, as in the file of a cluster.
UNITS = {"": 10**9, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


@dataclass(frozen=True)
class Limits:
    """Memory and disk that a run may use.

    Attributes
    ----------
    memory : int
        Bytes of the machine.
    disk : int
        Bytes that are free where the output goes.
    source : str
        Beginning of a sentence that names the source: "this machine has" or "--memory gives".
    """

    memory: int
    disk: int
    source: str


def find_limits(out: Path, memory: str = "") -> Limits:
    """Return the free disk, and the memory of this machine or as given, such as "64" or "500M".

    The output folder need not exist yet.
    """
    folder = out.absolute()
    while not folder.exists():
        folder = folder.parent
    disk = shutil.disk_usage(folder).free
    if not memory:
        return Limits(machine_memory(), disk, "this machine has")
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]?)B?", memory.strip().upper())
    if not match or not float(match[1]):
        raise PlanError(f"--memory {memory}: expected gigabytes, such as 64, or 500M")
    return Limits(int(float(match[1]) * UNITS[match[2]]), disk, "--memory gives")


def processor_load() -> float:
    """Return the number of waiting processes per processor, or 0 where it is not known."""
    with suppress(OSError, AttributeError):
        return os.getloadavg()[0] / (os.cpu_count() or 1)
    return 0.0

"""What there is: memory and disk of this machine, or of the one that is planned for."""

import os
import re
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from base import machine_memory
from plan.errors import PlanError

# A bare number is in gigabytes, as in the file of a cluster.
UNITS = {"": 10**9, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


@dataclass(frozen=True)
class Limits:
    """What a run may take.

    Attributes
    ----------
    memory : int
        Bytes.
    disk : int
        Bytes that are free where the output goes.
    source : str
        Whose these are, in words.
    """

    memory: int
    disk: int
    source: str


def find_limits(out: Path, memory: str = "") -> Limits:
    """Look what there is.

    Parameters
    ----------
    out : Path
        The folder of everything that is made; it need not be there.
    memory : str
        That of another machine, such as "64" (GB) or "500M"; this one's if empty.
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
    """Say how much of the processors others use.

    Returns
    -------
    float
        Processes that wait for one, for each processor; 0 where the system does not tell.
    """
    with suppress(OSError, AttributeError):
        return os.getloadavg()[0] / (os.cpu_count() or 1)
    return 0.0

"""Memory and disk of the machine to plan for, and what would fit where a stage does not."""

import os
import re
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from base import machine_memory, run_hint
from cache import Entry
from execute.forecast.rates import Rates
from plan.errors import PlanError
from plan.stages import Stage
from plan.table import format_bytes
from regress.costs.units import fit_costs
from regress.fitting.request import FitRequest

# A number without a unit is in gigabytes, as in the file of a cluster.
UNITS = {"": 10**9, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
# Widths of a projection to try where there are too many columns.
NARROWER = (2048, 1024, 512, 256, 128)


@dataclass(frozen=True)
class Limits:
    """Bytes of memory and of free disk; `source` begins a sentence: "this machine has"."""

    memory: int
    disk: int
    source: str


def find_limits(out: Path, memory: str = "") -> Limits:
    """Return the free disk, and the memory of this machine or as given, such as "64" or "500M".

    The output folder need not exist yet.
    """
    folder = next(folder for folder in [out.absolute(), *out.absolute().parents] if folder.exists())
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


def check_limits(
    stages: Sequence[Stage], limits: Limits, request: FitRequest, rates: Rates
) -> None:
    """Raise an error if a stage does not fit, with a setting that would."""
    for stage in stages:
        if stage.cost.memory > limits.memory:
            raise PlanError(
                f"make {stage.name} would take {format_bytes(stage.cost.memory)} of memory, and "
                f"{limits.source} {format_bytes(limits.memory)}; what would fit: "
                f"{_smaller_setting(stage, limits, request, rates)}"
            )
    disk = sum(stage.cost.disk for stage in stages if stage.name != "evaluate")
    if disk > limits.disk:
        largest = max(stages, key=lambda stage: stage.cost.disk)
        raise PlanError(
            f"{format_bytes(disk)} would be written, most by make {largest.name}, and "
            f"{format_bytes(limits.disk)} are free in {request.out}: free some space, give another "
            "folder with OUT=, store features with --dtype float16, or take fewer columns, as "
            f"{_narrow_names(request.entries, 512)}"
        )


def _smaller_setting(stage: Stage, limits: Limits, request: FitRequest, rates: Rates) -> str:
    """Return a setting that makes a stage smaller; for a solved model, one whose cost fits."""
    if stage.name == "features":
        return f"fewer spaces in one {run_hint('features')}, or one device"
    if stage.name not in ("fit", "ablate"):
        return "fewer fits, FITS=…, or a subject at a time, SUBJECT=01"
    if request.estimator.streams:
        narrow = request.settings.group_by in ("roi", "class")
        return "fewer columns or spaces, or PARAMS=batch=64" if narrow else "GROUP_BY=roi"
    for width in NARROWER:
        entries = [_narrow_entry(entry, width) for entry in request.entries]
        if entries == request.entries:
            continue
        costs = fit_costs(replace(request, entries=entries), rates)
        peak = max(cost.memory for unit_costs in costs for cost in unit_costs)
        if peak <= limits.memory:
            return f"{_narrow_names(request.entries, width)}, with {format_bytes(peak)}"
    return "a machine with more; fewer pictures (IMAGES=…) or fewer spaces take less"


def _narrow_names(entries: Sequence[Entry], width: int) -> str:
    names = [
        f"{entry.name.partition('~')[0]}~{width}" if entry.meta["columns"] > width else entry.name
        for entry in entries
    ]
    return f'SPACES="{" ".join(names)}"'


def _narrow_entry(entry: Entry, width: int) -> Entry:
    """Return an entry whose layers are projected to at most `width` columns each."""
    bands = [{**b, "columns": min(b["columns"], width)} for b in entry.meta.get("bands") or []]
    n_layers = len(bands) or max(1, len(entry.meta["key"].get("layers") or []))
    columns = min(entry.meta["columns"], n_layers * width)
    if bands:
        columns = sum(band["columns"] for band in bands)
    if columns == entry.meta["columns"]:
        return entry
    meta = entry.meta | {"columns": columns, "bands": bands}
    return replace(entry, path=Path("planned"), meta=meta)

"""Forecast every stage, and refuse what does not fit, with a setting that would."""

import os
import re
import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from base import machine_memory, run_hint, say
from cache import Entry, FeatureStore
from challenge import find_subjects
from execute.forecast.cost import Cost
from execute.forecast.rates import Rates
from extract.cost import plan_space
from extract.spaces import TEXT_FAMILIES
from extract.text.captions import read_captions
from plan import stages
from plan.errors import PlanError
from plan.stages import format_bytes
from regress.ablation.subsets import MAX_SPACES
from regress.cost import fit_costs
from regress.fit_options import FitOptions
from regress.fitting.request import FitRequest
from regress.fitting.request_checks import add_test_pictures, make_request

# A number without a unit is in gigabytes, as in the file of a cluster.
UNITS = {"": 10**9, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
# Widths of a projection to try where there are too many columns.
NARROWER = (2048, 1024, 512, 256, 128)


def forecast(
    options: FitOptions,
    captions: list[str],
    precision: str,
    dtype: str,
    memory: str,
    recalibrate: bool,
) -> None:
    """Print the forecast of every stage; raise an error if one does not fit."""
    data, out = options.data, options.out
    subjects = find_subjects(data, options.subjects or options.subject)
    limits, store = find_limits(out, memory), FeatureStore(out / "features")
    # Check the request before anything is measured.
    plans = [plan_space(name, store, subjects, dtype) for name in dict.fromkeys(options.spaces)]
    plans = list({space.entry.path: space for space in plans}.values())
    entries = [space.entry for space in plans]
    request = add_test_pictures(make_request(options, entries), data)
    if any(space.spec.family in TEXT_FAMILIES for space in plans if space.missing):
        read_captions(captions)
    device = _planned_device(options.device)
    rates = Rates(out / "rates", recalibrate)
    costs = {"features": stages.plan_features(plans, subjects, rates, device, precision)}
    costs["fit"] = stages.plan_fit(request, rates, device)
    if 1 < len(entries) <= MAX_SPACES and not request.estimator.streams:
        costs["ablate"] = stages.plan_ablate(request, rates)
    costs |= stages.plan_evaluate(request, rates)
    # The report computes the scores only where `evaluate` has not.
    total = sum((cost for stage, cost in costs.items() if stage != "evaluate"), Cost())
    largest = max(costs, key=lambda stage: costs[stage].memory)
    source = "--memory gives" if memory else "this machine has"
    available = f"{source} {format_bytes(limits.memory)}"
    say(
        f"altogether {stages.format_time(total.seconds)} one after the other, "
        f"{format_bytes(costs[largest].memory)} at most ({largest}), {format_bytes(total.disk)} "
        f"on disk; {available}, {format_bytes(limits.disk)} are free on disk"
    )
    if device.startswith("cuda"):
        say("GPU memory is from shapes; no GPU was measured: times are those of this processor")
    say(rates.origin)
    with suppress(OSError):
        load = os.getloadavg()[0] / (os.cpu_count() or 1)
        if load > 1.5:
            say(
                f"this machine is busy now ({load:.1f} processes per processor): a run may take "
                "that much longer"
            )
    for stage, cost in costs.items():
        if cost.memory > limits.memory:
            raise PlanError(
                f"make {stage} would take {format_bytes(cost.memory)} of memory, and {available}; "
                f"what would fit: {_smaller_setting(stage, limits.memory, request, rates)}"
            )
    if total.disk > limits.disk:
        largest = max(costs, key=lambda stage: costs[stage].disk)
        names = " ".join(_narrow_entry(entry, 512).name for entry in entries)
        raise PlanError(
            f"{format_bytes(total.disk)} would be written, most by make {largest}, and "
            f"{format_bytes(limits.disk)} are free in {out}: free some space, give another folder "
            "with OUT=, store features with --dtype float16, or take fewer columns, as "
            f'SPACES="{names}"'
        )


def find_limits(out: Path, memory: str = "") -> Cost:
    """Return the free disk, and the memory of this machine or as given, such as "64" or "500M"."""
    # The output folder need not exist yet.
    folder = next(folder for folder in [out.absolute(), *out.absolute().parents] if folder.exists())
    disk = shutil.disk_usage(folder).free
    if not memory:
        return Cost(memory=machine_memory(), disk=disk)
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]?)B?", memory.strip().upper())
    if not match or not float(match[1]):
        raise PlanError(f"--memory {memory}: expected gigabytes, such as 64, or 500M")
    return Cost(memory=int(float(match[1]) * UNITS[match[2]]), disk=disk)


def _planned_device(device: str) -> str:
    """Return the device to plan for: cuda or cpu, whichever exists, in place of "auto"."""
    if not re.fullmatch(r"auto|(cpu|torch|mps|cuda(:\d+)?)(,(cpu|torch|mps|cuda:\d+))*", device):
        raise PlanError(
            f"--device {device}: expected auto, cpu, cuda, cuda:N; or several, with commas between"
        )
    if device != "auto":
        return device
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _smaller_setting(stage: str, memory: int, request: FitRequest, rates: Rates) -> str:
    """Return a setting that makes a stage smaller; for a solved model, one whose cost fits."""
    if stage == "features":
        return f"fewer spaces in one {run_hint('features')}, or one device"
    if stage not in ("fit", "ablate"):
        return "fewer fits, FITS=…, or a subject at a time, SUBJECT=01"
    if request.estimator.streams:
        narrow = request.settings.group_by in ("roi", "class")
        return "fewer columns or spaces, or PARAMS=batch=64" if narrow else "GROUP_BY=roi"
    for width in NARROWER:
        entries = [_narrow_entry(entry, width) for entry in request.entries]
        costs = fit_costs(replace(request, entries=entries), rates)
        peak = max(cost.memory for unit_costs in costs for cost in unit_costs)
        if peak <= memory and entries != request.entries:
            names = " ".join(entry.name for entry in entries)
            return f'SPACES="{names}", with {format_bytes(peak)}'
    return "a machine with more; fewer pictures (IMAGES=…) or fewer spaces take less"


def _narrow_entry(entry: Entry, width: int) -> Entry:
    """Return an entry whose layers are projected to at most `width` columns each."""
    bands = [{**b, "columns": min(b["columns"], width)} for b in entry.meta.get("bands") or []]
    n_layers = max(1, len(entry.meta["key"].get("layers") or []))
    columns = sum(b["columns"] for b in bands) or min(entry.meta["columns"], n_layers * width)
    if columns == entry.meta["columns"]:
        return entry
    name, meta = entry.name.partition("~")[0], entry.meta | {"columns": columns, "bands": bands}
    return Entry(Path("planned"), f"{name}~{width}", meta)

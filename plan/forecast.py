"""The command `python -m plan`: forecast every stage, and refuse what does not fit."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from base import convert_paths, run_hint, say
from cache import Entry, FeatureStore
from challenge import SubjectChoice, find_subjects
from execute.forecast.rates import Rates
from extract.spaces import TEXT_FAMILIES
from extract.text.captions import read_captions
from plan.errors import PlanError
from plan.limits import Limits, find_limits, processor_load
from plan.stages import (
    Stage,
    plan_ablate,
    plan_evaluate,
    plan_features,
    plan_fit,
    plan_spaces,
)
from plan.table import format_bytes, format_time
from regress.ablation.subsets import MAX_SPACES
from regress.costs.units import fit_costs
from regress.fitting.request import FitRequest
from regress.fitting.request_checks import add_test_pictures, make_request

# Widths of a projection to try where there are too many columns.
NARROWER = (2048, 1024, 512, 256, 128)


@convert_paths
def plan(
    data: Path = Path("data"),
    out: Path = Path("derivatives"),
    subject: SubjectChoice = "all",
    model: str = "banded_ridge",
    spaces: list[str] = ["clip", "alexnet", "sam"],  # noqa: B006
    device: str = "auto",
    heldout: float = 0.1,
    folds: int = 5,
    seed: int = 0,
    group_by: str = "roi",
    params: dict[str, Any] = {},  # noqa: B006
    subjects: list[str] = [],  # noqa: B006
    start: Path | None = None,
    images: int | None = None,
    weights: list[str] = [],  # noqa: B006
    captions: list[str] = [],  # noqa: B006
    precision: Literal["float32", "bfloat16", "float16"] = "float32",
    dtype: Literal["float32", "float16"] = "float32",
    memory: str = "",
    recalibrate: bool = False,
) -> None:
    """Forecast the cost of features, fits, ablation, scores and report; nothing is computed.

    The speed of this machine is measured once, in some twenty seconds, and stored in OUT/rates; so
    is the speed of each network and each training, which are tried on a few pictures with random
    weights.

    Parameters
    ----------
    data, out, subject, model, spaces
        As for `python -m regress`. The spaces need not exist yet.
    device : str
        As for the stages. For cuda, memory is computed from shapes, and times are those of the
        processor: no GPU is measured.
    heldout, folds, seed, group_by, params, subjects, start, images
        As for `python -m regress`.
    weights : list of str
        As for `python -m extract`; they are not read, since they do not change the forecast.
    captions, precision, dtype
        As for `python -m extract`.
    memory : str
        Memory of the machine to plan for, in GB, such as 64, or 500M; by default that of this
        machine.
    recalibrate : bool
        Whether to measure the speed of this machine again.

    Raises
    ------
    PlanError
        If the run does not fit into memory or on the disk; the message names a setting that would.
    """
    challenge_subjects = find_subjects(data, subjects or subject)
    limits = find_limits(out, memory)
    store = FeatureStore(out / "features")
    # Check the request before anything is measured.
    options: dict[str, Any] = {
        "subject": subject, "model": model, "heldout": heldout, "folds": folds, "seed": seed,
        "group_by": group_by, "params": params, "subjects": subjects, "start": start,
        "images": images,
    }  # fmt: skip
    space_plans = plan_spaces(spaces, store, challenge_subjects, dtype)
    entries = [space.entry for space in space_plans]
    request = add_test_pictures(make_request(data, out, lambda _: entries, **options), data)
    if any(space.spec.family in TEXT_FAMILIES for space in space_plans if space.missing):
        read_captions(captions)
    target_device = _planned_device(device)
    rates = Rates(out / "rates", recalibrate)
    stages = [plan_features(space_plans, challenge_subjects, rates, target_device, precision)]
    stages.append(plan_fit(request, rates, target_device))
    if 1 < len(entries) <= MAX_SPACES and not request.estimator.streams:
        ablation_settings = {"heldout": heldout, "folds": folds}
        stages.append(plan_ablate(challenge_subjects, entries, rates, ablation_settings))
    stages += plan_evaluate(challenge_subjects, out, [request.folder.name], len(entries), rates)
    for stage in stages:
        if stage.lines:
            say("\n".join([*stage.lines, ""]))
    _say_totals(stages, rates, limits, device)
    _check_limits(stages, limits, request, rates)


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


def _say_totals(stages: Sequence[Stage], rates: Rates, limits: Limits, device: str) -> None:
    """Print the totals over all stages, and where the rates were measured."""
    costs = {stage.name: stage.cost for stage in stages}
    # The report computes the scores only where `evaluate` has not.
    seconds = sum(cost.seconds for name, cost in costs.items() if name != "evaluate")
    disk = sum(cost.disk for name, cost in costs.items() if name != "evaluate")
    largest = max(stages, key=lambda stage: stage.cost.memory)
    say(
        f"altogether {format_time(seconds)} one after the other, "
        f"{format_bytes(largest.cost.memory)} at most ({largest.name}), {format_bytes(disk)} on "
        f"disk; {limits.source} {format_bytes(limits.memory)}, {format_bytes(limits.disk)} are "
        "free on disk"
    )
    if device.startswith("cuda"):
        say("GPU memory is from shapes; no GPU was measured: times are those of this processor")
    say(rates.origin)
    load = processor_load()
    if load > 1.5:
        say(
            f"this machine is busy now ({load:.1f} processes per processor): a run may take that "
            "much longer"
        )


def _check_limits(
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
            f'SPACES="{_narrow_names(request.entries, 512)}"'
        )


def _smaller_setting(stage: Stage, limits: Limits, request: FitRequest, rates: Rates) -> str:
    """Return a setting that makes a stage smaller; for a solved model, one whose cost fits."""
    if stage.name == "features":
        return f"fewer spaces in one {run_hint('features')}, or one device"
    if stage.name not in ("fit", "ablate"):
        return "fewer fits, FITS=…, or a subject at a time, SUBJECT=01"
    if request.estimator.streams:
        wide = request.settings.group_by in ("brain", "hemisphere", *_JOINT_GROUPINGS)
        return "GROUP_BY=roi" if wide else "fewer columns or spaces, or PARAMS=batch=64"
    for width in NARROWER:
        narrow_entries = [_narrow_entry(entry, width) for entry in request.entries]
        if _columns(narrow_entries) == _columns(request.entries):
            continue
        costs = fit_costs(replace(request, entries=narrow_entries), rates)
        peak = max(cost.memory for group in costs for cost in group)
        if peak <= limits.memory:
            return f'SPACES="{_narrow_names(request.entries, width)}", with {format_bytes(peak)}'
    return "a machine with more; fewer pictures (IMAGES=…) or fewer spaces take less"


def _columns(entries: Sequence[Entry]) -> list[int]:
    return [int(entry.meta["columns"]) for entry in entries]


_JOINT_GROUPINGS = ("roi-both-hemispheres", "class-both-hemispheres")


def _narrow_names(entries: Sequence[Entry], width: int) -> str:
    wide = [n > width for n in _columns(entries)]
    return " ".join(
        f"{entry.name.partition('~')[0]}~{width}" if is_wide else entry.name
        for entry, is_wide in zip(entries, wide, strict=True)
    )


def _narrow_entry(entry: Entry, width: int) -> Entry:
    """Return an entry whose layers are projected to at most `width` columns each."""
    bands = entry.meta.get("bands") or []
    n_layers = max(1, len(entry.meta["key"].get("layers") or bands))
    columns = min(int(entry.meta["columns"]), width * n_layers)
    # Each layer is projected by itself.
    shares = [{**band, "columns": min(int(band["columns"]), width)} for band in bands]
    columns = sum(band["columns"] for band in shares) if shares else columns
    meta = entry.meta | {"columns": columns, "bands": shares}
    return replace(entry, path=Path("planned"), meta=meta)

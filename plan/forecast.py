"""What `python -m plan` does: ask every stage what it takes, tell it, refuse what cannot be."""

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
from plan.limits import Limits, find_limits, load
from plan.stages import (
    Stage,
    plan_ablate,
    plan_evaluate,
    plan_features,
    plan_fit,
    plan_spaces,
)
from plan.table import in_bytes, in_time
from regress.ablation.subsets import MAX_SPACES
from regress.costs.units import fit_costs
from regress.fitting.request import FitRequest
from regress.fitting.request_checks import add_test_pictures, make_request

# Widths of a projection that are tried where columns are too many.
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
    """Say what features, fits, ablation, scores and report will take; nothing is computed.

    How fast this machine is, is measured once, in some twenty seconds, and kept in OUT/rates; so is
    how fast each network and each training is, which are tried on a few pictures with random
    weights.

    Parameters
    ----------
    data, out, subject, model, spaces
        As for `python -m regress`. The spaces need not be there.
    device : str
        As for the stages; for cuda, memory is worked out from shapes, and times are those of the
        processor: no GPU is measured.
    heldout, folds, seed, group_by, params, subjects, start, images
        As for `python -m regress`.
    weights : list of str
        As for `python -m extract`; they are not read, a plan is the same with any.
    captions, precision, dtype
        As for `python -m extract`.
    memory : str
        What the machine has that is planned for, in GB, such as 64, or 500M; by default what this
        one has.
    recalibrate : bool
        Whether to measure this machine anew.

    Raises
    ------
    PlanError
        If it does not fit into memory or on the disk, with a setting that would.
    """
    chosen = find_subjects(data, subjects or subject)
    limits = find_limits(out, memory)
    store = FeatureStore(out / "features")
    # What is wrong is said before anything is measured.
    options: dict[str, Any] = {
        "subject": subject, "model": model, "heldout": heldout, "folds": folds, "seed": seed,
        "group_by": group_by, "params": params, "subjects": subjects, "start": start,
        "images": images,
    }  # fmt: skip
    planned = plan_spaces(spaces, store, chosen, dtype)
    entries = [one.entry for one in planned]
    asked = add_test_pictures(make_request(data, out, lambda _: entries, **options), data)
    if any(one.spec.family in TEXT_FAMILIES for one in planned if one.missing):
        read_captions(captions)
    where = _device(device)
    rates = Rates(out / "rates", recalibrate)
    stages = [plan_features(planned, chosen, rates, where, precision)]
    stages.append(plan_fit(asked, rates, where))
    if 1 < len(entries) <= MAX_SPACES and not asked.estimator.streams:
        how = {"heldout": heldout, "folds": folds}
        stages.append(plan_ablate(chosen, entries, rates, how))
    stages += plan_evaluate(chosen, out, [asked.folder.name], len(entries), rates)
    for stage in stages:
        if stage.lines:
            say("\n".join([*stage.lines, ""]))
    _tell(stages, rates, limits, device)
    _check(stages, limits, asked, rates)


def _device(device: str) -> str:
    """Give the device that is planned for; of "auto" what there is."""
    if not re.fullmatch(r"auto|(cpu|torch|mps|cuda(:\d+)?)(,(cpu|torch|mps|cuda:\d+))*", device):
        raise PlanError(
            f"--device {device}: expected auto, cpu, cuda, cuda:N; or several, with commas between"
        )
    if device != "auto":
        return device
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _tell(stages: Sequence[Stage], rates: Rates, limits: Limits, device: str) -> None:
    """Say what of the figures holds, and where they come from."""
    costs = {stage.name: stage.cost for stage in stages}
    # The report makes the scores again only where they are not there.
    seconds = sum(cost.seconds for name, cost in costs.items() if name != "evaluate")
    disk = sum(cost.disk for name, cost in costs.items() if name != "evaluate")
    most = max(stages, key=lambda stage: stage.cost.memory)
    say(
        f"altogether {in_time(seconds)} one after the other, {in_bytes(most.cost.memory)} at most "
        f"({most.name}), {in_bytes(disk)} on disk; {limits.where} {in_bytes(limits.memory)}, "
        f"{in_bytes(limits.disk)} are free on disk"
    )
    if device.startswith("cuda"):
        say("GPU memory is from shapes; no GPU was measured: times are those of this processor")
    say(rates.origin)
    if load() > 1.5:
        say(f"others are using this machine now ({load():.1f} processes a processor): it may take "
            "that much longer")  # fmt: skip


def _check(stages: Sequence[Stage], limits: Limits, asked: FitRequest, rates: Rates) -> None:
    """Refuse what does not fit; say what would."""
    for stage in stages:
        if stage.cost.memory > limits.memory:
            raise PlanError(
                f"make {stage.name} would take {in_bytes(stage.cost.memory)} of memory, and "
                f"{limits.where} {in_bytes(limits.memory)}; what would fit: "
                f"{_less_memory(stage, limits, asked, rates)}"
            )
    disk = sum(stage.cost.disk for stage in stages if stage.name != "evaluate")
    if disk > limits.disk:
        most = max(stages, key=lambda stage: stage.cost.disk)
        raise PlanError(
            f"{in_bytes(disk)} would be written, most by make {most.name}, and "
            f"{in_bytes(limits.disk)} are free in {asked.out}: free some space, give another "
            "folder with OUT=, store features with --dtype float16, or take fewer columns, as "
            f'SPACES="{_narrower(asked.entries, 512)}"'
        )


def _less_memory(stage: Stage, limits: Limits, asked: FitRequest, rates: Rates) -> str:
    """Name a setting that makes a stage smaller; of a solved model one that was worked out."""
    if stage.name == "features":
        return f"fewer spaces at a time, one {run_hint('features')} after another; or one device"
    if stage.name not in ("fit", "ablate"):
        return "fewer fits, FITS=…, or a subject at a time, SUBJECT=01"
    if asked.estimator.streams:
        wide = asked.settings.group_by in ("brain", "hemisphere", *_BOTH)
        return "GROUP_BY=roi" if wide else "fewer columns or spaces, or PARAMS=batch=64"
    for width in NARROWER:
        less = [_as_narrow(entry, width) for entry in asked.entries]
        if _columns(less) == _columns(asked.entries):
            continue
        costs = fit_costs(replace(asked, entries=less), rates)
        most = max(cost.memory for own in costs for cost in own)
        if most <= limits.memory:
            return f'SPACES="{_narrower(asked.entries, width)}", with {in_bytes(most)}'
    return "a machine with more; fewer pictures (IMAGES=…) or fewer spaces take less"


def _columns(entries: Sequence[Entry]) -> list[int]:
    return [int(entry.meta["columns"]) for entry in entries]


_BOTH = ("roi-both-hemispheres", "class-both-hemispheres")


def _narrower(entries: Sequence[Entry], width: int) -> str:
    wide = [n > width for n in _columns(entries)]
    return " ".join(
        f"{entry.name.partition('~')[0]}~{width}" if too else entry.name
        for entry, too in zip(entries, wide, strict=True)
    )


def _as_narrow(entry: Entry, width: int) -> Entry:
    bands = entry.meta.get("bands") or []
    n_layers = max(1, len(entry.meta["key"].get("layers") or bands))
    columns = min(int(entry.meta["columns"]), width * n_layers)
    # Layers are projected each.
    shares = [{**band, "columns": min(int(band["columns"]), width)} for band in bands]
    columns = sum(band["columns"] for band in shares) if shares else columns
    meta = entry.meta | {"columns": columns, "bands": shares}
    return replace(entry, path=Path("planned"), meta=meta)

"""Forecast every stage, and refuse what does not fit."""

import re
from collections.abc import Sequence

from base import say
from cache import FeatureStore
from challenge import find_subjects
from execute.forecast.rates import Rates
from extract.costs.units import plan_space
from extract.spaces import TEXT_FAMILIES
from extract.text.captions import read_captions
from plan.errors import PlanError
from plan.limits import Limits, check_limits, find_limits, processor_load
from plan.stages import Stage, plan_ablate, plan_evaluate, plan_features, plan_fit
from plan.table import format_bytes, format_time
from regress.ablation.subsets import MAX_SPACES
from regress.fit_options import FitOptions
from regress.fitting.request_checks import add_test_pictures, make_request


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
    target = _planned_device(options.device)
    rates = Rates(out / "rates", recalibrate)
    stages = [plan_features(plans, subjects, rates, target, precision)]
    stages.append(plan_fit(request, rates, target))
    if 1 < len(entries) <= MAX_SPACES and not request.estimator.streams:
        settings = options.folds, options.heldout
        stages.append(plan_ablate(subjects, entries, rates, *settings))
    stages += plan_evaluate(subjects, out, request.folder.name, len(entries), rates)
    for stage in stages:
        if stage.lines:
            say("\n".join([*stage.lines, ""]))
    _say_totals(stages, rates, limits, target)
    check_limits(stages, limits, request, rates)


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
    # The report computes the scores only where `evaluate` has not.
    costs = [stage.cost for stage in stages if stage.name != "evaluate"]
    largest = max(stages, key=lambda stage: stage.cost.memory)
    say(
        f"altogether {format_time(sum(cost.seconds for cost in costs))} one after the other, "
        f"{format_bytes(largest.cost.memory)} at most ({largest.name}), "
        f"{format_bytes(sum(cost.disk for cost in costs))} on disk; {limits.source} "
        f"{format_bytes(limits.memory)}, {format_bytes(limits.disk)} are free on disk"
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

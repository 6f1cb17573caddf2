"""The plan of each stage: its units of work, their costs, and the lines to print."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import evaluate.cost
import extract.costs.units
import regress.costs.units
from base import plural
from cache import Entry, FeatureStore
from challenge import Subject
from execute.forecast.cost import Cost, sequential_cost
from execute.forecast.rates import Rates
from extract.costs.units import PlannedSpace
from plan.table import format_bytes, format_table, format_time
from regress.ablation.subsets import list_subsets
from regress.fitting.request import FitRequest

FIGURES = ("time", "memory", "GPU memory", "disk")


@dataclass(frozen=True)
class Stage:
    """The forecast of one command.

    Attributes
    ----------
    name : str
        The make target.
    lines : list of str
        Title and table to print.
    cost : Cost
        Total cost of the command.
    """

    name: str
    lines: list[str]
    cost: Cost


def _figures(cost: Cost) -> list[str]:
    gpu = format_bytes(cost.gpu_memory) if cost.gpu_memory else "-"
    return [format_time(cost.seconds), format_bytes(cost.memory), gpu, format_bytes(cost.disk)]


def plan_features(
    space_plans: Sequence[PlannedSpace],
    subjects: Sequence[Subject],
    rates: Rates,
    device: str,
    precision: str,
) -> Stage:
    """Plan `make features`."""
    n_pictures = extract.costs.units.count_pictures(subjects)
    start = extract.costs.units.start_cost(rates)
    networks = extract.costs.units.extract_costs(space_plans, subjects, rates, device, precision)
    first = {id(network.spaces[0]): network.cost for network in networks}
    at_once = {id(space): network.at_once for network in networks for space in network.spaces}
    rows = []
    for space in space_plans:
        cost = first.get(id(space))
        n_stored = f"{round(n_pictures * (1 - space.missing))}"
        todo = str(round(n_pictures * space.missing))
        cells = [space.entry.name, str(space.entry.meta["columns"]), n_stored, todo]
        # A network runs once for all spaces that are layers of it.
        figures = ["0"] * 4 if space.missing == 0 else ["with it", "", "", ""]
        if cost is not None:
            figures = _figures(replace(cost, memory=start.memory + cost.memory))
        rows.append([*cells, str(at_once.get(id(space), "-")), *figures])
    # All networks are in memory at once, on each device.
    n_devices = len(device.split(",")) if device.startswith("cuda") else 1
    costs = [network.cost for network in networks]
    memory = start.memory + sum(cost.memory for cost in costs)
    whole = Cost(
        start.seconds + sum(cost.seconds for cost in costs) / n_devices,
        memory * len(device.split(",")),
        sum(cost.gpu_memory for cost in costs),
        sum(cost.disk for cost in costs),
    )
    if not networks:
        whole = Cost()
    rows.append(["in all, with the start", "", "", "", "", *_figures(whole)])
    header = ["space", "columns", "there", "to compute", "at once", *FIGURES]
    title = f"features: {n_pictures} pictures of {plural(len(subjects), 'subject')}"
    return Stage("features", [title, *format_table(header, rows)], whole)


def plan_fit(request: FitRequest, rates: Rates, device: str) -> Stage:
    """Plan `make fit`."""
    parts = regress.costs.units.list_parts(request)
    costs = regress.costs.units.fit_costs(request, rates, device)
    rows = []
    for names, units, unit_costs in zip(request.units(), parts, costs, strict=True):
        for name, unit, cost in zip(names, units, unit_costs, strict=True):
            counts = (
                sum(part.n_images for part in unit),
                unit[0].n_features,
                sum(part.n_vertices for part in unit),
                sum(part.n_rois for part in unit),
                sum(part.n_known for part in unit),
            )
            rows.append([name, *map(str, counts), *_figures(cost)])
    start = regress.costs.units.start_cost(rates, request.estimator.streams)
    active_costs = [cost for unit_costs in costs for cost in unit_costs if cost.seconds]
    devices = device.split(",")
    # Processes on one processor share it; only GPUs are faster together.
    at_once = min(len(devices), max(1, len(active_costs)))
    whole = start + sequential_cost(active_costs)
    if at_once > 1:
        faster = at_once if device.startswith("cuda") else 1
        whole = replace(whole, seconds=whole.seconds / faster, memory=whole.memory * at_once)
    rows.append(["in all, with the start", "", "", "", "", "", *_figures(whole)])
    model = request.settings.model
    title = f"fit: {model} on {' + '.join(entry.name for entry in request.entries)}"
    header = ["unit", "pictures", "columns", "vertices", "to fit", "there", *FIGURES]
    lines = [title, *regress.costs.units.describe(request, parts), *format_table(header, rows)]
    return Stage("fit", lines, whole)


def plan_ablate(
    subjects: Sequence[Subject],
    entries: Sequence[Entry],
    rates: Rates,
    settings: dict[str, Any],
) -> Stage:
    """Plan `make ablate`."""
    space_subsets = list_subsets([entry.name for entry in entries], [])
    costs = regress.costs.units.ablate_costs(
        subjects, entries, space_subsets, rates=rates, **settings
    )
    pairs = zip(subjects, costs, strict=True)
    rows = [[f"subj{subject.name}", *_figures(cost)] for subject, cost in pairs]
    whole = regress.costs.units.start_cost(rates, imports="regress.ablate") + sequential_cost(costs)
    rows.append(["in all, with the start", *_figures(whole)])
    title = (
        f"ablate: {len(space_subsets)} subsets of {len(entries)} spaces; at most, if none is there"
    )
    return Stage("ablate", [title, *format_table(["subject", *FIGURES], rows)], whole)


def plan_evaluate(
    subjects: Sequence[Subject], out: Path, fits: Sequence[str], n_spaces: int, rates: Rates
) -> list[Stage]:
    """Plan `make evaluate`, `make submission` and `make report`."""
    fit_names = {folder.name for folder in (out / "fits").glob("[!.]*") if folder.is_dir()}
    n_fits = len(fit_names | set(fits))
    scored = evaluate.cost.count_scoring(subjects, n_fits, n_spaces)
    costs = evaluate.cost.evaluate_costs(scored, subjects, rates)
    names = {"scores": "evaluate", "submission": "submission", "report": "report"}
    rows = [[f"make {names[name]}", *_figures(cost)] for name, cost in costs.items()]
    title = f"scores of {plural(n_fits, 'fit')}{', and of their ensemble' * (n_fits > 1)}"
    lines = [title, *format_table(["command", *FIGURES], rows)]
    stages = [Stage(names[name], [], cost) for name, cost in costs.items()]
    return [replace(stages[0], lines=lines), *stages[1:]]


def plan_spaces(
    names: Sequence[str], store: FeatureStore, subjects: Sequence[Subject], dtype: str
) -> list[PlannedSpace]:
    """Return the plan of each feature space, without duplicates."""
    space_plans = [
        extract.costs.units.plan_space(name, store, subjects, dtype)
        for name in dict.fromkeys(names)
    ]
    return list({space.entry.path: space for space in space_plans}.values())

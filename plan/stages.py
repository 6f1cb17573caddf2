"""The plan of each stage: what it would be asked for, what that takes, and how it is told."""

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
from execute.forecast.cost import Cost, in_turn
from execute.forecast.rates import Rates
from extract.costs.units import PlannedSpace
from plan.table import in_bytes, in_time, table
from regress.ablation.subsets import subsets
from regress.fitting.request import Asked

FIGURES = ("time", "memory", "GPU memory", "disk")


@dataclass(frozen=True)
class Stage:
    """What one command takes.

    Attributes
    ----------
    name : str
        The make target.
    lines : list of str
        What is told of it.
    cost : Cost
        Of all of it.
    """

    name: str
    lines: list[str]
    cost: Cost


def _figures(cost: Cost) -> list[str]:
    gpu = in_bytes(cost.gpu_memory) if cost.gpu_memory else "-"
    return [in_time(cost.seconds), in_bytes(cost.memory), gpu, in_bytes(cost.disk)]


def plan_features(
    planned: Sequence[PlannedSpace],
    subjects: Sequence[Subject],
    rates: Rates,
    device: str,
    precision: str,
) -> Stage:
    """Plan `make features`."""
    n_pictures = extract.costs.units.count_pictures(subjects)
    begin = extract.costs.units.start_cost(rates)
    networks = extract.costs.units.extract_costs(planned, subjects, rates, device, precision)
    first = {id(one.spaces[0]): one for one in networks}
    at_once = {id(space): one.at_once for one in networks for space in one.spaces}
    rows = []
    for one in planned:
        network = first.get(id(one))
        there = f"{round(n_pictures * (1 - one.missing))}"
        todo = str(round(n_pictures * one.missing))
        cells = [one.entry.name, str(one.entry.meta["columns"]), there, todo]
        # A network runs once for all spaces that are layers of it.
        figures = ["0"] * 4 if one.missing == 0 else ["with it", "", "", ""]
        if network is not None:
            figures = _figures(replace(network.cost, memory=begin.memory + network.cost.memory))
        rows.append([*cells, str(at_once.get(id(one), "-")), *figures])
    # Networks are in memory side by side; several devices have them each.
    n_devices = len(device.split(",")) if device.startswith("cuda") else 1
    costs = [one.cost for one in networks]
    memory = begin.memory + sum(cost.memory for cost in costs)
    whole = Cost(
        begin.seconds + sum(cost.seconds for cost in costs) / n_devices,
        memory * len(device.split(",")),
        sum(cost.gpu_memory for cost in costs),
        sum(cost.disk for cost in costs),
    )
    if not networks:
        whole = Cost()
    rows.append(["in all, with the start", "", "", "", "", *_figures(whole)])
    header = ["space", "columns", "there", "to compute", "at once", *FIGURES]
    title = f"features: {n_pictures} pictures of {plural(len(subjects), 'subject')}"
    return Stage("features", [title, *table(header, rows)], whole)


def plan_fit(asked: Asked, rates: Rates, device: str) -> Stage:
    """Plan `make fit`."""
    parts = regress.costs.units.parts_of(asked)
    costs = regress.costs.units.fit_costs(asked, rates, device)
    rows = []
    for names, units, own in zip(asked.units(), parts, costs, strict=True):
        for name, unit, cost in zip(names, units, own, strict=True):
            counts = (
                sum(one.n_images for one in unit),
                unit[0].n_features,
                sum(one.n_vertices for one in unit),
                sum(one.n_rois for one in unit),
                sum(one.n_known for one in unit),
            )
            rows.append([name, *map(str, counts), *_figures(cost)])
    begin = regress.costs.units.start_cost(rates, asked.estimator.streams)
    every = [cost for own in costs for cost in own if cost.seconds]
    devices = device.split(",")
    # Processes on one processor share it; only GPUs are faster together.
    at_once = min(len(devices), max(1, len(every)))
    whole = begin + in_turn(every)
    if at_once > 1:
        faster = at_once if device.startswith("cuda") else 1
        whole = replace(whole, seconds=whole.seconds / faster, memory=whole.memory * at_once)
    rows.append(["in all, with the start", "", "", "", "", "", *_figures(whole)])
    model = asked.settings.model
    told = f"fit: {model} on {' + '.join(one.name for one in asked.entries)}"
    header = ["unit", "pictures", "columns", "vertices", "to fit", "there", *FIGURES]
    lines = [told, *regress.costs.units.describe(asked, parts), *table(header, rows)]
    return Stage("fit", lines, whole)


def plan_ablate(
    subjects: Sequence[Subject],
    entries: Sequence[Entry],
    rates: Rates,
    settings: dict[str, Any],
) -> Stage:
    """Plan `make ablate`."""
    wanted = subsets([entry.name for entry in entries], [])
    costs = regress.costs.units.ablate_costs(subjects, entries, wanted, rates=rates, **settings)
    rows = [[f"subj{one.name}", *_figures(cost)] for one, cost in zip(subjects, costs, strict=True)]
    whole = regress.costs.units.start_cost(rates, imports="regress.ablate") + in_turn(costs)
    rows.append(["in all, with the start", *_figures(whole)])
    title = f"ablate: {len(wanted)} subsets of {len(entries)} spaces; at most, if none is there"
    return Stage("ablate", [title, *table(["subject", *FIGURES], rows)], whole)


def plan_evaluate(
    subjects: Sequence[Subject], out: Path, fits: Sequence[str], n_spaces: int, rates: Rates
) -> list[Stage]:
    """Plan `make evaluate`, `make submission` and `make report`."""
    there = {folder.name for folder in (out / "fits").glob("[!.]*") if folder.is_dir()}
    n_fits = len(there | set(fits))
    scored = evaluate.cost.count_scored(subjects, n_fits, n_spaces)
    costs = evaluate.cost.evaluate_costs(scored, subjects, rates)
    names = {"scores": "evaluate", "submission": "submission", "report": "report"}
    rows = [[f"make {names[name]}", *_figures(cost)] for name, cost in costs.items()]
    title = f"scores of {plural(n_fits, 'fit')}{', and of their ensemble' * (n_fits > 1)}"
    lines = [title, *table(["command", *FIGURES], rows)]
    stages = [Stage(names[name], [], cost) for name, cost in costs.items()]
    return [replace(stages[0], lines=lines), *stages[1:]]


def plan_spaces(
    names: Sequence[str], store: FeatureStore, subjects: Sequence[Subject], dtype: str
) -> list[PlannedSpace]:
    """Look what feature spaces are, each once."""
    found = [
        extract.costs.units.plan_space(name, store, subjects, dtype)
        for name in dict.fromkeys(names)
    ]
    return list({one.entry.path: one for one in found}.values())

"""The plan of each stage: its units of work, their costs, and the lines to print."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from base import plural
from cache import Entry
from challenge import Subject
from evaluate.cost import evaluate_costs
from execute.forecast.cost import Cost, sequential_cost
from execute.forecast.rates import Rates
from extract.costs.units import IMPORTS, PlannedSpace, count_pictures, extract_costs, total_cost
from plan.table import Row, format_costs
from regress.ablation.subsets import list_subsets
from regress.costs import solved_models
from regress.costs.units import describe, fit_costs, start_cost
from regress.fitting.request import FitRequest
from regress.fitting.unit_sizes import list_parts


@dataclass(frozen=True)
class Stage:
    """The forecast of one command: its make target, the lines to print, its total cost."""

    name: str
    lines: list[str]
    cost: Cost


def _divide(cost: Cost, device: str, n: int) -> Cost:
    """Return the cost of n processes: those of one processor share it, GPUs are faster together."""
    faster = n if device.startswith("cuda") else 1
    return replace(cost, seconds=cost.seconds / faster, memory=cost.memory * n)


def plan_features(
    plans: Sequence[PlannedSpace],
    subjects: Sequence[Subject],
    rates: Rates,
    device: str,
    precision: str,
) -> Stage:
    """Plan `make features`."""
    n_pictures, process = count_pictures(subjects), rates.start(*IMPORTS)
    networks = extract_costs(plans, subjects, rates, device, precision)
    rows: list[Row] = []
    for space in plans:
        n_missing = round(n_pictures * space.missing)
        cells = [space.entry.name, space.entry.meta["columns"], n_pictures - n_missing, n_missing]
        network = next((network for network in networks if space in network.spaces), None)
        if network is None:
            rows.append(([*cells, "-"], Cost()))
            continue
        # A network runs once for all spaces that are layers of it.
        cost = replace(network.cost, memory=process.memory + network.cost.memory)
        rows.append(([*cells, network.at_once], cost if space is network.spaces[0] else None))
    total = process + total_cost(networks, rates) if networks else Cost()
    total = _divide(total, device, len(device.split(",")))
    header = ["space", "columns", "there", "to compute", "at once"]
    title = f"features: {n_pictures} pictures of {plural(len(subjects), 'subject')}"
    return Stage("features", [title, *format_costs(header, rows, total)], total)


def plan_fit(request: FitRequest, rates: Rates, device: str) -> Stage:
    """Plan `make fit`."""
    parts, costs = list_parts(request), fit_costs(request, rates, device)
    rows: list[Row] = []
    for names, units, unit_costs in zip(request.units(), parts, costs, strict=True):
        for name, unit, cost in zip(names, units, unit_costs, strict=True):
            counts = [(p.n_images, p.n_vertices, p.n_rois, p.n_known) for p in unit]
            n_images, n_vertices, n_rois, n_known = map(sum, zip(*counts, strict=True))
            cells = [name, n_images, unit[0].n_features, n_vertices, n_rois, n_known]
            rows.append((cells, cost))
    active = [cost for _, cost in rows if cost and cost.seconds]
    total = start_cost(request, rates) + sequential_cost(active)
    total = _divide(total, device, min(len(device.split(",")), max(1, len(active))))
    spaces = " + ".join(entry.name for entry in request.entries)
    title = f"fit: {request.settings.model} on {spaces}"
    header = ["unit", "pictures", "columns", "vertices", "to fit", "there"]
    lines = [title, describe(request, parts), *format_costs(header, rows, total)]
    return Stage("fit", lines, total)


def plan_ablate(
    subjects: Sequence[Subject],
    entries: Sequence[Entry],
    rates: Rates,
    folds: int = 5,
    heldout: float = 0.1,
) -> Stage:
    """Plan `make ablate`."""
    subsets = list_subsets([entry.name for entry in entries], [])
    costs = solved_models.ablate_costs(subjects, entries, subsets, rates, folds, heldout)
    rows = [([f"subj{s.name}"], cost) for s, cost in zip(subjects, costs, strict=True)]
    total = rates.start(*solved_models.IMPORTS) + sequential_cost(costs)
    title = f"ablate: {len(subsets)} subsets of {len(entries)} spaces; at most, if none is there"
    return Stage("ablate", [title, *format_costs(["subject"], rows, total)], total)


def plan_evaluate(
    subjects: Sequence[Subject], out: Path, fit: str, n_spaces: int, rates: Rates
) -> list[Stage]:
    """Plan `make evaluate`, `make submission` and `make report` with the fits and another."""
    folders = {folder.name for folder in (out / "fits").glob("[!.]*") if folder.is_dir()}
    n_fits = len(folders | {fit})
    costs = evaluate_costs(subjects, n_fits, n_spaces, rates)
    costs = {"evaluate": costs.pop("scores"), **costs}
    title = f"scores of {plural(n_fits, 'fit')}{', and of their ensemble' * (n_fits > 1)}"
    rows = [([f"make {name}"], cost) for name, cost in costs.items()]
    stages = [Stage(name, [], cost) for name, cost in costs.items()]
    return [replace(stages[0], lines=[title, *format_costs(["command"], rows)]), *stages[1:]]

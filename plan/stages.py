"""The plan of each stage: prints its units of work and their costs."""

from collections.abc import Sequence
from dataclasses import replace

from base import plural, say
from challenge import Subject
from evaluate.cost import evaluate_costs
from execute.forecast.cost import Cost
from execute.forecast.rates import Rates
from extract.cost import IMPORTS, PlannedSpace, count_pictures, extract_costs
from regress.ablation.subsets import list_subsets
from regress.cost import ablate_costs, describe_fit, fit_costs, start_cost
from regress.fitting.request import FitRequest
from regress.fitting.unit_sizes import list_parts

# The first cells of a row, and its cost; None for work that an earlier row includes.
Row = tuple[Sequence[object], Cost | None]


def plan_features(
    plans: list[PlannedSpace], subjects: list[Subject], rates: Rates, device: str, precision: str
) -> Cost:
    """Print the plan of `make features`."""
    n_pictures, process, rows = count_pictures(subjects), rates.start(*IMPORTS), []
    costs, total = extract_costs(plans, subjects, rates, precision)
    for space, (at_once, cost) in zip(plans, costs, strict=True):
        n_missing = round(n_pictures * space.missing)
        cells = [space.entry.name, space.entry.meta["columns"], n_pictures - n_missing, n_missing]
        cost = Cost(memory=process.memory) & cost if at_once and cost else cost
        rows.append(([*cells, at_once or "-"], cost))
    total = process + total if any(n for n, _ in costs) else Cost()
    header = ["space", "columns", "there", "to compute", "at once"]
    title = f"features: {n_pictures} pictures of {plural(len(subjects), 'subject')}"
    return _say_costs(title, header, rows, total, device)


def plan_fit(request: FitRequest, rates: Rates, device: str) -> Cost:
    """Print the plan of `make fit`."""
    groups, costs, rows = list_parts(request), fit_costs(request, rates), []
    for names, units, unit_costs in zip(request.units(), groups, costs, strict=True):
        for name, parts, cost in zip(names, units, unit_costs, strict=True):
            counts = [(p.n_images, p.n_vertices, p.n_rois, p.n_known) for p in parts]
            n_images, *totals = map(sum, zip(*counts, strict=True))
            rows.append(([name, n_images, parts[0].n_features, *totals], cost))
    active = [cost for _, cost in rows if cost.seconds]
    device = ",".join(device.split(",")[: max(1, len(active))])
    total = start_cost(rates, request.estimator.streams) + sum(active, Cost())
    title = f"fit: {request.settings.model} on {' + '.join(e.name for e in request.entries)}"
    header = ["unit", "pictures", "columns", "vertices", "to fit", "there"]
    return _say_costs(f"{title}\n{describe_fit(request, groups)}", header, rows, total, device)


def plan_ablate(request: FitRequest, rates: Rates) -> Cost:
    """Print the plan of `make ablate`."""
    entries, subjects = request.entries, [s for group in request.groups for s in group]
    subsets = list_subsets([entry.name for entry in entries], [])
    sizes = request.settings.folds, request.settings.heldout
    costs = ablate_costs(subjects, entries, subsets, rates, *sizes)
    rows = [([f"subj{s.name}"], cost) for s, cost in zip(subjects, costs, strict=True)]
    title = f"ablate: {len(subsets)} subsets of {len(entries)} spaces; at most, if none is there"
    return _say_costs(title, ["subject"], rows, start_cost(rates) + sum(costs, Cost()))


def plan_evaluate(request: FitRequest, rates: Rates) -> dict[str, Cost]:
    """Print the plan of `make evaluate`, `submission` and `report` with the fits and another."""
    folders = {path.name for path in (request.out / "fits").glob("[!.]*") if path.is_dir()}
    n_fits = len(folders | {request.folder.name})
    subjects = [subject for group in request.groups for subject in group]
    costs = evaluate_costs(subjects, n_fits, len(request.entries), rates)
    title = f"scores of {plural(n_fits, 'fit')}{', and of their ensemble' * (n_fits > 1)}"
    _say_costs(title, ["command"], [([f"make {name}"], cost) for name, cost in costs.items()])
    return costs


def format_bytes(number: float) -> str:
    """Return a number of bytes as text, such as "1.4 GB"."""
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if number >= size:
            return f"{number / size:.{int(number < 10 * size)}f} {unit}"
    return "0" if number == 0 else "under 1 MB"


def format_time(seconds: float) -> str:
    """Return a time as text, such as "2.5 min"."""
    if seconds == 0:
        return "0"
    units = (("s", 1), ("min", 60), ("h", 3600), ("days", 86400))
    unit, size = next((unit for unit in units if seconds / unit[1] < 99.5), units[-1])
    return f"{seconds / size:.{int(seconds < 9.95 * size)}f} {unit}"


def _say_costs(
    title: str, header: list[str], rows: Sequence[Row], total: Cost | None = None, device: str = ""
) -> Cost:
    """Print a table; return the total on devices: a process each, of which GPUs are faster."""
    n, on_gpu = len(device.split(",")), device.startswith("cuda")
    table = [[*header, "time", "memory", "GPU memory", "disk"]]
    if total is not None:
        seconds = total.seconds / (n if on_gpu else 1)
        total = replace(total, seconds=seconds, memory=total.memory * n)
        rows = [*rows, (["in all, with the start", *[""] * (len(header) - 1)], total)]
    for cells, cost in rows:
        figures = ["with it", "", "", ""]
        if cost is not None:
            gpu = format_bytes(cost.gpu_memory) if on_gpu and cost.gpu_memory else "-"
            memory, disk = format_bytes(cost.memory), format_bytes(cost.disk)
            figures = [format_time(cost.seconds), memory, gpu, disk]
        table.append([*map(str, cells), *figures])
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = []
    for first, *numbers in table:
        aligned = map(str.rjust, numbers, widths[1:])
        lines.append("  ".join([first.ljust(widths[0]), *aligned]).rstrip())
    say("\n".join([title, lines[0], "-" * max(map(len, lines)), *lines[1:], ""]))
    return total or Cost()

"""Forecast the time, memory and disk of fits and ablations, unit by unit."""

from collections.abc import Sequence
from dataclasses import replace

from execute.forecast.cost import Cost
from execute.forecast.rates import Rates
from regress.costs.ablation import ablate_costs
from regress.costs.ridge import Shape, working_memory
from regress.costs.shapes import Part, list_parts
from regress.costs.solved_models import solved_cost
from regress.costs.trials import reading_seconds, start_cost
from regress.fitting.fit import COPIES as WEIGHTS
from regress.fitting.fit import MEMORY
from regress.fitting.request import FitRequest
from regress.solvers.random_search import CHUNK

__all__ = ["ablate_costs", "describe", "fit_costs", "list_parts", "start_cost"]

# Bytes of GPU memory that CUDA itself needs.
CUDA = 500 << 20


def fit_costs(request: FitRequest, rates: Rates, device: str = "cpu") -> list[list[Cost]]:
    """Forecast the cost of each unit of a request.

    Work that the units of a group share, such as reading the features, is counted with the first
    unit that has something to fit. The start of a process, `start_cost`, is not counted.

    Parameters
    ----------
    request : FitRequest
        The request; its feature spaces need not exist yet, their entries are enough.
    device : str
        "cpu", or "cuda" with or without a number to forecast GPU memory too.

    Returns
    -------
    list of list of Cost
        One cost per unit, in the order of `request.units()`; 0 where all models exist. For trained
        models it is an upper bound: all epochs.
    """
    memory = start_cost(rates, trained=request.estimator.streams).memory
    costs = []
    for number, units in enumerate(list_parts(request)):
        group_costs: list[Cost] = []
        for unit, parts in enumerate(units):
            if not any(part.n_rois for part in parts):
                group_costs.append(Cost())
            elif request.estimator.streams:
                from regress.costs.trained_models import training_cost

                group_costs.append(training_cost(request, rates, number, unit, parts))
            else:
                first = not any(cost.seconds for cost in group_costs)
                group_costs.append(solved_cost(request, rates, parts[0], first, memory))
        shared = reading_seconds(rates, request.groups[number], units[0])
        for index, cost in enumerate(group_costs):
            if cost.seconds:
                group_costs[index] = replace(cost, seconds=cost.seconds + shared)
                break
        if device.startswith("cuda"):
            group_costs = [
                replace(cost, gpu_memory=_gpu_memory(request, parts)) if cost.seconds else cost
                for cost, parts in zip(group_costs, units, strict=True)
            ]
        costs.append(group_costs)
    return costs


def _gpu_memory(request: FitRequest, parts: Sequence[Part]) -> int:
    """Return the bytes of GPU memory that a unit needs."""
    n, p = max(part.n_images for part in parts), parts[0].n_features
    columns = sum(part.n_columns for part in parts)
    if request.estimator.streams:
        batch = int(request.estimator.get_params()["batch"])
        width = min(columns, max(1, MEMORY // (4 * WEIGHTS * p)))
        return CUDA + 4 * WEIGHTS * p * width + 4 * batch * (p + 4 * width)
    width = min(columns, max(1, MEMORY // (4 * n)))
    shape = Shape(parts[0].n_inside, p, width, request.settings.folds)
    return CUDA + working_memory(shape) + 4 * n * (p + shape.batch)


def describe(request: FitRequest, parts: Sequence[Sequence[Sequence[Part]]]) -> list[str]:
    """Describe, in lines for the user, how a model will be solved or trained."""
    all_parts = [part for units in parts for unit in units for part in unit if part.n_rois]
    if not all_parts:
        return ["all models are there already"]
    largest = max(all_parts, key=lambda part: part.n_columns)
    parameters = request.estimator.get_params()
    if request.estimator.streams:
        return [
            f"trained in batches of {parameters['batch']} pictures, at most {parameters['epochs']} "
            "epochs, twice: times are at most, a training that stops early takes less"
        ]
    if request.settings.model == "ols_pca":
        return [f"{parameters['n_components']} principal components, then least squares"]
    if "alphas" not in parameters:
        return [
            f"{request.settings.model} is not known to plans: planned as ridge with one penalty"
        ]
    shape = Shape(largest.n_inside, largest.n_features, largest.n_columns, request.settings.folds)
    return [
        f"{shape.form} form ({largest.n_inside} pictures to search on, {largest.n_features} "
        f"columns), {shape.folds} folds, {len(parameters['alphas'])} penalties; batches of up to "
        f"{shape.batch} of {largest.n_columns} vertices, {CHUNK} scored at once"
    ]

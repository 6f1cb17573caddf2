"""Forecast the time, memory and disk of fits, unit by unit."""

from collections.abc import Sequence
from dataclasses import replace

from execute.forecast.cost import CUDA, Cost
from execute.forecast.rates import Rates
from regress.costs.solved_models import IMPORTS, ridge_size, solved_cost
from regress.fitting.request import FitRequest
from regress.fitting.unit_sizes import Part, list_parts
from regress.solvers.random_search import CHUNK


def start_cost(request: FitRequest, rates: Rates) -> Cost:
    """Return the cost of starting the process of a fit."""
    modules = ["regress.training.estimator"] if request.estimator.streams else []
    return rates.start(*IMPORTS, *modules)


def fit_costs(request: FitRequest, rates: Rates, device: str = "cpu") -> list[list[Cost]]:
    """Forecast the cost of each unit of a request; 0 where all models exist.

    Work that the units of a group share, such as reading the features, is counted with the first
    unit that has something to fit. Of the start of a process, `start_cost`, the memory is counted,
    and not the time. For trained models it is an upper bound: all epochs. GPU memory is counted for
    the device "cuda", with or without a number.
    """
    process = start_cost(request, rates)
    costs = []
    for number, units in enumerate(list_parts(request)):
        unit_costs: list[Cost] = []
        for unit, parts in enumerate(units):
            if not any(part.n_rois for part in parts):
                unit_costs.append(Cost())
                continue
            first = not any(cost.seconds for cost in unit_costs)
            if request.estimator.streams:
                from regress.costs.trained_models import training_cost

                cost = training_cost(request, rates, number, unit, parts, process.memory)
            else:
                cost = solved_cost(request, rates, parts[0], first)
            if first:
                rows = sum((part.n_images + part.n_test) * part.n_features for part in parts)
                reading = rates.picture_digests(request.groups[number]) + rates.passes(12 * rows)
                cost += Cost(reading)
            gpu_memory = CUDA + cost.gpu_memory if device.startswith("cuda") else 0
            memory = process.memory + cost.memory
            unit_costs.append(replace(cost, memory=memory, gpu_memory=gpu_memory))
        costs.append(unit_costs)
    return costs


def describe(request: FitRequest, parts: Sequence[Sequence[Sequence[Part]]]) -> str:
    """Describe, for the user, how a model will be solved or trained."""
    all_parts = [part for units in parts for unit in units for part in unit if part.n_rois]
    if not all_parts:
        return "all models are there already"
    parameters, model = request.estimator.get_params(), request.settings.model
    if request.estimator.streams:
        return (
            f"trained in batches of {parameters['batch']} pictures, at most {parameters['epochs']} "
            "epochs, twice: times are at most, a training that stops early takes less"
        )
    if model == "ols_pca":
        return f"{parameters['n_components']} principal components, then least squares"
    if "alphas" not in parameters:
        return f"{model} is not known to plans: planned as ridge with one penalty"
    size = ridge_size(request, max(all_parts, key=lambda part: part.n_columns))
    return (
        f"{size.form} form ({size.n_images} pictures to search on, {size.n_features} columns), "
        f"{size.folds} folds, {len(size.alphas)} penalties; batches of up to {size.batch} of "
        f"{size.n_vertices} vertices, {CHUNK} scored at once"
    )

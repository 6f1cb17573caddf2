"""Forecast the time, memory and disk of fits, unit by unit, and of ablations."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from cache import Entry, digest
from challenge import HEMISPHERES, Subject
from execute.forecast.cost import CUDA, Cost
from execute.forecast.measure import measure_process
from execute.forecast.rates import Rates
from regress.ablation.moment_files import WIDTH
from regress.ablation.subsets import Subset
from regress.data.design import find_bands
from regress.fitting.fit import COPIES, batch_width
from regress.fitting.request import FitRequest
from regress.fitting.unit_sizes import Part, list_parts
from regress.linear_model import ALPHAS
from regress.solvers.forms import RidgeSize
from regress.solvers.random_search import CHUNK

# Looking for a GPU imports torch.
IMPORTS = ("regress.fitting.request_checks", "torch")
# Passes of the responses of a fit and a refit through memory, to be read and centred; copies of a
# batch of them in memory at once; passes of models, to be saved; seconds to make a model's file.
RESPONSE_PASSES, BATCH_COPIES, SAVE_PASSES, SAVING = 48, 2, 7, 0.01


def start_cost(rates: Rates, trained: bool = False) -> Cost:
    """Return the cost of starting the process of a fit or an ablation."""
    return rates.start(*IMPORTS, *["regress.training.estimator"] * trained)


def fit_costs(request: FitRequest, rates: Rates) -> list[list[Cost]]:
    """Forecast the cost of each unit of a request; 0 where all models exist.

    Of the start of a process, `start_cost`, the memory is counted, and not the time. For trained
    models it is an upper bound: all epochs.
    """
    process = Cost(0.0, start_cost(rates, request.estimator.streams).memory, CUDA)
    costs: list[list[Cost]] = []
    for number, units in enumerate(list_parts(request)):
        costs.append([])
        for unit, parts in enumerate(units):
            cost = Cost()
            if any(part.n_rois for part in parts) and request.estimator.streams:
                cost = process & _training_cost(request, rates, number, unit, parts)
            elif any(part.n_rois for part in parts):
                first = not any(cost.seconds for cost in costs[-1])
                cost = process & _solved_cost(request, rates, parts[0], first)
            costs[-1].append(cost)
    return costs


def _training_cost(
    request: FitRequest, rates: Rates, number: int, unit: int, parts: Sequence[Part]
) -> Cost:
    """Forecast the most that a unit's trainings can cost: all epochs, for the fit and the refit.

    The time of a step is measured once for all units of a model and features, on random features of
    some pictures; other units take as much more as they have columns.
    """
    from regress.fitting.training_trial import count_steps, try_training

    shapes = {"settings": request.settings.as_dict(), "bands": parts[0].bands}
    work = partial(measure_process, try_training, request, number, unit)
    trial = rates.get_or_measure(f"trial of training {digest(shapes)}", work)
    scale = sum(part.n_columns for part in parts) / trial["columns"]
    n_trainings, parameters = scale * trial["trainings"], request.estimator.get_params()
    n_steps = count_steps(parameters, [part.n_inside for part in parts], fit=True)
    n_steps += count_steps(parameters, [part.n_images for part in parts])
    seconds = int(parameters["epochs"]) * n_steps * n_trainings * trial["step"]
    seconds += 2 * trial["begin"] * max(1, n_trainings)
    # The trial had few pictures: add the other pictures' features, as stored and as trained on, and
    # the pages of their responses.
    rows = sum(part.n_images * (3 * part.n_features + part.n_vertices) for part in parts)
    rows += sum((part.n_held + part.n_test) * part.n_columns for part in parts)
    training = max(0, trial["memory"] - start_cost(rates, trained=True).memory) * scale
    gpu = COPIES * scale * trial["weights"] + 4 * int(parameters["batch"]) * parts[0].n_features
    return Cost(seconds, int(training) + 4 * rows, int(gpu), sum(part.disk for part in parts))


def _ridge_size(request: FitRequest, part: Part) -> RidgeSize:
    """Return the size of a search; a model without penalties is taken for ridge with one."""
    parameters = request.estimator.get_params()
    weightings = int(parameters["n_iter"]) if "n_iter" in parameters and len(part.bands) > 1 else 1
    alphas = tuple(parameters.get("alphas", (1.0,)))
    sizes = part.n_inside, part.n_features, part.n_columns
    return RidgeSize(*sizes, request.settings.folds, alphas, weightings)


def _solved_cost(request: FitRequest, rates: Rates, part: Part, first: bool) -> Cost:
    """Forecast the cost of a solved unit, for which the features are decomposed if it is first."""
    n, p, v, size = part.n_images, part.n_features, part.n_columns, _ridge_size(request, part)
    seconds = rates.passes(4 * n * (RESPONSE_PASSES * v + 12 * p) + SAVE_PASSES * part.disk)
    seconds += SAVING * part.n_rois
    if request.settings.model == "ols_pca":
        # Components are mostly found by a randomised algorithm of many small steps.
        k = max(1, min(int(request.estimator.get_params()["n_components"]), n - 1, p))
        seconds += 2 * (rates.products(60, n, p, k + 10) + rates.products(2 * n + p, k, v))
    else:
        # Stacking fits a model of each band, and each fold of it, and then forms the products of
        # all pairs of bands' errors: each number takes about as long as reading 150 bytes.
        stacked = request.settings.model == "stacked_ridge"
        first = first or stacked
        widths, n_solved = (part.bands, size.folds + 1) if stacked else ((p,), 1)
        seconds += rates.passes(150 * n * v * len(widths) ** 2 * stacked)
        for width in widths:
            band, refit = (replace(size, n_features=width, n_images=m) for m in (size.n_images, n))
            seconds += band.search_seconds(rates, first) + refit.solve_seconds(rates, first)
            seconds += n_solved * band.solve_seconds(rates, first)
    batch = replace(size, n_vertices=min(v, batch_width(request.estimator, n, p)))
    arrays = n * (part.n_vertices + BATCH_COPIES * batch.n_vertices + 3 * p)
    arrays += (part.n_held + p) * v
    gpu = batch.memory + 4 * n * (p + batch.batch)
    return Cost(seconds, batch.memory + 4 * arrays, gpu, part.disk)


def describe_fit(request: FitRequest, groups: Sequence[Sequence[Sequence[Part]]]) -> str:
    """Describe, for the user, how a model will be solved or trained."""
    parts = [part for units in groups for unit in units for part in unit if part.n_rois]
    if not parts:
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
    size = _ridge_size(request, max(parts, key=lambda part: part.n_columns))
    return (
        f"{size.form} form ({size.n_images} pictures to search on, {size.n_features} columns), "
        f"{size.folds} folds, {len(size.alphas)} penalties; batches of up to {size.batch} of "
        f"{size.n_vertices} vertices, {CHUNK} scored at once"
    )


def ablate_costs(
    subjects: Sequence[Subject],
    entries: Sequence[Entry],
    subsets: Sequence[Subset],
    rates: Rates,
    folds: int = 5,
    heldout: float = 0.1,
) -> list[Cost]:
    """Forecast the cost of each subject's ablation, as if no results existed yet."""
    widths = np.array([band.width for band in find_bands(entries, layers=False)])
    process, p, costs = Cost(0.0, start_cost(rates).memory), int(widths.sum()), []
    for subject in subjects:
        vertices = [subject.n_vertices(h) for h in HEMISPHERES]
        n, v, widest = len(subject.pictures("train")), sum(vertices), max(vertices)
        held = round(heldout * n)
        seconds = rates.passes(4 * n * (v * (6 + len(subsets)) + 6 * p))
        for subset in subsets:
            size = RidgeSize(n - held, int(widths[list(subset)].sum()), v, folds, ALPHAS)
            seconds += size.search_seconds(rates) + size.solve_seconds(rates)
        # Sums over pictures are stored of the spaces that are solved by them.
        stored = int(widths[widths <= n - held].sum())
        disk = 4 * folds * stored * (v + 2 * stored) + 4 * (2 + len(widths)) * v * len(subsets)
        seconds += rates.products(n, stored, v) + rates.passes(SAVE_PASSES * disk)
        memory = replace(size, n_vertices=min(WIDTH, widest)).memory
        memory += 4 * n * (3 * p + widest + 3 * WIDTH)
        costs.append(process & Cost(seconds, memory, 0, disk))
    return costs

"""Forecast the cost of trained models from a short trial with the same shapes."""

from collections.abc import Sequence
from functools import partial

from cache import digest
from execute.forecast.cost import Cost
from execute.forecast.measure import measure_process
from execute.forecast.rates import Rates
from regress.fitting.fit import COPIES
from regress.fitting.request import FitRequest
from regress.fitting.training_trial import count_steps, try_training
from regress.fitting.unit_sizes import Part


def training_cost(
    request: FitRequest, rates: Rates, number: int, unit: int, parts: Sequence[Part], memory: int
) -> Cost:
    """Forecast the most that a unit's trainings can cost: all epochs, for the fit and the refit.

    The time of a step is measured once for all units of a model and features, on random features of
    some pictures; other units take as much more as they have columns. `memory` is that of a process
    that does nothing, which is not counted.
    """
    shapes = {"settings": request.settings.as_dict(), "bands": parts[0].bands}
    work = partial(measure_process, try_training, request, number, unit)
    trial = rates.get_or_measure(f"trial of training {digest(shapes)}", work)
    scale = sum(part.n_columns for part in parts) / trial["columns"]
    n_trainings, parameters = scale * trial["trainings"], request.estimator.get_params()
    n_steps = count_steps(parameters, [part.n_inside for part in parts], fit=True)
    n_steps += count_steps(parameters, [part.n_images for part in parts])
    seconds = int(parameters["epochs"]) * n_steps * n_trainings * trial["step"]
    seconds += 2 * trial["begin"] * max(1, n_trainings)
    seconds += sum(part.save_seconds(rates) for part in parts)
    # The trial had few pictures: add the other pictures' features, as stored and as trained on, and
    # the pages of their responses.
    rows = sum(part.n_images * (3 * part.n_features + part.n_vertices) for part in parts)
    rows += sum((part.n_held + part.n_test) * part.n_columns for part in parts)
    training = max(0, trial["memory"] - memory) * scale
    gpu = COPIES * scale * trial["weights"] + 4 * int(parameters["batch"]) * parts[0].n_features
    return Cost(seconds, int(training) + 4 * rows, int(gpu), sum(part.disk for part in parts))

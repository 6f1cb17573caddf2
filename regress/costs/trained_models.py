"""Forecast the cost of trained models from a short trial with the same shapes."""

from collections.abc import Sequence
from dataclasses import replace
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
    request: FitRequest, rates: Rates, number: int, unit: int, parts: Sequence[Part]
) -> Cost:
    """Forecast the most that a unit's trainings can cost: all epochs, for the fit and the refit.

    The time of a step is measured on random features of some pictures, in a process of its own,
    whose memory is included.
    """
    shapes = [vars(replace(part, n_images=0, n_test=0, n_held=0, n_known=0)) for part in parts]
    name = f"trial of training {digest({'settings': request.settings.as_dict(), 'shapes': shapes})}"
    work = partial(measure_process, try_training, request, number, unit)
    trial = rates.get_or_measure(name, work)
    parameters = request.estimator.get_params()
    n_steps = count_steps(parameters, [part.n_inside for part in parts], fit=True)
    n_steps += count_steps(parameters, [part.n_images for part in parts])
    training = 2 * trial["begin"] + int(parameters["epochs"]) * n_steps * trial["step"]
    seconds = trial["trainings"] * training + sum(part.save_seconds(rates) for part in parts)
    # The trial had few pictures: add the other pictures' features, as stored and as trained on, and
    # the pages of their responses.
    rows = sum(part.n_images * (3 * part.n_features + part.n_vertices) for part in parts)
    rows += sum((part.n_held + part.n_test) * part.n_columns for part in parts)
    gpu = COPIES * trial["weights"] + 4 * int(parameters["batch"]) * parts[0].n_features
    disk = sum(part.disk for part in parts)
    return Cost(seconds, int(trial["memory"]) + 4 * rows, int(gpu), disk)

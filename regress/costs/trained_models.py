"""Forecast the cost of trained models from a short trial with the same shapes."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from sklearn.base import clone

from challenge import Subject
from execute.forecast.calibration import Values, elapsed_time
from execute.forecast.cost import Cost
from execute.forecast.measure import measure_process
from execute.forecast.rates import Rates
from regress.costs.shapes import Part, fit_bytes, rate_digest
from regress.costs.trials import artifact_rates
from regress.data.design import empty_design
from regress.data.picture_splits import Division
from regress.data.several_subjects import batches
from regress.data.vertex_columns import spans
from regress.fitting.fit import _SpanFit
from regress.fitting.request import FitRequest
from regress.fitting.settings import Job
from regress.fitting.subject_fit import SubjectFit
from regress.fitting.up_to_date import ModelFiles

# Batches in an epoch of a trial, and epochs of the longer of its two trainings.
STEPS, EPOCHS = 2, 3


def training_cost(
    request: FitRequest, rates: Rates, number: int, unit: int, parts: Sequence[Part]
) -> Cost:
    """Forecast the most that a unit's trainings can cost: all epochs, for the fit and the refit.

    The time of a step is measured on random features of some pictures, in a separate process.
    """
    parameters = request.estimator.get_params()
    shapes = [replace(part, n_images=0, n_test=0, n_held=0, n_known=0) for part in parts]
    name = f"training {rate_digest(request.settings.as_dict(), shapes)}"
    trial = rates.get_or_measure(
        name, partial(measure_process, try_training, request, number, unit)
    )
    batch, epochs = int(parameters["batch"]), int(parameters["epochs"])
    share = parameters["validation"] or 0
    inside = [round(part.n_inside * (1 - share)) for part in parts]
    steps = [max(-(-n // batch) for n in ns) for ns in (inside, [p.n_images for p in parts])]
    seconds = trial["trainings"] * (2 * trial["begin"] + epochs * sum(steps) * trial["step"])
    disk = sum(map(fit_bytes, parts))
    seconds += (
        rates.writes(disk, 0) + sum(p.n_rois for p in parts) * artifact_rates(rates)["seconds"]
    )
    # The trial had few pictures: add the other pictures' features, as stored and as trained on, and
    # the pages of their responses.
    rows = sum(4 * p.n_images * (3 * p.n_features + p.n_vertices) for p in parts)
    held = sum(4 * (p.n_held + p.n_test) * p.n_columns for p in parts)
    return Cost(seconds, int(trial["memory"]) + rows + held, 0, disk)


def try_training(request: FitRequest, number: int, unit: int) -> Values:
    """Train on some pictures for a few epochs, and measure the time of a step.

    Returns
    -------
    dict
        `step`, seconds of a batch with its share of the validation; `begin`, seconds of a training
        besides its steps; `trainings`, the number of such trainings that the unit needs.
    """
    logging.disable(logging.WARNING)
    span = spans(request.settings.group_by)[unit]
    jobs = [_job(request, subject) for subject in request.groups[number]]
    all_files = [ModelFiles(job, span) for job in jobs]
    batch = int(request.estimator.get_params()["batch"])
    n_rows = [min(len(job.design.train), STEPS * batch) for job in jobs]
    subject_fits = [
        SubjectFit(job, present, present.rois, _first(job, rows))
        for job, present, rows in zip(jobs, all_files, n_rows, strict=True)
    ]
    span_fit = _SpanFit(subject_fits)
    layouts = [member.layout for member in subject_fits]
    first = next(batches(layouts, span_fit._width()))
    parameters = span_fit._job_parameters(first) | {
        "checkpoint": None,
        "log": None,
        "progress_bar": False,
    }
    X, y = span_fit._data(first, [member.division.inside for member in subject_fits])
    if X.dtype == np.float32:
        X = np.random.default_rng(0).standard_normal(X.shape, dtype=np.float32)
    times = []
    for epochs in (1, EPOCHS):
        model = clone(request.estimator)
        defaults = model.get_params()
        model.set_params(**{n: v for n, v in parameters.items() if n in defaults}, epochs=epochs)
        times.append(elapsed_time(partial(model.fit, X, y)))
    train_share = 1 - float(request.estimator.get_params()["validation"] or 0)
    n_steps = max(-(-round(n * train_share) // batch) for n in n_rows)
    epoch = max(0.0, times[1] - times[0]) / (EPOCHS - 1)
    n_columns = sum(len(layout.vertices) for layout in layouts)
    return {
        "step": epoch / n_steps,
        "begin": max(0.0, times[0] - epoch),
        "trainings": n_columns / max(1, sum(map(len, first))),
    }


def _job(request: FitRequest, subject: Subject) -> Job:
    design = empty_design(subject, request.entries)
    if "bands" in request.estimator.get_params():
        request.estimator.set_params(bands=design.bands)
    return Job(subject, design, request.settings, request.estimator, Path("fits"))


def _first(job: Job, n_rows: int) -> Division:
    """Return a division that fits on the first pictures and holds out none."""
    none = np.zeros(len(job.design.train), bool)
    inside = none.copy()
    inside[:n_rows] = True
    return Division(none, inside, inside, frozenset())

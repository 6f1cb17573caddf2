"""What a training takes: some of its steps are run, with the shapes that it will have."""

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
from regress.costs.shapes import Part, digest_of, fit_bytes
from regress.costs.trials import artifact
from regress.data.design import empty_design
from regress.data.picture_splits import Division
from regress.data.several_subjects import batches
from regress.data.vertex_columns import spans
from regress.fitting.fit import _Span
from regress.fitting.request import Asked
from regress.fitting.settings import Job
from regress.fitting.subject_fit import Member
from regress.fitting.up_to_date import Present

# Batches in an epoch of a trial; a longer trial has so many epochs.
STEPS, EPOCHS = 2, 3


def training_cost(
    asked: Asked, rates: Rates, number: int, unit: int, parts: Sequence[Part]
) -> Cost:
    """Say what the trainings of a unit take, at most: all epochs, for the fit and the refit.

    Returns
    -------
    Cost
        Measured on random features of some pictures, in a process of its own.
    """
    parameters = asked.estimator.get_params()
    shapes = [replace(part, n_images=0, n_test=0, n_held=0, n_known=0) for part in parts]
    name = f"training {digest_of(asked.settings.as_dict(), shapes)}"
    trial = rates.get_or_measure(name, partial(measure_process, try_training, asked, number, unit))
    batch, epochs = int(parameters["batch"]), int(parameters["epochs"])
    share = parameters["validation"] or 0
    inside = [round(part.n_inside * (1 - share)) for part in parts]
    steps = [max(-(-n // batch) for n in ns) for ns in (inside, [p.n_images for p in parts])]
    seconds = trial["trainings"] * (2 * trial["begin"] + epochs * sum(steps) * trial["step"])
    disk = sum(map(fit_bytes, parts))
    seconds += rates.writes(disk, 0) + sum(p.n_rois for p in parts) * artifact(rates)["seconds"]
    # The trial had few pictures: the others' features, as they lie and as they are trained on, and
    # the pages of their responses.
    rows = sum(4 * p.n_images * (3 * p.n_features + p.n_vertices) for p in parts)
    held = sum(4 * (p.n_held + p.n_test) * p.n_columns for p in parts)
    return Cost(seconds, int(trial["memory"]) + rows + held, 0, disk)


def try_training(asked: Asked, number: int, unit: int) -> Values:
    """Train on some pictures for some epochs, and tell the time of a step.

    Returns
    -------
    dict
        `step`, seconds of a batch and its share of the validation; `begin`, seconds of a training
        beside its steps; `trainings`, how often so many vertices are trained.
    """
    logging.disable(logging.WARNING)
    span = spans(asked.settings.group_by)[unit]
    jobs = [_job(asked, one) for one in asked.groups[number]]
    presents = [Present(job, span) for job in jobs]
    batch = int(asked.estimator.get_params()["batch"])
    n_rows = [min(len(job.design.train), STEPS * batch) for job in jobs]
    members = [
        Member(job, present, present.rois, _first(job, rows))
        for job, present, rows in zip(jobs, presents, n_rows, strict=True)
    ]
    whole = _Span(members)
    layouts = [member.layout for member in members]
    first = next(batches(layouts, whole._width()))
    own = whole._own(first) | {"checkpoint": None, "log": None, "progress_bar": False}
    X, y = whole._data(first, [member.division.inside for member in members])
    if X.dtype == np.float32:
        X = np.random.default_rng(0).standard_normal(X.shape, dtype=np.float32)
    times = []
    for epochs in (1, EPOCHS):
        model = clone(asked.estimator)
        known = model.get_params()
        model.set_params(**{n: v for n, v in own.items() if n in known}, epochs=epochs)
        times.append(elapsed_time(partial(model.fit, X, y)))
    kept = 1 - float(asked.estimator.get_params()["validation"] or 0)
    n_steps = max(-(-round(n * kept) // batch) for n in n_rows)
    epoch = max(0.0, times[1] - times[0]) / (EPOCHS - 1)
    n_columns = sum(len(layout.vertices) for layout in layouts)
    return {
        "step": epoch / n_steps,
        "begin": max(0.0, times[0] - epoch),
        "trainings": n_columns / max(1, sum(map(len, first))),
    }


def _job(asked: Asked, subject: Subject) -> Job:
    design = empty_design(subject, asked.entries)
    if "bands" in asked.estimator.get_params():
        asked.estimator.set_params(bands=design.bands)
    return Job(subject, design, asked.settings, asked.estimator, Path("fits"))


def _first(job: Job, n_rows: int) -> Division:
    """Take the first pictures alone."""
    none = np.zeros(len(job.design.train), bool)
    inside = none.copy()
    inside[:n_rows] = True
    return Division(none, inside, inside, frozenset())

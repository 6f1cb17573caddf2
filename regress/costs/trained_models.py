"""Forecast the cost of trained models from a short trial with the same shapes."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from sklearn.base import clone

from cache import digest
from challenge import Subject
from execute.forecast.cost import Cost
from execute.forecast.measure import Values, elapsed_time, measure_process
from execute.forecast.rates import Rates
from regress.costs.shapes import Part
from regress.data.design import empty_design
from regress.data.picture_splits import Division
from regress.data.several_subjects import batches
from regress.data.vertex_columns import spans
from regress.fitting.fit import COPIES, _SpanFit
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

    The time of a step is measured on random features of some pictures, in a process of its own,
    whose memory is included.
    """
    parameters = request.estimator.get_params()
    shapes = [vars(replace(part, n_images=0, n_test=0, n_held=0, n_known=0)) for part in parts]
    name = f"trial of training {digest({'settings': request.settings.as_dict(), 'shapes': shapes})}"
    work = partial(measure_process, try_training, request, number, unit)
    trial = rates.get_or_measure(name, work)
    batch, share = int(parameters["batch"]), parameters["validation"] or 0
    n_steps = max(-(-round(part.n_inside * (1 - share)) // batch) for part in parts)
    n_steps += max(-(-part.n_images // batch) for part in parts)
    training = 2 * trial["begin"] + int(parameters["epochs"]) * n_steps * trial["step"]
    seconds = trial["trainings"] * training + sum(part.save_seconds(rates) for part in parts)
    # The trial had few pictures: add the other pictures' features, as stored and as trained on, and
    # the pages of their responses.
    rows = sum(part.n_images * (3 * part.n_features + part.n_vertices) for part in parts)
    rows += sum((part.n_held + part.n_test) * part.n_columns for part in parts)
    gpu = COPIES * trial["weights"] + 4 * batch * parts[0].n_features
    disk = sum(part.disk for part in parts)
    return Cost(seconds, int(trial["memory"]) + 4 * rows, int(gpu), disk)


def try_training(request: FitRequest, number: int, unit: int) -> Values:
    """Train on some pictures for a few epochs.

    Returned are `step`, seconds of a batch with its share of the validation; `begin`, seconds of a
    training besides its steps; `trainings`, the number of such trainings that the unit needs;
    `weights`, bytes of the network.
    """
    batch = int(request.estimator.get_params()["batch"])
    span = spans(request.settings.group_by)[unit]
    subject_fits = [_trial_fit(request, s, span, STEPS * batch) for s in request.groups[number]]
    span_fit = _SpanFit(subject_fits)
    layouts = [subject_fit.layout for subject_fit in subject_fits]
    columns = next(batches(layouts, span_fit._width()))
    n_columns = sum(map(len, columns))
    parameters = span_fit._job_parameters(columns)
    parameters |= {"checkpoint": None, "log": None, "progress_bar": False}
    X, y = span_fit._data(columns, [subject_fit.division.inside for subject_fit in subject_fits])
    if X.dtype == np.float32:
        X = np.random.default_rng(0).standard_normal(X.shape, dtype=np.float32)
    model = clone(request.estimator)
    defaults = model.get_params()
    model.set_params(**{name: value for name, value in parameters.items() if name in defaults})
    times = [
        elapsed_time(partial(clone(model).set_params(epochs=epochs).fit, X, y))
        for epochs in (1, EPOCHS)
    ]
    weights = sum(w.nbytes for w in model.set_params(epochs=1).fit(X, y).network_.parameters())
    train_share = 1 - float(request.estimator.get_params()["validation"] or 0)
    n_rows = max(int(subject_fit.division.inside.sum()) for subject_fit in subject_fits)
    epoch = max(0.0, times[1] - times[0]) / (EPOCHS - 1)
    return {
        "step": epoch / max(1, -(-round(n_rows * train_share) // batch)),
        "begin": max(0.0, times[0] - epoch),
        "trainings": sum(len(layout.vertices) for layout in layouts) / max(1, n_columns),
        "weights": weights,
    }


def _trial_fit(
    request: FitRequest, subject: Subject, span: tuple[str, ...], n_rows: int
) -> SubjectFit:
    """Return a subject's fit on its first pictures, of which none is held out."""
    design = empty_design(subject, request.entries)
    if "bands" in request.estimator.get_params():
        request.estimator.set_params(bands=design.bands)
    job = Job(subject, design, request.settings, request.estimator, Path("fits"))
    files, inside = ModelFiles(job, span), np.arange(len(design.train)) < n_rows
    division = Division(np.zeros(len(inside), bool), inside, inside, frozenset())
    return SubjectFit(job, files, files.rois, division)

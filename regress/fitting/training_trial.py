"""A short training with the shapes of a request, to measure how long a step takes."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from challenge import Subject
from execute.forecast.measure import Values, elapsed_time
from regress.data.design import empty_design
from regress.data.picture_splits import Division
from regress.data.vertex_columns import batches, spans
from regress.fitting.fit import _SpanFit
from regress.fitting.request import FitRequest
from regress.fitting.settings import Job
from regress.fitting.subject_fit import SubjectFit
from regress.fitting.up_to_date import ModelFiles

# Batches in an epoch of a trial, and epochs of the longer of its two trainings.
STEPS, EPOCHS = 2, 3


def try_training(request: FitRequest, number: int, unit: int) -> Values:
    """Train on some pictures for a few epochs.

    Returned are `step`, seconds of a batch with its share of the validation; `begin`, seconds of a
    training besides its steps; `columns` of the unit, and the number of `trainings` that they need;
    `weights`, bytes of the network.
    """
    parameters, span = request.estimator.get_params(), spans(request.settings.group_by)[unit]
    n_rows = STEPS * int(parameters["batch"])
    fits = [_trial_fit(request, subject, span, n_rows) for subject in request.groups[number]]
    span_fit, layouts = _SpanFit(fits), [fit.layout for fit in fits]
    columns = next(batches(layouts, span_fit._width()))
    X, y = span_fit._data(columns, [fit.division.inside for fit in fits])
    if X.dtype == np.float32:
        X = np.random.default_rng(0).standard_normal(X.shape, dtype=np.float32)
    times = []
    for epochs in (1, EPOCHS):
        model: Any = span_fit.make_model(columns)
        model.set_params(epochs=epochs, checkpoint=None, log=None, progress_bar=False)
        times.append(elapsed_time(partial(model.fit, X, y)))
    epoch = max(0.0, times[1] - times[0]) / (EPOCHS - 1)
    n_columns = sum(len(layout.vertices) for layout in layouts)
    n_steps = count_steps(parameters, [int(fit.division.inside.sum()) for fit in fits], fit=True)
    return {
        "step": epoch / n_steps,
        "begin": max(0.0, times[0] - epoch),
        "columns": n_columns,
        "trainings": n_columns / sum(map(len, columns)),
        "weights": sum(weights.nbytes for weights in model.network_.parameters()),
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


def count_steps(parameters: dict[str, Any], n_images: Sequence[int], fit: bool = False) -> int:
    """Return the batches of an epoch, of the subject with most pictures; a fit validates some."""
    share = 1 - float(parameters["validation"] or 0) * fit
    return max(1, -(-round(max(n_images) * share) // int(parameters["batch"])))

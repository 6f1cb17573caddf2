"""Forecast the cost of ablations from shapes."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cache import Entry
from challenge import HEMISPHERES, Subject
from execute.forecast.cost import Cost
from execute.forecast.rates import Rates
from regress.ablation.moment_files import WIDTH
from regress.ablation.subsets import Subset
from regress.costs.ridge import (
    Shape,
    prepare_seconds,
    score_seconds,
    solve_seconds,
    working_memory,
)
from regress.costs.trials import artifact_rates, picture_seconds, start_cost
from regress.data.design import empty_design


def ablate_costs(
    subjects: Sequence[Subject],
    entries: Sequence[Entry],
    subsets: Sequence[Subset],
    rates: Rates,
    folds: int = 5,
    heldout: float = 0.1,
) -> list[Cost]:
    """Forecast the cost of each subject's ablation, as if no results existed yet.

    Returns
    -------
    list of Cost
        One cost per subject, without the start of the process.
    """
    return [
        _ablation_cost(subject, entries, subsets, folds, heldout, rates) for subject in subjects
    ]


def _ablation_cost(
    subject: Subject,
    entries: Sequence[Entry],
    subsets: Sequence[Subset],
    folds: int,
    heldout: float,
    rates: Rates,
) -> Cost:
    design = empty_design(subject, entries, layers=False)
    widths = np.bincount(design.bands)
    n, p = design.train.shape
    inside, held = round(n * (1 - heldout)), round(n * heldout)
    vertices = [subject.responses(h).shape[1] for h in HEMISPHERES]
    shapes = [
        Shape(inside, int(widths[list(subset)].sum()), sum(vertices), folds) for subset in subsets
    ]
    seconds = picture_seconds(rates, subject) + rates.passes(4.0 * 6 * n * p)
    for shape in shapes:
        width = shape.n_features
        seconds += prepare_seconds(rates, shape) + score_seconds(rates, shape)
        seconds += solve_seconds(rates, shape) + rates.products(3, held, width, sum(vertices))
        if shape.form == "primal":
            # The sums of the training pictures are read, not formed again.
            seconds -= rates.products(shape.n_images, width, sum(vertices))
            seconds += rates.passes(4.0 * 2 * folds * width * sum(vertices))
    primal = sorted({n for s, shape in zip(subsets, shapes, strict=True) if shape.form == "primal"
                     for n in s})  # fmt: skip
    columns = int(widths[primal].sum()) if primal else 0
    n_batches = sum(-(-v // WIDTH) for v in vertices)
    sums = 4 * folds * columns * sum(vertices) + 8 * folds * columns**2
    seconds += rates.products(inside, columns, sum(vertices)) + rates.writes(sums, 0)
    seconds += rates.digests(4.0 * n * sum(vertices))
    seconds += rates.passes(4.0 * n * sum(vertices) * (2 + len(subsets)))
    files = 2 * len(subsets) + len(primal) * n_batches + len(primal) * (len(primal) + 1) // 2
    seconds += files * artifact_rates(rates)["seconds"]
    disk = sums + 4 * (2 + len(widths)) * sum(vertices) * len(subsets)
    batch = replace(shapes[-1], n_vertices=min(WIDTH, max(vertices)))
    memory = start_cost(rates, imports="regress.ablate").memory + working_memory(batch)
    memory += 4 * n * (3 * p + max(vertices) + 3 * WIDTH)
    return Cost(seconds, memory, 0, disk)

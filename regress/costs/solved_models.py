"""Forecast the cost of models that are solved, not trained, and of ablations."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cache import Entry
from challenge import HEMISPHERES, Subject
from execute.forecast.cost import Cost
from execute.forecast.rates import Rates
from regress.ablation.moment_files import WIDTH
from regress.ablation.subsets import Subset
from regress.costs.shapes import Part
from regress.data.design import find_bands
from regress.fitting.fit import batch_width
from regress.fitting.request import FitRequest
from regress.linear_model import ALPHAS
from regress.solvers.forms import RidgeSize

# Times that the responses of a fit and a refit pass through memory to be read and centred, and
# copies of a batch of them that are in memory at once.
RESPONSE_PASSES, COPIES = 45, 2


def solved_cost(request: FitRequest, rates: Rates, part: Part, first: bool) -> Cost:
    """Forecast the cost of a unit of a solved model, without its process.

    `first` is whether this is the first unit of its group, which decomposes the features for all.
    """
    n, p, v = part.n_images, part.n_features, part.n_columns
    size = ridge_size(request, part)
    seconds = _solver_seconds(request, rates, part, size, first)
    seconds += rates.digests(4 * n * part.n_vertices) + part.save_seconds(rates)
    seconds += rates.passes(4 * n * (RESPONSE_PASSES * v + 12 * p))
    seconds += rates.products(part.n_held + part.n_test, p, part.n_saved)
    width = min(v, batch_width(request.estimator, n, p))
    batch = replace(size, n_vertices=width)
    arrays = n * (part.n_vertices + COPIES * width + 3 * p) + (part.n_held + p) * v
    gpu = batch.memory + 4 * n * (p + batch.batch)
    return Cost(seconds, batch.memory + 4 * arrays, gpu, part.disk)


def ridge_size(request: FitRequest, part: Part) -> RidgeSize:
    """Return the size of a search; a model without penalties is taken for ridge with one."""
    parameters = request.estimator.get_params()
    weightings = int(parameters["n_iter"]) if "n_iter" in parameters and len(part.bands) > 1 else 1
    alphas = tuple(parameters.get("alphas", (1.0,)))
    sizes = part.n_inside, part.n_features, part.n_columns
    return RidgeSize(*sizes, request.settings.folds, alphas, weightings)


def _solver_seconds(
    request: FitRequest, rates: Rates, part: Part, size: RidgeSize, first: bool
) -> float:
    """Return the seconds of the search and the two solutions; `first` as in `solved_cost`."""
    n, p, v, n_bands = part.n_images, part.n_features, part.n_columns, len(part.bands)
    if request.settings.model == "ols_pca":
        k = max(1, min(int(request.estimator.get_params()["n_components"]), n - 1, p))
        # scikit-learn decomposes X'X where pictures are many, else uses a randomised algorithm,
        # whose many small steps run at a fraction of the speed of large products.
        narrow = p <= 1000 and n >= 10 * p
        pca = (
            rates.products(n, p, p) + rates.eigh(p) if narrow else rates.products(60, n, p, k + 10)
        )
        return 2 * (pca + rates.products(2, n, k, v) + rates.products(p, k, v))
    if request.settings.model == "stacked_ridge":
        # The products of all pairs of bands' errors are formed vertex by vertex: each number takes
        # about as long as reading 150 bytes.
        seconds = rates.passes(150 * n * v * n_bands**2)
        for width in part.bands:
            band = replace(size, n_features=width)
            # A model for each fold, and the two solutions.
            seconds += band.search_seconds(rates) + (size.folds + 1) * band.solve_seconds(rates)
            seconds += replace(band, n_images=n).solve_seconds(rates)
        return seconds
    seconds = size.search_seconds(rates, first) + size.solve_seconds(rates, first)
    return seconds + replace(size, n_images=n).solve_seconds(rates, first)


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
    process = rates.start("regress.ablate", "torch")
    costs = []
    for subject in subjects:
        pictures = subject.pictures("train")
        n, held = len(pictures), round(heldout * len(pictures))
        vertices = [subject.n_vertices(h) for h in HEMISPHERES]
        v, files = sum(vertices), 2 * len(subsets)
        seconds = rates.file_digests([*pictures, *subject.pictures("test")])
        seconds += rates.digests(4 * n * v) + rates.passes(4 * n * v * (2 + len(subsets)))
        spaces: set[int] = set()
        for subset in subsets:
            size = RidgeSize(n - held, int(widths[list(subset)].sum()), v, folds, ALPHAS)
            seconds += size.search_seconds(rates) + size.solve_seconds(rates)
            seconds += rates.products(3, held, size.n_features, v)
            if size.form == "primal":
                spaces.update(subset)
        # Sums of the spaces that are part of a primal subset are stored.
        p, p_stored = int(widths.sum()), int(widths[list(spaces)].sum())
        files += len(spaces) * sum(-(-n_vertices // WIDTH) for n_vertices in vertices)
        sums = 4 * folds * p_stored * v + 8 * folds * p_stored**2
        seconds += rates.products(n, p_stored, v) + rates.passes(24 * n * p)
        disk = sums + 4 * (2 + len(widths)) * v * len(subsets)
        seconds += rates.writes(disk, files)
        batch = replace(size, n_vertices=min(WIDTH, max(vertices)))
        arrays = n * (3 * p + max(vertices) + 3 * WIDTH)
        costs.append(Cost(seconds, process.memory + batch.memory + 4 * arrays, 0, disk))
    return costs

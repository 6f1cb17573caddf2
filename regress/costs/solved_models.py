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
from regress.data.design import find_bands
from regress.fitting.fit import batch_width
from regress.fitting.request import FitRequest
from regress.fitting.unit_sizes import Part
from regress.linear_model import ALPHAS
from regress.solvers.forms import RidgeSize

# Looking for a GPU imports torch.
IMPORTS = ("regress.fitting.request_checks", "torch")
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
    process, p = rates.start(*IMPORTS), int(widths.sum())
    costs = []
    for subject in subjects:
        vertices = [subject.n_vertices(h) for h in HEMISPHERES]
        n, v, widest = len(subject.pictures("train")), sum(vertices), max(vertices)
        held = round(heldout * n)
        seconds = rates.picture_digests([subject]) + rates.digests(4 * n * v)
        seconds += rates.passes(4 * n * (v * (2 + len(subsets)) + 6 * p))
        for subset in subsets:
            size = RidgeSize(n - held, int(widths[list(subset)].sum()), v, folds, ALPHAS)
            seconds += size.search_seconds(rates) + size.solve_seconds(rates)
            seconds += rates.products(3, held, size.n_features, v)
        # Sums over pictures are stored of the spaces that are solved by them.
        stored = int(widths[widths <= n - held].sum())
        disk = 4 * folds * stored * (v + 2 * stored) + 4 * (2 + len(widths)) * v * len(subsets)
        seconds += rates.products(n, stored, v) + rates.writes(disk, 2 * len(subsets))
        arrays = n * (3 * p + widest + 3 * WIDTH)
        solver = replace(size, n_vertices=min(WIDTH, widest)).memory
        costs.append(Cost(seconds, process.memory + solver + 4 * arrays, 0, disk))
    return costs

"""Forecast the cost of models that are solved, not trained."""

from dataclasses import replace

from execute.forecast.cost import Cost
from execute.forecast.rates import Rates
from regress.costs.ridge import (
    Shape,
    n_kept,
    prepare_seconds,
    score_seconds,
    solve_seconds,
    working_memory,
)
from regress.costs.shapes import Part, fit_bytes
from regress.costs.trials import artifact_rates, response_rates
from regress.fitting.fit import MEMORY
from regress.fitting.request import FitRequest

# Copies of a batch's responses that are in memory at once: as read, and centred.
COPIES = 2


def solved_cost(request: FitRequest, rates: Rates, part: Part, first: bool, memory: int) -> Cost:
    """Forecast the cost of a unit of a solved model.

    Parameters
    ----------
    first : bool
        Whether this is the first unit of its group, which decomposes the features for all.
    memory : int
        Bytes of the started process.
    """
    n, p = part.n_images, part.n_features
    # The columns are divided as in `regress.fitting.fit`; batches share the decompositions.
    width = min(part.n_columns, max(1, MEMORY // (4 * n)))
    shape = Shape(part.n_inside, p, part.n_columns, request.settings.folds)
    seconds = solver_seconds(request, rates, part, shape, first)
    seconds += rates.digests(4.0 * part.n_vertices * n)
    seconds += 4.0 * n * part.n_columns * response_rates(rates)["second"] + rates.passes(
        48.0 * n * p
    )
    seconds += rates.products(part.n_held + part.n_test, p, part.n_saved)
    disk = fit_bytes(part)
    saved = artifact_rates(rates)
    seconds += rates.writes(disk, 0) + rates.passes(2 * disk) + part.n_rois * saved["seconds"]
    held = 4 * part.n_held * part.n_columns
    arrays = 4 * n * (part.n_vertices + COPIES * width) + 4 * 3 * n * p + held
    arrays += 4 * p * part.n_columns
    solver = working_memory(replace(shape, n_vertices=width), _n_weightings(request, part))
    return Cost(seconds, memory + arrays + solver, 0, disk)


def _n_weightings(request: FitRequest, part: Part) -> int:
    if request.settings.model == "banded_ridge" and len(part.bands) > 1:
        return int(request.estimator.get_params()["n_iter"])
    return 1


def solver_seconds(
    request: FitRequest, rates: Rates, part: Part, shape: Shape, first: bool
) -> float:
    """Return the seconds of the search and the two solutions; `first` as in `solved_cost`."""
    parameters, name = request.estimator.get_params(), request.settings.model
    full_shape = replace(shape, n_images=part.n_images)
    if name == "ols_pca":
        return 2 * _pca_seconds(rates, full_shape, int(parameters["n_components"]))
    # A model without a formula here is taken for ridge.
    n_alphas = len(parameters.get("alphas", (1.0,)))
    shape, full_shape = (replace(s, n_alphas=n_alphas) for s in (shape, full_shape))
    if name == "stacked_ridge":
        # For each band: a search, a model per fold, and the two solutions.
        band_shapes = [replace(shape, n_features=width) for width in part.bands]
        return _stacking_seconds(rates, shape, len(band_shapes)) + sum(
            prepare_seconds(rates, band_shape)
            + score_seconds(rates, band_shape)
            + (shape.folds + 1) * solve_seconds(rates, band_shape)
            + solve_seconds(rates, replace(band_shape, n_images=part.n_images))
            for band_shape in band_shapes
        )
    tries = _n_weightings(request, part)
    # Most weightings are the best for some vertex.
    n_weightings = min(tries, shape.n_vertices)
    # Weightings that do not fit into memory are decomposed again for each batch of vertices.
    n_repeated = 0 if tries == 1 else tries - n_kept(shape, tries)
    batches = -(-shape.n_vertices // shape.batch)
    seconds = score_seconds(rates, shape, tries)
    if first:
        seconds += prepare_seconds(rates, shape, tries)
    if n_repeated:
        seconds += (batches - first) * prepare_seconds(rates, shape, n_repeated)
    # Features are digested to find earlier decompositions of them; so is the data of a search.
    digested = 3 * shape.n_features + (shape.n_vertices if tries > 1 else 0)
    seconds += rates.digests(4.0 * part.n_images * digested)
    return seconds + sum(
        solve_seconds(rates, s, n_weightings, not first) for s in (shape, full_shape)
    )


def _stacking_seconds(rates: Rates, shape: Shape, n_bands: int) -> float:
    # The products of all pairs of bands' errors, vertex by vertex, are far slower than a product of
    # matrices: each number takes about as long as reading 150 bytes.
    return rates.passes(150.0 * shape.n_images * shape.n_vertices * n_bands**2)


def _pca_seconds(rates: Rates, shape: Shape, components: int) -> float:
    n, p, v = shape.n_images, shape.n_features, shape.n_vertices
    k = max(1, min(components, n - 1, p))
    # scikit-learn decomposes X'X where pictures are many, else uses a randomised algorithm.
    if p <= 1000 and n >= 10 * p:
        decomposed = rates.products(0.5, n, p, p) + rates.eigh(p)
    elif max(n, p) <= 500:
        decomposed = 4 * rates.eigh(min(n, p))
    else:
        # Its many small steps run at a fraction of the speed of large products.
        decomposed = rates.products(60, n, p, k + 10)
    return decomposed + rates.products(2, n, k, v) + rates.products(p, k, v)

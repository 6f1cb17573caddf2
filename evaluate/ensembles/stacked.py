"""Stacking: non-negative least squares of the responses on all models' held-out predictions [1]_.

Near-duplicate models share a weight, unlike under rules that consider each model alone. For
stability with few pictures, the mean normal equations of the vertices that the same models cover
are added to those of each vertex, like `PRIOR` more pictures of the average vertex. All held-out
predictions of a hemisphere are in memory at once, some 170 MB for each run at full size.

References
----------
.. [1] Breiman (1996), "Stacked Regressions", Machine Learning 24 (1).
"""

from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import Any

import numpy as np
from scipy.optimize import nnls

from challenge import constant_columns
from evaluate.arrays import Array, Floats, Indices
from evaluate.ensembles._combine import FEWEST_PICTURES
from evaluate.fits.hemisphere import Hemisphere

PRIOR = 200


def judge(hemisphere: Hemisphere, parts: Sequence[Any]) -> list[list[Floats]]:
    """Compute the stacking weights of the models at each vertex.

    Parameters
    ----------
    hemisphere : Hemisphere
        The models.
    parts : sequence of index
        Sets of held-out pictures.

    Returns
    -------
    list of list of array (n_roi_vertices,), float64
        The weights, not negative, for each part and model.
    """
    measured = hemisphere.measured("heldout")
    predicted = [hemisphere.predictions(i, "heldout") for i in range(len(hemisphere.models))]
    zeros = [np.zeros(len(vertices)) for vertices in hemisphere.vertices]
    strengths = [deepcopy(zeros) for _ in parts]
    for models, vertices, columns in _groups(hemisphere):
        P = [predicted[i][:, at] for i, at in zip(models, columns, strict=True)]
        for part, part_strengths in zip(parts, strengths, strict=True):
            weights = stack(measured[part][:, vertices], np.stack([p[part] for p in P]))
            for model, at, weight in zip(models, columns, weights, strict=True):
                part_strengths[model][at] = weight
    return strengths


def stack(measured: Array, predicted: Array) -> Floats:
    """Compute the weights (n_models, n_vertices), >= 0, of models that cover the same vertices.

    `measured` is (n_images, n_vertices), `predicted` (n_models, n_images, n_vertices).
    """
    n_models, n_images, n_vertices = predicted.shape
    if n_images < FEWEST_PICTURES:
        return np.zeros((n_models, n_vertices))
    Y = np.asarray(measured, np.float64)
    Y = Y - Y.mean(axis=0)
    spread = np.sqrt((Y**2).mean(axis=0))
    scale = np.where(constant_columns(np.asarray(measured)), 1, spread)
    # In units of each vertex's standard deviation, so that vertices can be averaged.
    P = np.moveaxis(np.asarray(predicted, np.float64), 2, 0) / scale[:, None, None]
    P = P - P.mean(axis=2, keepdims=True)
    G = P @ np.moveaxis(P, 1, 2)
    b = (P @ (Y / scale).T[:, :, None])[..., 0]
    share = PRIOR / n_images
    G, b = G + share * G.mean(axis=0), b + share * b.mean(axis=0)
    return np.stack([_non_negative(*pair) for pair in zip(G, b, strict=True)], axis=1)


def _non_negative(G: Floats, b: Floats) -> Floats:
    """Compute the w >= 0 that minimise w'Gw - 2b'w."""
    # Any root of G serves: X'X = G for X = diag(l)^(1/2) V', and X'y = b. Eigenvalues that are 0
    # except for rounding are dropped: those of constant predictions and of identical models.
    values, V = np.linalg.eigh(G)
    nonzero = values > 1e-12 * values[-1]
    if not nonzero.any():
        return np.zeros(len(b))
    root = np.sqrt(values[nonzero])
    weights: Floats = nnls(root[:, None] * V[:, nonzero].T, (V[:, nonzero].T @ b) / root)[0]
    return weights


def _groups(hemisphere: Hemisphere) -> Iterator[tuple[Indices, Indices, list[Indices]]]:
    """Yield the sets of vertices that the same models cover: models, vertices, their columns."""
    places = np.full((len(hemisphere.models), hemisphere.n_vertices), -1)
    for place, vertices in zip(places, hemisphere.vertices, strict=True):
        place[vertices] = np.arange(len(vertices))
    patterns, belongs = np.unique(places >= 0, axis=1, return_inverse=True)
    for number, pattern in enumerate(patterns.T):
        models, vertices = np.flatnonzero(pattern), np.flatnonzero(belongs.ravel() == number)
        if len(models):
            yield models, vertices, [places[i, vertices] for i in models]

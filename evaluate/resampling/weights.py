"""How often each picture counts in each resample: the same for whoever saw it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Weights:
    """Weights of the rows of one subject's pictures.

    Attributes
    ----------
    rows : array (n_resamples + n_pictures, n_images), float32
        Weights of each resample, then those with one picture left out; each line sums to 1.
    n_resamples : int
        How many of the lines are resamples.
    pictures : array (n_pictures,), bytes
        The different pictures, sorted: those that are left out.
    """

    rows: NDArray[np.float32]
    n_resamples: int
    pictures: NDArray[np.bytes_]


def picture_weights(pictures: NDArray[Any], n_resamples: int, seed: int = 0) -> Weights:
    """Draw the weights.

    Parameters
    ----------
    pictures : array (n_images,), bytes
        What names each row's picture (the sha256 of its file). Rows of one picture weigh the same.
    n_resamples : int
        How many resamples.
    seed : int
        With a picture's name, it gives that picture's weights, whatever other pictures there are.

    Returns
    -------
    Weights
        Poisson weights of mean 1, and those with one picture left out.

    References
    ----------
    Hanley and MacGibbon (2006), "Creating non-parametric bootstrap samples using Poisson
    frequencies", Computer Methods and Programs in Biomedicine 83 (1).
    """
    names, place = np.unique(np.asarray(pictures), return_inverse=True)
    drawn = np.empty((n_resamples, len(names)), np.float32)
    for column, name in enumerate(names):
        rng = np.random.default_rng([seed, int.from_bytes(name, "big")])
        drawn[:, column] = rng.poisson(1.0, n_resamples)
    # With a handful of pictures a resample may be empty: it then counts each once.
    drawn[drawn.sum(axis=1) == 0] = 1
    left_out = 1 - np.eye(len(names), dtype=np.float32)
    if len(names) == 1:
        left_out[:] = 1
    rows = np.vstack([drawn, left_out])[:, place]
    return Weights(rows / rows.sum(axis=1, keepdims=True), n_resamples, names)

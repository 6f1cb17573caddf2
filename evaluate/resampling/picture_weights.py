"""How often each picture counts in each resample: the same for whoever saw it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array


@dataclass(frozen=True)
class Weights:
    """Weights of the rows of one subject's pictures.

    Attributes
    ----------
    rows : array (n_resamples, n_images), float32
        Weights in each resample; each line sums to 1.
    pictures : array (n_pictures,), bytes
        The different pictures, sorted: those that are left out, one at a time.
    picture_index : array (n_images,), int64
        Which of them each row shows.
    """

    rows: NDArray[np.float32]
    pictures: NDArray[np.bytes_]
    picture_index: NDArray[np.int64]

    @property
    def n_lines(self) -> int:
        """How many means `means` gives of a column."""
        return len(self.rows) + len(self.pictures)

    def means(self, columns: NDArray[np.float32]) -> NDArray[np.float32]:
        """Average columns in each resample, and without each picture.

        Parameters
        ----------
        columns : array (n_images, n_columns), float32
            Anything that there is of each row.

        Returns
        -------
        array (n_columns, n_resamples + n_pictures), float32
            Column by column, the resamples first.
        """
        means = np.empty((columns.shape[1], self.n_lines), np.float32)
        n = len(self.rows)
        np.matmul(columns.T, self.rows.T, out=means[:, :n])
        # What is left of the sum is a hundredth of the work of a product with all other rows.
        without = columns.sum(axis=0) - self._picture_rows @ columns
        np.divide(without.T, self._n_other_rows, out=means[:, n:])
        return means

    @cached_property
    def _picture_rows(self) -> csr_array:
        n = len(self.picture_index)
        shape = (len(self.pictures), n)
        return csr_array((np.ones(n, np.float32), (self.picture_index, np.arange(n))), shape)

    @cached_property
    def _n_other_rows(self) -> NDArray[np.float32]:
        """How many rows show another picture; 1 where there is no other."""
        counts = np.bincount(self.picture_index, minlength=len(self.pictures))
        return np.maximum(len(self.picture_index) - counts, 1).astype(np.float32)


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
        Poisson weights of mean 1.

    References
    ----------
    Hanley and MacGibbon (2006), "Creating non-parametric bootstrap samples using Poisson
    frequencies", Computer Methods and Programs in Biomedicine 83 (1).
    """
    names, picture_index = np.unique(np.asarray(pictures), return_inverse=True)
    counts = np.empty((n_resamples, len(names)), np.float32)
    for column, name in enumerate(names):
        rng = np.random.default_rng([seed, int.from_bytes(name, "big")])
        counts[:, column] = rng.poisson(1.0, n_resamples)
    # With a handful of pictures a resample may be empty: it then counts each once.
    counts[counts.sum(axis=1) == 0] = 1
    rows = counts[:, picture_index]
    return Weights(rows / rows.sum(axis=1, keepdims=True), names, picture_index)

"""Weights of pictures in each resample, the same for all subjects that saw a picture."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from evaluate.arrays import Array, Indices, Singles


@dataclass(frozen=True)
class Weights:
    """Weights of the rows of one subject."""

    # (n_resamples, n_images): weights in each resample; each line sums to 1.
    rows: Singles
    # (n_pictures,): the different pictures, sorted; each is left out once.
    pictures: NDArray[np.bytes_]
    picture_index: Indices  # (n_images,): for each row, the index of its picture

    @property
    def n_lines(self) -> int:
        """The number of means that `means` returns for a column."""
        return len(self.rows) + len(self.pictures)

    def means(self, columns: Singles) -> Singles:
        """Compute means of columns in each resample, and without each picture.

        Takes (n_images, n_columns), and returns (n_columns, n_resamples + n_pictures).
        """
        means = np.empty((columns.shape[1], self.n_lines), np.float32)
        n = len(self.rows)
        np.matmul(columns.T, self.rows.T, out=means[:, :n])
        # Subtracting from the sum is a hundredth of the work of a product with all other rows.
        without = columns.sum(axis=0) - self._picture_rows @ columns
        np.divide(without.T, self._n_other_rows, out=means[:, n:])
        return means

    @cached_property
    def _picture_rows(self) -> csr_array:
        n = len(self.picture_index)
        shape = (len(self.pictures), n)
        return csr_array((np.ones(n, np.float32), (self.picture_index, np.arange(n))), shape)

    @cached_property
    def _n_other_rows(self) -> Singles:
        """The number of rows of other pictures, at least 1."""
        counts = np.bincount(self.picture_index, minlength=len(self.pictures))
        return np.maximum(len(self.picture_index) - counts, 1).astype(np.float32)


def picture_weights(pictures: Array, n_resamples: int, seed: int = 0) -> Weights:
    """Draw Poisson weights of mean 1 for pictures.

    `pictures` (n_images,): the name of each row's picture (the sha256 of its file). Rows of one
    picture have the same weight. `n_resamples`: the number of resamples. `seed`: seed. A picture's
    weights depend on the seed and on its name alone, not on other pictures. Returns the weights,
    normalised to sum 1 in each resample.

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
    # With a handful of pictures a resample may be empty: then each picture counts once.
    counts[counts.sum(axis=1) == 0] = 1
    rows = counts[:, picture_index]
    return Weights(rows / rows.sum(axis=1, keepdims=True), names, picture_index)

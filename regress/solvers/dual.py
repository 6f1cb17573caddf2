"""Ridge on kernels between pictures: the form where columns outnumber pictures.

It decomposes matrices of n_images x n_images. What does not depend on the vertices is computed
once, in `prepare`, and serves all batches of vertices.
"""

from collections.abc import Sequence

import numpy as np
from himalaya.backend import get_backend
from typing_extensions import override

from regress.solvers.arguments import Splits
from regress.solvers.eigen import WIDE, ResultCache, decompose_rows, eigh, loses_digits
from regress.solvers.heldout_scores import Score, pool, predicted_scores, score_of_folds
from regress.solvers.moments import Array, take
from regress.solvers.random_search import RidgeForm


class Dual(RidgeForm):
    """Ridge on kernels between pictures, one a band.

    Parameters
    ----------
    X : array (n_images, n_features)
        Features.
    splits : Splits
        The folds.
    fit_intercept : bool
        Whether X and Y are centred.
    score : callable
        The score of the held-out side.
    bands : array of int (n_features,)
        The band of each column.
    wide : float
        The ratio of eigenvalues beyond which float64 features are decomposed themselves.
    """

    def __init__(
        self,
        X: Array,
        splits: Splits,
        fit_intercept: bool,
        score: Score,
        bands: Array,
        wide: float = WIDE,
    ) -> None:
        self.wide = wide
        self.splits, self.fit_intercept = splits, fit_intercept
        self.score = score_of_folds(score, splits)
        self.pools = self.score is not score
        self.bands = bands
        self.x_mean = X.mean(0) if fit_intercept else X[0] * 0
        self.X = X - self.x_mean
        parts = [self.X[:, bands == band] for band in range(int(bands.max()) + 1)]
        self.kernels = [part @ part.T for part in parts]
        self.bytes_per_vertex = X.dtype.itemsize * self.vertex_numbers(splits.n)
        matrix = X.dtype.itemsize * splits.n**2
        self._prepared, self._solved = (
            ResultCache(2 * len(splits.held) * matrix),
            ResultCache(matrix),
        )

    @staticmethod
    def vertex_numbers(n: int, *_: object) -> int:
        """Return how many numbers a vertex of a batch needs, with n pictures."""
        return 4 * n

    def _kernel(self, gamma: Array) -> Array:
        weights = get_backend().asarray_like(gamma, self.X)
        return sum(weight * kernel for weight, kernel in zip(weights, self.kernels, strict=True))

    @override
    def prepare(self, gamma: Array, least: float) -> list[tuple[Array, Array, Array]]:
        """Decompose each fold's kernel for weights (n_bands,) of the bands."""
        prepared = self._prepared.find(gamma, least)
        if prepared is not None:
            return prepared
        backend = get_backend()
        kernel = self._kernel(gamma)
        folds = []
        for train, held in zip(self.splits.train, self.splits.held, strict=True):
            columns = backend.asarray(train)
            within = take(kernel, train)[:, columns]
            across = take(kernel, held)[:, columns]
            if self.fit_intercept:
                # The kernels of features about the mean of the training side.
                mean = within.mean(0)
                across = across - mean[None] - across.mean(1)[:, None] + mean.mean()
                within = within - mean[None] - mean[:, None] + mean.mean()
            eigenvalues, Q = eigh(within)
            turned = across @ Q
            if loses_digits(eigenvalues, least, self.X, self.wide):
                rows = take(self._weighted(gamma), train)
                mean = rows.mean(0) * self.fit_intercept
                Q, eigenvalues, V = decompose_rows(rows - mean)
                turned = (take(self._weighted(gamma), held) - mean) @ V * eigenvalues**0.5
            folds.append((eigenvalues, Q, turned))
        return self._prepared.add(gamma, least, folds)

    def _weighted(self, gamma: Array) -> Array:
        return self.X * gamma[self.bands] ** 0.5

    def _decompose(self, gamma: Array, least: float) -> tuple[Array, Array, Array | None]:
        eigenvalues, Q = eigh(self._kernel(gamma))
        if not loses_digits(eigenvalues, least, self.X, self.wide):
            return eigenvalues, Q, None
        Q, eigenvalues, V = decompose_rows(self._weighted(gamma))
        return eigenvalues, Q, V * eigenvalues**0.5

    @override
    def load(self, Y: Array) -> Array:
        return Y

    @override
    def scores(
        self,
        prepared: Sequence[tuple[Array, Array, Array]],
        loaded: Array,
        vertices: slice,
        alphas: Array,
        gamma: Array,
    ) -> Array:
        backend = get_backend()
        scores = []
        for number, (eigenvalues, Q, turned) in enumerate(prepared):
            train = take(loaded[:, vertices], self.splits.train[number])
            held = take(loaded[:, vertices], self.splits.held[number])
            mean = train.mean(0) if self.fit_intercept else train[0] * 0
            scores.append(
                predicted_scores(
                    eigenvalues, Q.T @ (train - mean), turned, held - mean, alphas, self.score
                )
            )
        fold_scores = backend.stack([backend.asarray(s, dtype="float64") for s in scores])
        if not self.pools:
            return fold_scores
        held = take(loaded[:, vertices], np.concatenate(self.splits.held))
        held = backend.asarray(held, dtype="float64")
        spread = ((held - held.mean(0)) ** 2).sum(0)
        return pool(fold_scores, self.splits, spread, (held**2).sum(0))

    @override
    def solve(self, gamma: Array, loaded: Array, vertices: Array, alphas: Array) -> Array:
        backend = get_backend()
        # In float32 one decomposition serves all penalties, and all batches of vertices.
        least = float(alphas.min()) if "64" in str(self.X.dtype) else 0.0
        solved = self._solved.find(gamma, least)
        if solved is None:
            solved = self._solved.add(gamma, least, self._decompose(gamma, least))
        eigenvalues, Q, back = solved
        Y = loaded[:, vertices]
        if self.fit_intercept:
            Y = Y - Y.mean(0)
        shrink = 1 / (eigenvalues[:, None] + backend.asarray_like(alphas, self.X)[None])
        turned = (Q.T @ Y) * shrink
        weights = backend.asarray_like(gamma, self.X)[self.bands][:, None]
        if back is not None:
            return weights**0.5 * (back @ turned)
        return weights * (self.X.T @ (Q @ turned))

    @override
    def intercept(self, loaded: Array, coefficients: Array) -> Array:
        return loaded.mean(0) - self.x_mean @ coefficients

"""Ridge on sums over pictures: the form where columns are fewer than pictures.

It decomposes matrices of n_features x n_features. What does not depend on the vertices is computed
once, in `prepare`, and serves all batches of vertices.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from himalaya.backend import get_backend
from typing_extensions import override

from regress.solvers.arguments import Splits
from regress.solvers.eigen import WIDE, ResultCache, decompose_rows, eigh, loses_digits
from regress.solvers.heldout_scores import (
    FROM_MOMENTS,
    Fold,
    Score,
    pool,
    predicted_scores,
    predicts_held_out,
    score_of_folds,
)
from regress.solvers.moments import (
    Array,
    FeatureMoments,
    ResponseMoments,
    about,
    feature_moments,
    origin,
    response_moments,
    total,
)
from regress.solvers.random_search import RidgeForm

# Each step of refinement multiplies the error by the relative rounding error of the smallest
# eigenvalue: where that is a hundredth, a change so small leaves an error of 1e-11.
ENOUGH = 1e-9
REFINEMENTS = 8


@dataclass
class Loaded:
    """Responses of a batch of vertices, as moments.

    Attributes
    ----------
    held : list of ResponseMoments
        Moments of each fold's held-out side.
    train : list of ResponseMoments or None
        Moments of each fold's training side; None where they are `whole` less `held`.
    whole : ResponseMoments
        Moments of all pictures.
    Y : array (n_images, n_vertices) or None
        The responses themselves; None where no predictions will be formed, in float32.
    y_centre : array (n_vertices,) or None
        Subtracted from the responses before the sums.
    """

    held: list[ResponseMoments]
    train: list[ResponseMoments | None]
    whole: ResponseMoments
    Y: Array
    y_centre: Array | None


class Primal(RidgeForm):
    """Ridge on X'X and X'Y of the folds.

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
    held : list of FeatureMoments, optional
        Moments of each fold's held-out side, if they are known; of X about 0.
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
        held: list[FeatureMoments] | None = None,
        wide: float = WIDE,
    ) -> None:
        self.wide = wide
        self.X, self.splits, self.fit_intercept = X, splits, fit_intercept
        self.score = score_of_folds(score, splits)
        self.pools = self.score is not score
        self.bands = bands
        self.x_centre = origin(X) if fit_intercept and held is None else None
        self.held = held or [self._features(rows) for rows in splits.held]
        everything = np.arange(splits.n)
        self.whole = total(self.held) if splits.partition else self._features(everything)
        self.train = [
            None if complement else self._features(rows)
            for complement, rows in zip(splits.complements, splits.train, strict=True)
        ]
        p = X.shape[1]
        self.predict = [
            score not in FROM_MOMENTS or predicts_held_out(len(h), p) for h in splits.held
        ]
        sizes = splits.n, p, len(self.held), any(self.predict)
        self.bytes_per_vertex = X.dtype.itemsize * self.vertex_numbers(*sizes)
        # Eigenvectors, and of each fold the held-out side turned by them.
        matrix = X.dtype.itemsize * p * p
        self._prepared, self._solved = (
            ResultCache(2 * len(self.held) * matrix),
            ResultCache(2 * matrix),
        )

    @staticmethod
    def vertex_numbers(n: int, p: int, n_folds: int, predicts: bool) -> int:
        """Return how many numbers a vertex of a batch needs, with n pictures and p columns."""
        return (n_folds + 2) * p + (2 * n if predicts else 0)

    def _features(self, rows: Any) -> FeatureMoments:
        return feature_moments(self.X, rows, self.x_centre)

    @override
    def prepare(self, gamma: Array, least: float) -> list[tuple[Fold, Array | None]]:
        """Return each fold, with the held-out features times V where predictions are formed."""
        prepared = self._prepared.find(gamma, least)
        if prepared is not None:
            return prepared
        backend, scale = get_backend(), self._scale(gamma)
        folds = []
        for number, predict in enumerate(self.predict):
            sums, held = self.train[number], self.held[number].scaled(scale)
            train = (self.whole - self.held[number] if sums is None else sums).scaled(scale)
            x_mean = train.x / train.n if self.fit_intercept else train.x * 0
            # The decomposition is in float64, whatever the dtype of X.
            eigenvalues, V = eigh(train.about(x_mean))
            E = None if predict else backend.asarray_like(V.T @ held.about(x_mean) @ V, self.X)
            V = backend.asarray_like(V, self.X)
            exact = loses_digits(eigenvalues, least, self.X, self.wide)
            if exact:
                rows = self._rows(self.splits.train[number], scale, x_mean)
                _, eigenvalues, V = decompose_rows(rows)
            turned = None
            if predict or exact:
                turned = self._rows(self.splits.held[number], scale, x_mean) @ V
            # Of the products, only means and counts are needed from here on.
            train, held = replace(train, xx=None), replace(held, xx=None)
            fold = Fold(train, held, self.fit_intercept, x_mean, eigenvalues, V, E)
            folds.append((fold, turned))
        return self._prepared.add(gamma, least, folds)

    def _rows(self, indices: Any, scale: Array | None, mean: Array) -> Array:
        rows = about(self.X, indices, self.x_centre)
        rows = rows if scale is None else rows * get_backend().asarray_like(scale, rows)
        return rows - get_backend().asarray_like(mean, rows)

    def _scale(self, gamma: Array) -> Array | None:
        # One band with weight 1 is plain ridge: nothing to multiply.
        if len(gamma) == 1 and float(gamma[0]) == 1:
            return None
        return gamma[self.bands] ** 0.5

    @override
    def load(self, Y: Array) -> Loaded:
        y_centre = origin(Y) if self.fit_intercept else None

        def make(rows: Any) -> ResponseMoments:
            return response_moments(self.X, Y, rows, (self.x_centre, y_centre))

        held = [make(rows) for rows in self.splits.held]
        train = [
            None if complement else make(rows)
            for complement, rows in zip(self.splits.complements, self.splits.train, strict=True)
        ]
        whole = total(held) if self.splits.partition else make(np.arange(self.splits.n))
        return Loaded(held, train, whole, Y, y_centre)

    @override
    def scores(
        self,
        prepared: Sequence[tuple[Fold, Array | None]],
        loaded: Loaded,
        vertices: slice,
        alphas: Array,
        gamma: Array,
    ) -> Array:
        backend = get_backend()
        scores = []
        whole = loaded.whole.vertices(vertices)
        scale = self._scale(gamma)
        for number, (fold, turned) in enumerate(prepared):
            held = loaded.held[number].vertices(vertices)
            train_sums = loaded.train[number]
            train = (whole - held if train_sums is None else train_sums.vertices(vertices)).scaled(
                scale
            )
            if turned is None:
                scores.append(fold.scores(train, held.scaled(scale), alphas, self.score))
                continue
            C, y_mean = fold.turned(train)
            centre = None if loaded.y_centre is None else loaded.y_centre[vertices]
            measured = about(loaded.Y[:, vertices], self.splits.held[number], centre)
            measured = measured - backend.asarray_like(y_mean, self.X)
            scores.append(
                predicted_scores(fold.eigenvalues, C, turned, measured, alphas, self.score)
            )
        fold_scores = backend.stack([backend.asarray(s, dtype="float64") for s in scores])
        if not self.pools:
            return fold_scores
        held = total(loaded.held).vertices(vertices)
        n = sum(map(len, self.splits.held))
        return pool(fold_scores, self.splits, held.squares(n, held.y / n), held.yy)

    @override
    def solve(self, gamma: Array, loaded: Loaded, vertices: Array, alphas: Array) -> Array:
        backend = get_backend()
        scale = self._scale(gamma)
        solved = self._solved.find(gamma, 0)
        if solved is None:
            xx = self.whole.about(self._mean(self.whole.x))
            eigenvalues, V = eigh(xx if scale is None else xx * scale[:, None] * scale[None])
            V = backend.asarray_like(V, self.X)
            if scale is not None:
                V = V * backend.asarray_like(scale, self.X)[:, None]
            # Float32 is not refined, and needs no products.
            xx = xx if self.X.dtype == eigenvalues.dtype else None
            solved = self._solved.add(gamma, 0, (xx, eigenvalues, V))
        xx, eigenvalues, V = solved
        whole = loaded.whole
        part = ResponseMoments(whole.y[vertices], whole.yy[vertices], whole.xy[:, vertices])
        xy = part.about(self.whole, self._mean(self.whole.x), self._mean(part.y))
        shrink = backend.asarray_like(1 / (eigenvalues[:, None] + alphas[None]), self.X)
        coefficients = V @ (shrink * (V.T @ xy))
        if self.X.dtype != eigenvalues.dtype:
            return coefficients
        # X'X squares the range of the columns' scales, and an eigenvector is exact only beside the
        # largest. Refinement brings back the digits that float64 promises: mostly one step.
        weights: Any = 1
        if scale is not None:
            # A band of weight 0 has coefficients of 0, and nothing to refine.
            weights = (scale > 0)[:, None] / (scale + (scale == 0))[:, None] ** 2
        for _ in range(REFINEMENTS):
            rest = xy - xx @ coefficients - alphas[None] * weights * coefficients
            change = V @ (shrink * (V.T @ rest))
            coefficients = coefficients + change
            if bool(((change**2).sum(0) <= ENOUGH**2 * (coefficients**2).sum(0)).all()):
                break
        return coefficients

    @override
    def intercept(self, loaded: Loaded, coefficients: Array) -> Array:
        backend = get_backend()
        x_mean, y_mean = self._mean(self.whole.x), self._mean(loaded.whole.y)
        if self.x_centre is not None:
            x_mean = x_mean + backend.asarray(self.x_centre, dtype="float64")
        if loaded.y_centre is not None:
            y_mean = y_mean + backend.asarray(loaded.y_centre, dtype="float64")
        predicted = x_mean @ backend.asarray(coefficients, dtype="float64")
        return backend.asarray_like(y_mean - predicted, self.X)

    def _mean(self, sums: Array) -> Array:
        return sums / self.splits.n if self.fit_intercept else sums * 0

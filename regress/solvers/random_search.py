"""Random search for penalties and weights of bands, for all vertices at once."""

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from himalaya.backend import get_backend
from numpy.typing import NDArray

from base import progress
from regress.backend import to_numpy
from regress.solvers.moments import Array

if TYPE_CHECKING:
    from regress.solvers.checkpoint import Checkpoint

log = logging.getLogger("regress")

# Vertices that are scored at once, with all penalties.
CHUNK = 1024


class RidgeForm(Protocol):
    """A form of ridge regression on some features: the primal, or the dual.

    Attributes
    ----------
    X : array (n_images, n_features)
        The features.
    bytes_per_vertex : int
        Bytes that the responses of one vertex take.
    """

    X: Array
    bytes_per_vertex: int

    def prepare(self, gamma: Array, least: float) -> Any:
        """Decompose each fold for a weighting of the bands.

        Parameters
        ----------
        gamma : array of float64 (n_bands,)
            Weights of the bands.
        least : float
            The smallest penalty.

        Returns
        -------
        list
            The decomposition of each fold, as `scores` takes it.
        """

    def load(self, Y: Array) -> Any:
        """Return the responses (n_images, n_vertices) as `scores` and `solve` take them."""

    def scores(
        self, prepared: Any, loaded: Any, vertices: slice, alphas: Array, gamma: Array
    ) -> Array:
        """Compute scores (n_folds, n_alphas, n_vertices) of some vertices on held-out sides.

        Parameters
        ----------
        alphas : array of float64 (n_alphas,)
            The penalties.
        gamma : array of float64 (n_bands,)
            The weights that `prepare` was called with.
        """

    def solve(self, gamma: Array, loaded: Any, vertices: Array, alphas: Array) -> Array:
        """Solve on all pictures: coefficients (n_features, n_vertices) of some vertices.

        Parameters
        ----------
        gamma : array of float64 (n_bands,)
            Weights of the bands, the same for all these vertices.
        alphas : array of float64 (n_vertices,)
            The penalty of each.
        """

    def intercept(self, loaded: Any, coefficients: Array) -> Array:
        """Return the intercepts (n_vertices,) for coefficients of the loaded vertices."""


@dataclass
class SearchResult:
    """Penalties and weightings that a search chose for a batch of vertices.

    Attributes
    ----------
    weighting : array of int (n_vertices,)
        Index of the weighting of the bands.
    alphas : array of float64 (n_vertices,)
        The penalty.
    scores : array of float64 (n_weightings, n_vertices)
        The best score of each weighting, the mean over folds.
    """

    weighting: Array
    alphas: Array
    scores: Array


@dataclass(frozen=True)
class Rule:
    """Rule by which penalties are chosen.

    Attributes
    ----------
    local : bool
        Whether each vertex, or group, has its own penalty; else all vertices have one.
    conservative : bool
        Whether to take the largest penalty within a standard deviation of the best, else the best.
    groups : array of int (n_vertices,) or None
        Vertices of one group share a penalty, chosen by their mean score; None for no groups.
    """

    local: bool = True
    conservative: bool = False
    groups: Array | None = None

    def shared(self, scores: Array) -> Array:
        """Average scores (..., n_vertices) over the vertices that share a penalty."""
        backend = get_backend()
        if not self.local:
            return scores * 0 + scores.mean(-1)[..., None]
        if self.groups is None:
            return scores
        member = backend.asarray_like(
            np.eye(int(self.groups.max()) + 1)[np.asarray(self.groups)], scores
        )
        return (scores @ member / member.sum(0).clip(1)) @ member.T

    def choose(self, scores: Array, alphas: Array) -> tuple[Array, Array]:
        """Choose a penalty for each vertex.

        Parameters
        ----------
        scores : array (n_folds, n_alphas, n_vertices)
            Scores of the held-out sides.
        alphas : array of float64 (n_alphas,)
            The penalties.

        Returns
        -------
        penalty : array of int (n_vertices,)
            Index of the penalty.
        mean : array (n_vertices,)
            Its score, the mean over folds.
        """
        backend = get_backend()
        folded = self.shared(scores)
        # Of penalties that are equally good, for a constant vertex all, the largest; as himalaya.
        mean = folded.mean(0) + 1e-10 * backend.log(alphas)[:, None]
        penalty = backend.argmax(mean, 0)
        if self.conservative:
            deviation = backend.apply_argmax(folded.std(0), penalty, 0)
            enough = mean > (backend.apply_argmax(mean, penalty, 0) - deviation)[None]
            penalty = backend.argmax(enough * alphas[:, None], 0)
        return penalty, backend.apply_argmax(scores.mean(0), penalty, 0)


def search(
    form: RidgeForm,
    loaded: Any,
    n_vertices: int,
    gammas: Array,
    alphas: Array,
    rule: Rule,
    patience: int | None = None,
    show: bool = False,
    checkpoint: "Checkpoint | None" = None,
) -> SearchResult:
    """Try every weighting with every penalty on a batch of loaded vertices.

    Parameters
    ----------
    gammas : array of float64 (n_weightings, n_bands)
        Weightings of the bands.
    alphas : array of float64 (n_alphas,)
        Penalties.
    patience : int or None
        Stop after so many weightings without an improvement of any vertex; None to try all.
    checkpoint : Checkpoint or None
        File from which the search is resumed, and to which it is saved every few seconds.
    """
    backend = get_backend()
    state = _State.begin(n_vertices, checkpoint)
    least = float(alphas.min())
    with progress(
        total=len(gammas), initial=len(state.scores), desc="weightings", disable=not show
    ) as bar:
        for number in range(len(state.scores), len(gammas)):
            if patience is not None and state.idle >= patience:
                log.info("stopped after %d of %d weightings: none was better", number, len(gammas))
                break
            prepared: Any = form.prepare(gammas[number], least)
            parts = [
                form.scores(prepared, loaded, slice(start, start + CHUNK), alphas, gammas[number])
                for start in range(0, n_vertices, CHUNK)
            ]
            penalty, scores = rule.choose(backend.concatenate(parts, 2), alphas)
            state.take(penalty, scores, scores if rule.groups is None else rule.shared(scores))
            if checkpoint is not None:
                checkpoint.save(state.arrays)
            bar.update()
    return SearchResult(state.weighting, alphas[state.penalty], backend.stack(state.scores))


@dataclass
class _State:
    """State of a search.

    Attributes
    ----------
    best : array of float64 (n_vertices,)
        The best score so far.
    weighting, penalty : array of int (n_vertices,)
        Indices of the weighting and of the penalty with the best score.
    scores : list of array of float64 (n_vertices,)
        The score of each weighting.
    idle : int
        Number of weightings since a vertex last improved.
    """

    best: Array
    weighting: Array
    penalty: Array
    scores: list[Array]
    idle: int

    @classmethod
    def begin(cls, n_vertices: int, checkpoint: "Checkpoint | None") -> "_State":
        backend = get_backend()
        saved = None if checkpoint is None else checkpoint.load()
        if saved is None:
            best = backend.asarray(np.full(n_vertices, -np.inf), dtype="float64")
            zeros = np.zeros((2, n_vertices), np.int64)
            return cls(best, backend.asarray(zeros[0]), backend.asarray(zeros[1]), [], 0)
        log.info("the search goes on after %d weightings", len(saved["tried"]))
        return cls(
            backend.asarray(saved["best"]),
            backend.asarray(saved["weighting"]),
            backend.asarray(saved["chosen"]),
            [backend.asarray(scores) for scores in saved["tried"]],
            int(saved["idle"]),
        )

    def take(self, penalty: Array, scores: Array, rule_scores: Array) -> None:
        better = rule_scores > self.best + np.finfo(np.float32).eps
        self.best[better] = rule_scores[better]
        self.weighting[better], self.penalty[better] = len(self.scores), penalty[better]
        self.idle = 0 if bool(better.any()) else self.idle + 1
        self.scores.append(scores)

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {
            "best": to_numpy(self.best),
            "weighting": to_numpy(self.weighting),
            "chosen": to_numpy(self.penalty),
            "tried": np.stack([to_numpy(scores) for scores in self.scores]),
            "idle": np.array(self.idle),
        }

"""The search for penalties and weights of bands, for all vertices at once."""

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
from himalaya.backend import get_backend

from base import progress
from regress.dual import Dual
from regress.moments import Array
from regress.primal import Primal

log = logging.getLogger("regress")

# Vertices whose products with all penalties are formed at once.
CHUNK = 1024


@dataclass
class Found:
    """What a search chose for a batch of vertices.

    Attributes
    ----------
    weighting : array of int (n_vertices,)
        The number of the weighting of the bands.
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
    """How penalties are chosen.

    Attributes
    ----------
    local : bool
        Per vertex, else one for all.
    conservative : bool
        The largest within a standard deviation of the best, else the best.
    groups : array of int (n_vertices,) or None
        Vertices of one number choose together, by their mean score; None for each on its own.
    """

    local: bool = True
    conservative: bool = False
    groups: Array | None = None

    def shared(self, scores: Array) -> Array:
        """Average scores over the vertices that choose together.

        Parameters
        ----------
        scores : array (..., n_vertices)
            Of each vertex.

        Returns
        -------
        array (..., n_vertices)
            The same for all vertices of a group.
        """
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
            Of the held-out sides.
        alphas : array of float64 (n_alphas,)
            The penalties.

        Returns
        -------
        chosen : array of int (n_vertices,)
            The number of the penalty.
        mean : array (n_vertices,)
            Its score, the mean over folds.
        """
        backend = get_backend()
        folded = self.shared(scores)
        # Of penalties that are equally good, for a constant vertex all, the largest; as himalaya.
        mean = folded.mean(0) + 1e-10 * backend.log(alphas)[:, None]
        chosen = backend.argmax(mean, 0)
        if self.conservative:
            deviation = backend.apply_argmax(folded.std(0), chosen, 0)
            enough = mean > (backend.apply_argmax(mean, chosen, 0) - deviation)[None]
            chosen = backend.argmax(enough * alphas[:, None], 0)
        return chosen, backend.apply_argmax(scores.mean(0), chosen, 0)


def search(
    form: Primal | Dual,
    loaded: Any,
    n_vertices: int,
    gammas: Array,
    alphas: Array,
    rule: Rule,
    patience: int | None = None,
    show: bool = False,
) -> Found:
    """Try every weighting with every penalty on a batch of loaded vertices.

    Parameters
    ----------
    form : Primal or Dual
        The form, which holds features and folds.
    loaded : object
        What its `load` gave.
    n_vertices : int
        How many vertices were loaded.
    gammas : array of float64 (n_weightings, n_bands)
        Weightings of the bands.
    alphas : array of float64 (n_alphas,)
        Penalties.
    rule : Rule
        How penalties are chosen.
    patience : int or None
        Stop after so many weightings that bettered no vertex; None to try all.
    show : bool
        Whether to show progress.

    Returns
    -------
    Found
        The best for each vertex.
    """
    backend = get_backend()
    best = backend.asarray(np.full(n_vertices, -np.inf), dtype="float64")
    weighting = backend.asarray(np.zeros(n_vertices, np.int64))
    chosen = backend.asarray(np.zeros(n_vertices, np.int64))
    tried, idle = [], 0
    numbers = range(len(gammas))
    for number in progress(numbers, desc="weightings", unit="weighting") if show else numbers:
        prepared: Any = form.prepare(gammas[number])
        parts = [
            form.scores(prepared, loaded, slice(start, start + CHUNK), alphas, gammas[number])
            for start in range(0, n_vertices, CHUNK)
        ]
        which, scores = rule.choose(backend.concatenate(parts, 2), alphas)
        tried.append(scores)
        judged = scores if rule.groups is None else rule.shared(scores)
        better = judged > best + np.finfo(np.float32).eps
        best[better] = judged[better]
        weighting[better], chosen[better] = number, which[better]
        idle = 0 if bool(better.any()) else idle + 1
        if patience is not None and idle >= patience:
            log.info("stopped after %d of %d weightings: none was better", number + 1, len(gammas))
            break
    return Found(weighting, alphas[chosen], backend.stack(tried))

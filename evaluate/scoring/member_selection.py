"""Select the members of the ensemble: the fits that raise its held-out correlation.

With any rule of the weights, a bad fit lowers the ensemble, and near-duplicate fits outweigh one
that differs. Therefore members are selected before weights are computed, by forward selection
[1]_. The fit of the greatest r is the first member. In each step, the fit that gives the ensemble
the greatest mean r over vertices is tested, and added unless r then lies more than a standard error
below that of the best ensemble so far. Thus the ensemble is never below its best member by more
than noise. Without that tolerance, fits that help would be left out by chance in small data sets
of some 30 held-out pictures.

r is cross-validated: weights come from one half of the held-out pictures and r from the other,
both ways. It is computed from products of predictions that are formed once; only the standard
error of a decision takes a pass over the pictures.

`python -m benchmarks.ensemble` compares the rules with and without selection on simulations.

References
----------
.. [1] Caruana, Niculescu-Mizil, Crew, Ksikes (2004), "Ensemble Selection from Libraries of Models",
   ICML.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from evaluate.arrays import Array, Floats, Mask, Singles

# Differences of mean r below this are rounding: predictions are float32.
ROUNDING = 1e-6
# How many standard errors r may lie below that of the best ensemble so far.
NOISE = 1.0
# Number of vertices whose predictions are multiplied at once.
BLOCK = 256


class Fold:
    """Weighted predictions of one fold's pictures, with weights from other pictures.

    `weighted` (n_fits, n_vertices, n_images) are predictions times strengths, centred in place.
    """

    def __init__(self, measured: Array, weighted: Singles) -> None:
        weighted -= weighted.mean(axis=2, keepdims=True)
        self.weighted = weighted
        n_fits, n_vertices, _ = weighted.shape
        self.measured = np.empty(weighted.shape[1:], np.float32)
        self.gram = np.empty((n_vertices, n_fits, n_fits))
        self.cross = np.empty((n_vertices, n_fits))
        for block in self._blocks():
            Y = measured[:, block].T.astype(np.float64)
            Y -= Y.mean(axis=1, keepdims=True)
            norm = np.sqrt(np.einsum("vn,vn->v", Y, Y))
            Y /= np.where(norm > 0, norm, np.inf)[:, None]
            self.measured[block] = Y
            P = np.moveaxis(weighted[:, block], 0, 1).astype(np.float64)
            self.gram[block] = P @ np.moveaxis(P, 1, 2)
            self.cross[block] = (P @ Y[:, :, None])[..., 0]

    def toggled_sums(self, members: Mask) -> Floats:
        """Sum r over vertices with each fit toggled: added, or removed if it is a member.

        Takes the mask of the members (n_fits,), and returns a sum for each fit (n_fits,).
        """
        weights, sign = members.astype(np.float64), np.where(members, -1.0, 1.0)
        with_each = self.gram @ weights
        diagonal = np.einsum("vkk->vk", self.gram)
        power = (with_each @ weights)[:, None] + 2 * sign * with_each + diagonal
        agreeing = (self.cross @ weights)[:, None] + sign * self.cross
        # Removing the only fit of a vertex leaves rounding.
        has_signal = power > 1e-9 * (diagonal.sum(axis=1, keepdims=True) + np.finfo(float).tiny)
        r = np.where(has_signal, agreeing, 0) / np.sqrt(np.where(has_signal, power, 1))
        return np.asarray(r.sum(axis=0))

    def influence(self, members: Mask) -> Floats:
        """Compute the influence of each picture on the sum of r over vertices (n_images,).

        That is the first-order change of the sum for a unit of the picture's weight; influences
        sum to 0.
        """
        total = np.zeros(self.weighted.shape[2])
        for block in self._blocks():
            P = self.weighted[members, block].sum(axis=0)
            norm = np.sqrt(np.einsum("vn,vn->v", P, P))
            P /= np.where(norm > 0, norm, np.inf)[:, None]
            Y = self.measured[block]
            r = np.einsum("vn,vn->v", P, Y)
            total += np.einsum("vn,vn->n", P, Y) - 0.5 * (r @ (P * P + Y * Y))
        return total

    def _blocks(self) -> list[slice]:
        return [slice(s, s + BLOCK) for s in range(0, self.weighted.shape[1], BLOCK)]


class Member(NamedTuple):
    """The part of one fit in the ensemble of a hemisphere."""

    is_member: bool  # whether the fit is a member
    alone: float  # mean held-out r of the fit; NaN with too few pictures
    change: float  # mean held-out r of the ensemble with the fit, less that without it


@dataclass(frozen=True)
class Selection:
    """The members among several fits."""

    members: Mask  # (n_fits,): whether each fit is a member
    alone: Floats  # (n_fits,): mean held-out r of each fit alone
    # (n_fits,): mean held-out r of the ensemble with each fit, less that without it. It may be
    # below 0 for a member, by less than noise; for the only member it is its r.
    changes: Floats

    def by_fit(self) -> list[Member]:
        """Return the part of each fit in the ensemble."""
        columns = zip(self.members, self.alone, self.changes, strict=True)
        return [Member(bool(m), float(alone), float(change)) for m, alone, change in columns]


def select_members(folds: Sequence[Fold], n_covered: int, noise: float = NOISE) -> Selection:
    """Select the members by forward selection; all fits where none predicts anything.

    r is averaged over the `n_covered` vertices with a fit, and may lie `noise` standard errors
    below that of the best ensemble so far.
    """
    n_fits = len(folds[0].weighted)
    share = 1 / (len(folds) * max(n_covered, 1))
    members = np.zeros(n_fits, bool)
    alone = share * _toggled_sums(folds, members)
    if not (alone > ROUNDING).any():
        return Selection(np.ones(n_fits, bool), alone, np.zeros(n_fits))
    members[alone.argmax()] = True
    current = highest = float(alone.max())
    leaders = members  # the members of the best ensemble so far
    tested = members.copy()
    while not tested.all():
        toggled = share * _toggled_sums(folds, members)
        candidate = int(np.where(tested, -np.inf, toggled).argmax())
        tested[candidate] = True
        extended = members.copy()
        extended[candidate] = True
        r = float(toggled[candidate])
        if r < highest - noise * share * _error(folds, leaders, extended):
            continue
        members, current = extended, r
        if r > highest:
            leaders, highest = extended, r
    toggled = share * _toggled_sums(folds, members)
    changes = np.where(members, current - toggled, toggled - current)
    return Selection(members, alone, changes)


def _toggled_sums(folds: Sequence[Fold], members: Mask) -> Floats:
    return np.asarray(np.sum([fold.toggled_sums(members) for fold in folds], axis=0))


def _error(folds: Sequence[Fold], members: Mask, extended: Mask) -> float:
    """Estimate the standard error of the difference of two sums of r, from the same pictures."""
    differences = [fold.influence(extended) - fold.influence(members) for fold in folds]
    # The factor n / (n - 1) corrects for the estimated mean of each fold.
    return float(np.sqrt(sum(len(d) / (len(d) - 1) * (d @ d) for d in differences)))

"""The ensemble: each vertex's prediction from the ROI models of its members that cover it.

Members are the fits that raise the ensemble's held-out correlation (see `member_selection`); the
others only fill in where no member has a model. How much a model is heard is said by a rule, one
file each in `evaluate/ensembles`, from held-out pictures alone. The weights of the models at a
vertex are their strengths there, normalised to sum 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from base import code_digest, list_choices, load_plugin, plugin_names
from evaluate import ensembles
from evaluate.ensembles._combine import FEWEST_PICTURES
from evaluate.errors import EvaluateError
from evaluate.fits.hemisphere import Hemisphere
from evaluate.scoring.member_selection import Fold, Selection, select_members

DEFAULT = "per_vertex"
Part = Sequence[NDArray[np.float64]]


@dataclass(frozen=True)
class Strengths:
    """How much each model of a hemisphere is to be heard, before normalisation, and who is.

    Attributes
    ----------
    whole : list of array (n_roi_vertices,), float64
        From all held-out pictures; for the test split.
    halves : tuple of two lists of array (n_roi_vertices,), float64
        From each half of them.
    in_second : array (n_heldout,), bool
        Which held-out pictures are of the second half.
    selection : Selection
        The members among `Hemisphere.runs`, from all held-out pictures.
    half_selections : tuple of two Selection
        Those from each half.
    """

    whole: list[NDArray[np.float64]]
    halves: tuple[list[NDArray[np.float64]], list[NDArray[np.float64]]]
    in_second: NDArray[np.bool_]
    selection: Selection
    half_selections: tuple[Selection, Selection]


@dataclass(frozen=True)
class Combined:
    """One prediction for a hemisphere.

    Attributes
    ----------
    predictions : array (n_images, n_vertices), float32
        The predictions, 0 where not covered.
    covered : array (n_vertices,), bool
        Where there is a model.
    n_filled : int
        Covered vertices that lie in none of the chosen ROI classes, and were filled from the
        models of the others.
    """

    predictions: NDArray[np.float32]
    covered: NDArray[np.bool_]
    n_filled: int


def check_rule(rule: str) -> None:
    """Refuse a rule that is not there, before anything is computed."""
    if rule not in plugin_names(ensembles):
        choices = list_choices(rule, plugin_names(ensembles))
        raise EvaluateError(f"--ensemble: found {rule!r}, expected one of {choices}")


def rule_code(rule: str) -> str:
    """Digest the code of a rule: what another code combined is not kept."""
    return code_digest(load_plugin(ensembles, rule, "ensemble rule"))


def judge(
    hemisphere: Hemisphere,
    seed: int = 0,
    rule: str = DEFAULT,
    roi_classes: Sequence[str] | None = None,
) -> Strengths:
    """Judge every model of a hemisphere by the held-out pictures, and select the members.

    Parameters
    ----------
    seed : int
        Draws the two halves of the held-out pictures, and the halves of each.
    roi_classes : sequence of str, optional
        The classes that combinations are made of, by which members are selected.
    """
    pictures = hemisphere.heldout_pictures
    second = split_pictures(pictures, seed)
    halves = (np.flatnonzero(~second), np.flatnonzero(second))
    several = len(hemisphere.runs) > 1
    # A half's members are selected with weights from its own halves alone.
    in_late = [split_pictures(pictures[half], seed) for half in halves] if several else []
    quarters = [half[part] for half, late in zip(halves, in_late, strict=False)
                for part in (~late, late)]  # fmt: skip
    load = load_plugin(ensembles, rule, "ensemble rule").judge
    whole, one, two, *judged = load(hemisphere, [slice(None), *halves, *quarters])
    if not several:
        alone = Selection(np.ones(1, bool), np.zeros(1), np.zeros(1))
        return Strengths(whole, (one, two), second, alone, (alone, alone))
    sums = _cross_fitted(hemisphere, halves, (one, two), roi_classes)
    of_halves = [
        _select(hemisphere, parts,
                _cross_fitted(hemisphere, parts, strengths, roi_classes))
        for parts, strengths in ((quarters[:2], judged[:2]), (quarters[2:], judged[2:]))
    ]  # fmt: skip
    selection = _select(hemisphere, halves, sums)
    return Strengths(whole, (one, two), second, selection, (of_halves[0], of_halves[1]))


def _cross_fitted(
    hemisphere: Hemisphere,
    folds: Sequence[NDArray[np.int64]],
    strengths: Sequence[Part],
    roi_classes: Sequence[str] | None,
) -> list[Fold]:
    """Sum products of predictions in each of two folds, with strengths from the other."""
    heard = _heard(hemisphere.n_vertices, hemisphere.vertices, _ranks(hemisphere, roi_classes))[0]
    shape = (len(hemisphere.runs), hemisphere.n_vertices)
    weighted = [np.zeros((*shape, len(rows)), np.float32) for rows in folds]
    for index, vertices in enumerate(hemisphere.vertices):
        predicted = hemisphere.predictions(index, "heldout")
        run = hemisphere.runs.index(hemisphere.models[index].run)
        for rows, into, other in zip(folds, weighted, strengths[::-1], strict=True):
            strength = (other[index] * heard[index]).astype(np.float32)
            into[run][vertices] += (predicted[rows] * strength).T
    measured = hemisphere.measured("heldout")
    return [Fold(measured[rows], into) for rows, into in zip(folds, weighted, strict=True)]


def _select(
    hemisphere: Hemisphere, folds: Sequence[NDArray[np.int64]], sums: Sequence[Fold]
) -> Selection:
    """Select members; all of them where r of a fold is too uncertain to tell fits apart."""
    if min(map(len, folds)) < FEWEST_PICTURES:
        n_fits = len(hemisphere.runs)
        return Selection(np.ones(n_fits, bool), np.full(n_fits, np.nan), np.full(n_fits, np.nan))
    return select_members(sums, len(np.unique(np.concatenate(hemisphere.vertices))))


def _ranks(
    hemisphere: Hemisphere,
    roi_classes: Sequence[str] | None,
    members: NDArray[np.bool_] | None = None,
) -> list[int]:
    """Rank models, the first to be heard 0: of the chosen ROI classes, and there of members."""
    of = [hemisphere.runs.index(model.run) for model in hemisphere.models]
    return [
        2 * (roi_classes is not None and model.roi_class not in roi_classes)
        + (members is not None and not members[run])
        for model, run in zip(hemisphere.models, of, strict=True)
    ]


def split_pictures(pictures: NDArray[np.bytes_], seed: int) -> NDArray[np.bool_]:
    """Draw two halves such that a picture that stands in several rows stays in one.

    Parameters
    ----------
    pictures : array (n_images,), bytes
        What names each row's picture.

    Returns
    -------
    array (n_images,), bool
        True for the second half.
    """
    _, named = np.unique(pictures, return_inverse=True)
    order = np.random.default_rng(seed).permutation(int(named.max(initial=-1)) + 1)
    return np.asarray(order[named] >= len(order) / 2)


def _heard(
    n_vertices: int, vertices: Sequence[NDArray[np.int64]], ranks: Sequence[int]
) -> tuple[list[NDArray[np.bool_]], NDArray[np.int64]]:
    """Find where each model is of the first rank that is there; and that rank, -1 for none."""
    first = np.full(n_vertices, max(ranks, default=0) + 1)
    for where, rank in zip(vertices, ranks, strict=True):
        first[where] = np.minimum(first[where], rank)
    heard = [first[where] == rank for where, rank in zip(vertices, ranks, strict=True)]
    return heard, np.where(first > max(ranks, default=0), -1, first)


def weigh(
    n_vertices: int,
    vertices: Sequence[NDArray[np.int64]],
    strengths: Sequence[NDArray[np.float64]],
    ranks: Sequence[int],
) -> tuple[list[NDArray[np.float64]], NDArray[np.int64]]:
    """Turn strengths into weights: not negative, summing to 1 at each covered vertex.

    Parameters
    ----------
    vertices : sequence of array (n_roi_vertices,), int64
        Where each model predicts.
    strengths : sequence of array (n_roi_vertices,), float64
        How much each is to be heard there.
    ranks : sequence of int
        At a vertex, only the models of the lowest rank there are heard.

    Returns
    -------
    weights : list of array (n_roi_vertices,), float64
        Of each model. Where no model that is heard has any strength, all such weigh the same.
    first : array (n_vertices,), int64
        The rank of those that are heard; -1 where there is no model.
    """
    heard, first = _heard(n_vertices, vertices, ranks)
    count, total = np.zeros(n_vertices, int), np.zeros(n_vertices)
    for where, value, mask in zip(vertices, strengths, heard, strict=True):
        count[where] += mask
        total[where] += value * mask
    weights = [
        mask * np.where(total[where] > 0, value, 1.0)
        / np.where(total[where] > 0, total[where], np.maximum(count[where], 1))
        for where, value, mask in zip(vertices, strengths, heard, strict=True)
    ]  # fmt: skip
    return weights, first


def combine(
    hemisphere: Hemisphere,
    split: str,
    strengths: Strengths,
    indices: Sequence[int],
    roi_classes: Sequence[str] | None = None,
) -> Combined:
    """Combine the predictions of some models, one model in memory at a time.

    On the test split, weights come from all held-out pictures. On the held-out pictures
    themselves, each half is predicted with weights from the other half, so that no picture has a
    say in the weights that its own score is computed with.

    Parameters
    ----------
    roi_classes : sequence of str, optional
        The classes to combine; the others only fill in. All by default.
    """
    n_vertices = hemisphere.n_vertices
    vertices = [hemisphere.vertices[i] for i in indices]
    second, halves, selections = strengths.in_second, strengths.halves, strengths.half_selections
    # (rows to predict, strengths and members to use): crossed on the held-out pictures.
    plan: list[tuple[Any, Part, Selection]] = [(slice(None), strengths.whole, strengths.selection)]
    if split == "heldout":
        plan = [(~second, halves[1], selections[1]), (second, halves[0], selections[0])]
    weighed = []
    for rows, source, selection in plan:
        ranks = _ranks(hemisphere, roi_classes, selection.members)
        weights, first = weigh(
            n_vertices, vertices, [source[i] for i in indices], [ranks[i] for i in indices]
        )
        weighed.append((rows, weights, first))
    # Vertex by vertex, as those of a ROI lie scattered: whole rows are added faster than columns.
    predictions = np.zeros((n_vertices, hemisphere.n_images(split)), np.float32)
    for place, index in enumerate(indices):
        predicted = hemisphere.predictions(index, split)
        for rows, weights, _ in weighed:
            predicted[rows] *= weights[place].astype(np.float32)
        predictions[vertices[place]] += predicted.T
    first = weighed[0][2]
    return Combined(predictions.T, first >= 0, int((first >= 2).sum()))

"""The ensemble: a weighted mean, at each vertex, of the members' ROI models that cover it.

Members are the fits that raise the ensemble's held-out correlation (see `member_selection`); the
other fits only fill in where no member has a model. A rule, one file each in `evaluate/ensembles`,
computes the strength of each model from held-out pictures alone. The weights of the models at a
vertex are their strengths there, normalised to sum 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from base import code_digest, list_choices, load_plugin, plugin_names
from evaluate import ensembles
from evaluate.arrays import Floats, Indices, Mask, Singles
from evaluate.ensembles import DEFAULT
from evaluate.ensembles._combine import FEWEST_PICTURES
from evaluate.errors import EvaluateError
from evaluate.fits.hemisphere import Hemisphere
from evaluate.scoring.member_selection import Fold, Selection, select_members

Part = Sequence[Floats]


@dataclass(frozen=True)
class Strengths:
    """Weights of the models of a hemisphere before normalisation, and the members."""

    # (n_roi_vertices,): strengths of each model from all held-out pictures; for the test split.
    whole: list[Floats]
    # (n_roi_vertices,): strengths from each half of the held-out pictures.
    halves: tuple[list[Floats], list[Floats]]
    # (n_heldout,): whether each held-out picture is in the second half.
    in_second: Mask
    selection: Selection  # members among `Hemisphere.runs`, from all held-out pictures
    half_selections: tuple[Selection, Selection]  # members from each half


@dataclass(frozen=True)
class CombinedPrediction:
    """The combined prediction of several models for a hemisphere."""

    predictions: Singles  # (n_images, n_vertices): predictions, 0 where not covered
    covered: Mask  # (n_vertices,): whether a model covers the vertex
    # Covered vertices outside the chosen ROI classes, predicted by models of the other classes.
    n_filled: int


def check_rule(rule: str) -> None:
    """Raise if there is no such rule."""
    if rule not in plugin_names(ensembles):
        choices = list_choices(rule, plugin_names(ensembles))
        raise EvaluateError(f"--ensemble: found {rule!r}, expected one of {choices}")


def rule_code(rule: str) -> str:
    """Digest the code of a rule; outputs of other code are made again."""
    return code_digest(load_plugin(ensembles, rule, "ensemble rule"))


def compute_strengths(
    hemisphere: Hemisphere,
    seed: int = 0,
    rule: str = DEFAULT,
    roi_classes: Sequence[str] | None = None,
) -> Strengths:
    """Compute the strength of each model from the held-out pictures, and select the members."""
    pictures = hemisphere.heldout_pictures
    second = split_pictures(pictures, seed)
    halves = (np.flatnonzero(~second), np.flatnonzero(second))
    several = len(hemisphere.runs) > 1
    # Members of a half are selected with weights from the quarters of that half alone.
    second_parts = [split_pictures(pictures[half], seed) for half in halves] if several else []
    quarters = [half[part] for half, in_second_part in zip(halves, second_parts, strict=False)
                for part in (~in_second_part, in_second_part)]  # fmt: skip
    compute = load_plugin(ensembles, rule, "ensemble rule").judge
    whole, *strengths = compute(hemisphere, [slice(None), *halves, *quarters])
    half_strengths = (strengths[0], strengths[1])
    if not several:
        alone = Selection(np.ones(1, bool), np.zeros(1), np.zeros(1))
        return Strengths(whole, half_strengths, second, alone, (alone, alone))
    sums = _cross_fitted(hemisphere, halves, half_strengths, roi_classes)
    half_selections = [
        _select(hemisphere, parts, _cross_fitted(hemisphere, parts, part_strengths, roi_classes))
        for parts, part_strengths in ((quarters[:2], strengths[2:4]), (quarters[2:], strengths[4:]))
    ]
    selection = _select(hemisphere, halves, sums)
    first_selection, second_selection = half_selections
    return Strengths(whole, half_strengths, second, selection, (first_selection, second_selection))


def _cross_fitted(
    hemisphere: Hemisphere,
    folds: Sequence[Indices],
    strengths: Sequence[Part],
    roi_classes: Sequence[str] | None,
) -> list[Fold]:
    """Weight the predictions of each of two folds by strengths from the other fold."""
    ranks = _ranks(hemisphere, roi_classes)
    active, _ = _active_vertices(hemisphere.n_vertices, hemisphere.vertices, ranks)
    shape = (len(hemisphere.runs), hemisphere.n_vertices)
    weighted = [np.zeros((*shape, len(rows)), np.float32) for rows in folds]
    for index, vertices in enumerate(hemisphere.vertices):
        predicted = hemisphere.predictions(index, "heldout")
        run = hemisphere.runs.index(hemisphere.models[index].run)
        for rows, total, source in zip(folds, weighted, strengths[::-1], strict=True):
            strength = (source[index] * active[index]).astype(np.float32)
            total[run][vertices] += (predicted[rows] * strength).T
    measured = hemisphere.measured("heldout")
    return [Fold(measured[rows], total) for rows, total in zip(folds, weighted, strict=True)]


def _select(hemisphere: Hemisphere, folds: Sequence[Indices], sums: Sequence[Fold]) -> Selection:
    """Select the members; all fits are members if a fold has too few pictures."""
    if min(map(len, folds)) < FEWEST_PICTURES:
        n_fits = len(hemisphere.runs)
        return Selection(np.ones(n_fits, bool), np.full(n_fits, np.nan), np.full(n_fits, np.nan))
    return select_members(sums, len(np.unique(np.concatenate(hemisphere.vertices))))


def _ranks(
    hemisphere: Hemisphere, roi_classes: Sequence[str] | None, members: Mask | None = None
) -> list[int]:
    """Rank models: chosen ROI classes before others (+2), and members before others (+1)."""
    run_indices = [hemisphere.runs.index(model.run) for model in hemisphere.models]
    return [
        2 * (roi_classes is not None and model.roi_class not in roi_classes)
        + (members is not None and not members[run])
        for model, run in zip(hemisphere.models, run_indices, strict=True)
    ]


def split_pictures(pictures: NDArray[np.bytes_], seed: int) -> Mask:
    """Split rows at random; True is the second half, and rows of one picture stay together."""
    _, picture_index = np.unique(pictures, return_inverse=True)
    order = np.random.default_rng(seed).permutation(int(picture_index.max(initial=-1)) + 1)
    return np.asarray(order[picture_index] >= len(order) / 2)


def _active_vertices(
    n_vertices: int, vertices: Sequence[Indices], ranks: Sequence[int]
) -> tuple[list[Mask], Indices]:
    """Return where each model has the lowest rank at its vertices, and that rank (-1 for none)."""
    first = np.full(n_vertices, max(ranks, default=0) + 1)
    for roi_vertices, rank in zip(vertices, ranks, strict=True):
        first[roi_vertices] = np.minimum(first[roi_vertices], rank)
    active = [
        first[roi_vertices] == rank for roi_vertices, rank in zip(vertices, ranks, strict=True)
    ]
    return active, np.where(first > max(ranks, default=0), -1, first)


def new_picture_weights(
    hemisphere: Hemisphere, strengths: Strengths, roi_classes: Sequence[str] | None = None
) -> list[Floats]:
    """Return the weights of each model at its vertices for pictures that no fit has seen.

    They are those of the test split: at a vertex, the weights of all models sum to 1.
    """
    indices = range(len(hemisphere.models))
    source, selection = strengths.whole, strengths.selection
    return _model_weights(hemisphere, source, selection, indices, roi_classes)[0]


def _model_weights(
    hemisphere: Hemisphere,
    strengths: Part,
    selection: Selection,
    indices: Sequence[int],
    roi_classes: Sequence[str] | None,
) -> tuple[list[Floats], Indices]:
    ranks = _ranks(hemisphere, roi_classes, selection.members)
    return normalise_strengths(
        hemisphere.n_vertices,
        [hemisphere.vertices[i] for i in indices],
        [strengths[i] for i in indices],
        [ranks[i] for i in indices],
    )


def normalise_strengths(
    n_vertices: int, vertices: Sequence[Indices], strengths: Sequence[Floats], ranks: Sequence[int]
) -> tuple[list[Floats], Indices]:
    """Compute weights from strengths: not negative, summing to 1 at each covered vertex.

    At a vertex, only models of the lowest rank there get a weight: equal ones where all of these
    have strength 0. Also returns that rank (n_vertices,), -1 where there is no model.
    """
    active, first = _active_vertices(n_vertices, vertices, ranks)
    count, total = np.zeros(n_vertices, int), np.zeros(n_vertices)
    for roi_vertices, value, mask in zip(vertices, strengths, active, strict=True):
        count[roi_vertices] += mask
        total[roi_vertices] += value * mask
    weights = [
        mask * np.where(total[roi_vertices] > 0, value, 1.0)
        / np.where(total[roi_vertices] > 0, total[roi_vertices], np.maximum(count[roi_vertices], 1))
        for roi_vertices, value, mask in zip(vertices, strengths, active, strict=True)
    ]  # fmt: skip
    return weights, first


def combine(
    hemisphere: Hemisphere,
    split: str,
    strengths: Strengths,
    indices: Sequence[int],
    roi_classes: Sequence[str] | None = None,
) -> CombinedPrediction:
    """Combine the predictions of the models `indices`, with one in memory at a time.

    On the test split, weights come from all held-out pictures. On the held-out pictures
    themselves, each half is predicted with weights from the other half, so that no picture
    influences the weights of its own prediction. Other than the chosen `roi_classes` only fill in.
    """
    n_vertices = hemisphere.n_vertices
    vertices = [hemisphere.vertices[i] for i in indices]
    second, halves, selections = strengths.in_second, strengths.halves, strengths.half_selections
    # (rows to predict, strengths, members): the halves are crossed on the held-out pictures.
    plan: list[tuple[Any, Part, Selection]] = [(slice(None), strengths.whole, strengths.selection)]
    if split == "heldout":
        plan = [(~second, halves[1], selections[1]), (second, halves[0], selections[0])]
    weights_by_rows = [
        (rows, *_model_weights(hemisphere, source, selection, indices, roi_classes))
        for rows, source, selection in plan
    ]
    # Vertices come first: those of a ROI are scattered, and whole rows are added faster.
    predictions = np.zeros((n_vertices, hemisphere.n_images(split)), np.float32)
    for number, index in enumerate(indices):
        predicted = hemisphere.predictions(index, split)
        for rows, weights, _ in weights_by_rows:
            predicted[rows] *= weights[number].astype(np.float32)
        predictions[vertices[number]] += predicted.T
    first = weights_by_rows[0][2]
    return CombinedPrediction(predictions.T, first >= 0, int((first >= 2).sum()))

"""The ensemble: each vertex's prediction from every ROI model that covers it.

How much a model is heard is said by a rule, one file each in `evaluate/ensembles`, from held-out
pictures alone. The weights of the models at a vertex are their strengths there, normalised to sum
1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from base import code_digest, load_plugin, one_of, plugin_names
from evaluate import ensembles
from evaluate.errors import EvaluateError
from evaluate.hemisphere import Hemisphere

DEFAULT = "per_vertex"


@dataclass(frozen=True)
class Strengths:
    """How much each model of a hemisphere is to be heard, before normalisation.

    Attributes
    ----------
    whole : list of array (n_roi_vertices,), float64
        From all held-out pictures; for the test split.
    halves : tuple of two lists of array (n_roi_vertices,), float64
        From each half of them.
    in_second : array (n_heldout,), bool
        Which held-out pictures are of the second half.
    """

    whole: list[NDArray[np.float64]]
    halves: tuple[list[NDArray[np.float64]], list[NDArray[np.float64]]]
    in_second: NDArray[np.bool_]


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
    """Refuse a rule that is not there, before anything is computed.

    Parameters
    ----------
    rule : str
        A file of `evaluate/ensembles`.

    Raises
    ------
    EvaluateError
        If there is none of this name; the message lists those that there are.
    """
    if rule not in plugin_names(ensembles):
        raise EvaluateError(
            f"--ensemble: found {rule!r}, expected one of {one_of(rule, plugin_names(ensembles))}"
        )


def rule_code(rule: str) -> str:
    """Digest the code of a rule: what another code combined is not kept.

    Parameters
    ----------
    rule : str
        A file of `evaluate/ensembles`.

    Returns
    -------
    str
        As of `code_digest`.
    """
    return code_digest(load_plugin(ensembles, rule, "ensemble rule"))


def judge(hemisphere: Hemisphere, seed: int = 0, rule: str = DEFAULT) -> Strengths:
    """Judge every model of a hemisphere by the held-out pictures.

    Parameters
    ----------
    hemisphere : Hemisphere
        The models.
    seed : int
        Draws the two halves of the held-out pictures.
    rule : str
        A file of `evaluate/ensembles`.

    Returns
    -------
    Strengths
        From all held-out pictures, and from each half.
    """
    second = split_pictures(hemisphere.heldout_pictures, seed)
    judged = load_plugin(ensembles, rule, "ensemble rule").judge(
        hemisphere, [slice(None), ~second, second]
    )
    return Strengths(judged[0], (judged[1], judged[2]), second)


def split_pictures(pictures: NDArray[np.bytes_], seed: int) -> NDArray[np.bool_]:
    """Draw two halves such that a picture that stands in several rows stays in one.

    Parameters
    ----------
    pictures : array (n_images,), bytes
        What names each row's picture.
    seed : int
        Draws them.

    Returns
    -------
    array (n_images,), bool
        True for the second half.
    """
    _, named = np.unique(pictures, return_inverse=True)
    order = np.random.default_rng(seed).permutation(int(named.max(initial=-1)) + 1)
    return np.asarray(order[named] >= len(order) / 2)


def weigh(
    n_vertices: int,
    vertices: Sequence[NDArray[np.int64]],
    strengths: Sequence[NDArray[np.float64]],
    preferred: Sequence[bool],
) -> tuple[list[NDArray[np.float64]], NDArray[np.bool_], int]:
    """Turn strengths into weights: not negative, summing to 1 at each covered vertex.

    Parameters
    ----------
    n_vertices : int
        Of the hemisphere.
    vertices : sequence of array (n_roi_vertices,), int64
        Where each model predicts.
    strengths : sequence of array (n_roi_vertices,), float64
        How much each is to be heard there.
    preferred : sequence of bool
        Whether each is of the chosen ROI classes; the others fill in where none of these is.

    Returns
    -------
    weights : list of array (n_roi_vertices,), float64
        Of each model. Where no model has any strength, all weigh the same.
    covered : array (n_vertices,), bool
        Where there is a model.
    n_filled : int
        How many vertices only the others cover.
    """
    chosen = np.zeros(n_vertices, bool)
    for where, first in zip(vertices, preferred, strict=True):
        if first:
            chosen[where] = True
    heard = [
        np.ones(len(where), bool) if first else ~chosen[where]
        for where, first in zip(vertices, preferred, strict=True)
    ]
    count, total = np.zeros(n_vertices, int), np.zeros(n_vertices)
    for where, value, mask in zip(vertices, strengths, heard, strict=True):
        count[where] += mask
        total[where] += value * mask
    weights = [
        mask * np.where(total[where] > 0, value, 1.0)
        / np.where(total[where] > 0, total[where], np.maximum(count[where], 1))
        for where, value, mask in zip(vertices, strengths, heard, strict=True)
    ]  # fmt: skip
    return weights, count > 0, int(((count > 0) & ~chosen).sum())


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
    hemisphere : Hemisphere
        The models.
    split : str
        "test" or "heldout".
    strengths : Strengths
        From `judge`.
    indices : sequence of int
        Which models, as places in `hemisphere.models`.
    roi_classes : sequence of str, optional
        The classes to combine; the others only fill in. All by default.

    Returns
    -------
    Combined
        The prediction.
    """
    n_vertices = hemisphere.n_vertices
    vertices = [hemisphere.vertices[i] for i in indices]
    classes = [hemisphere.models[i].roi_class for i in indices]
    preferred = [roi_classes is None or name in roi_classes for name in classes]
    second = strengths.in_second
    # (rows to predict, strengths to use): crossed on the held-out pictures.
    plan: list[tuple[Any, list[NDArray[np.float64]]]] = [(slice(None), strengths.whole)]
    if split == "heldout":
        plan = [(~second, strengths.halves[1]), (second, strengths.halves[0])]
    weighed = [
        (rows, weigh(n_vertices, vertices, [source[i] for i in indices], preferred))
        for rows, source in plan
    ]
    # Vertex by vertex, as those of a ROI lie scattered: whole rows are added faster than columns.
    predictions = np.zeros((n_vertices, hemisphere.n_images(split)), np.float32)
    for place, index in enumerate(indices):
        predicted = hemisphere.predictions(index, split)
        for rows, (weights, _, _) in weighed:
            predicted[rows] *= weights[place].astype(np.float32)
        predictions[vertices[place]] += predicted.T
    _, covered, n_filled = weighed[0][1]
    return Combined(predictions.T, covered, n_filled)

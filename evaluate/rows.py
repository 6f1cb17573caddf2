"""What is scored of one hemisphere: each ROI model, each run as a whole, the ensemble."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from challenge import ROI_CLASSES
from evaluate.ensemble import DEFAULT, Combined, combine, judge
from evaluate.fits import RoiModel, Run
from evaluate.hemisphere import Hemisphere
from evaluate.score import Tally, pool
from evaluate.scorer import Resampling, Scorer, VertexMap

ENSEMBLE = "ensemble"
CLASS_ORDER = (*ROI_CLASSES, "residual", "all")
ROI_ORDER = [roi for rois in ROI_CLASSES.values() for roi in rois]


class Key(NamedTuple):
    """What a row of scores.csv is about."""

    model: str
    spaces: str
    subject: str
    hemisphere: str
    roi_class: str
    roi: str


@dataclass(frozen=True)
class HemisphereScores:
    """What was found of one hemisphere.

    Attributes
    ----------
    tallies : dict of (str, str, str, str) to Tally
        By model, spaces, ROI class and ROI; `all` for the whole class or hemisphere.
    n_filled : int
        Vertices that the ensemble filled from other classes than the chosen.
    maps : dict of str to VertexMap
        Every vertex, as each run (by the name of its folder) and the ensemble predict it.
    """

    tallies: dict[tuple[str, str, str, str], Tally]
    n_filled: int
    maps: dict[str, VertexMap]


def score_hemisphere(
    hemisphere: Hemisphere,
    runs: Sequence[Run],
    split: str,
    roi_classes: Sequence[str] | None = None,
    seed: int = 0,
    ensemble: str = DEFAULT,
    how: Resampling | None = None,
) -> HemisphereScores:
    """Score every fit of a hemisphere and the ensemble of all.

    A run's row of a ROI is of that ROI's own model. Its row `all` counts each vertex once: where
    several ROI models cover it, they are combined as in an ensemble of this run alone.

    Parameters
    ----------
    hemisphere : Hemisphere
        The fits.
    runs : sequence of Run
        Their runs.
    split : str
        "test" or "heldout".
    roi_classes : sequence of str, optional
        The classes that combinations are made of; all by default.
    seed : int
        Draws the halves for cross-fitting.
    ensemble : str
        The rule of its weights, a file of `evaluate/ensembles`.
    how : Resampling, optional
        How often pictures are drawn and shuffled.

    Returns
    -------
    HemisphereScores
        Of each run and the ensemble.
    """
    scorer = Scorer(hemisphere, split, how or Resampling())
    strengths = judge(hemisphere, seed, ensemble)
    tallies: dict[tuple[str, str, str, str], Tally] = {}
    maps, predictions = {}, {}
    for run in runs:
        if indices := hemisphere.indices(run):
            combined = combine(hemisphere, split, strengths, indices, roi_classes)
            predicted, vertices, parts = _side_by_side(hemisphere, split, indices, combined)
            values, [*each, whole] = scorer.score(predicted, vertices, parts)
            maps[run.name] = scorer.map(values, parts[-1], combined.covered)
            predictions[run.name] = combined
            own = dict(zip((_roi(hemisphere.models[i]) for i in indices), each, strict=True))
            tallies |= _named(run.label, run.joined, own, whole)
    combined = combine(hemisphere, split, strengths, range(len(hemisphere.models)), roi_classes)
    rois = dict(zip(map(_roi, hemisphere.models), hemisphere.vertices, strict=True))
    covered = np.flatnonzero(combined.covered)
    every = np.arange(hemisphere.n_vertices)
    values, [*each, whole] = scorer.score(combined.predictions, every, [*rois.values(), covered])
    maps[ENSEMBLE] = scorer.map(values, covered, combined.covered)
    predictions[ENSEMBLE] = combined
    tallies |= _named(ENSEMBLE, union(runs), dict(zip(rois, each, strict=True)), whole)
    return HemisphereScores(tallies, combined.n_filled, scorer.permute(maps, predictions))


def _side_by_side(
    hemisphere: Hemisphere, split: str, indices: Sequence[int], combined: Combined
) -> tuple[NDArray[np.float32], NDArray[np.int64], list[NDArray[np.int64]]]:
    """Give a run's predictions, their vertices, and the columns of each model and of the whole."""
    # Where one model alone covers a vertex, the combination is that model, which is scored once;
    # where several do, what they say together stands behind them.
    of = [hemisphere.vertices[i] for i in indices]
    count = np.bincount(np.concatenate(of), minlength=hemisphere.n_vertices)
    shared = np.flatnonzero(count > 1)
    own = [hemisphere.predictions(i, split) for i in indices]
    vertices = np.concatenate([*of, shared])
    column = np.zeros(hemisphere.n_vertices, np.int64)
    column[vertices] = np.arange(len(vertices))  # the last one of a vertex stays
    ends = np.cumsum([0, *map(len, of)])
    parts = [np.arange(*span) for span in pairwise(ends)]
    predicted = np.hstack([*own, combined.predictions[:, shared]])
    return predicted, vertices, [*parts, column[combined.covered]]


def _roi(model: RoiModel) -> tuple[str, str]:
    return model.roi_class, model.roi


def union(runs: Iterable[Run]) -> str:
    """Join the spaces of several runs.

    Parameters
    ----------
    runs : iterable of Run
        The runs.

    Returns
    -------
    str
        Each space once, sorted, joined by "+".
    """
    return "+".join(sorted({space for run in runs for space in run.spaces}))


def _named(
    model: str, spaces: str, rois: Mapping[tuple[str, str], Tally], whole: Tally
) -> dict[tuple[str, str, str, str], Tally]:
    named = {(model, spaces, *roi): tally for roi, tally in rois.items()}
    for roi_class in {roi_class for roi_class, _ in rois}:
        # Labels within a class do not overlap, so its ROIs add up to it.
        parts = [tally for (of, _), tally in rois.items() if of == roi_class]
        named[model, spaces, roi_class, "all"] = pool(parts)
    named[model, spaces, "all", "all"] = whole
    return named


def rows(
    tallies: Mapping[Key, Tally], intervals: Mapping[Key, Mapping[str, float | None]], split: str
) -> list[dict[str, Any]]:
    """Turn tallies into rows of scores.csv, in reading order.

    Parameters
    ----------
    tallies : mapping of Key to Tally
        What was scored.
    intervals : mapping of Key to mapping of str to float or None
        For each, the columns of `evaluate.resampling.intervals`.
    split : str
        On which pictures.

    Returns
    -------
    list of dict
        One row each. Means are over the vertices that count, `n_vertices - n_excluded`.
    """
    models = dict.fromkeys((key.model, key.spaces) for key in tallies)
    # A run that only later subjects have comes after the ensemble of the first: it goes last.
    models = dict.fromkeys(sorted(models, key=lambda model: model[0] == ENSEMBLE))
    place = {model: i for i, model in enumerate(models)}
    order = sorted(
        tallies,
        key=lambda key: (
            place[key.model, key.spaces],
            key.subject == "all",
            key.subject,
            key.hemisphere != "lh",
            key.hemisphere != "rh",
            CLASS_ORDER.index(key.roi_class),
            key.roi == "all",
            ROI_ORDER.index(key.roi) if key.roi in ROI_ORDER else 0,
        ),
    )
    return [
        {
            **key._asdict(),
            "split": split,
            "n_vertices": tallies[key].n_vertices,
            "n_excluded": tallies[key].n_excluded,
            "pearson_r": tallies[key].mean("pearson_r"),
            "r2": tallies[key].mean("r2"),
            "score": tallies[key].mean("noise_normalised"),
            **intervals[key],
        }
        for key in order
    ]

"""What is scored of one hemisphere: each ROI model, each run as a whole, the ensemble."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from challenge import ROI_CLASSES
from evaluate.ensemble import DEFAULT, judge
from evaluate.fits import Run
from evaluate.hemisphere import Hemisphere
from evaluate.predicted import ENSEMBLE, Predicted, predicted_by
from evaluate.score import Tally, pool
from evaluate.scorer import Resampling, Scorer, VertexMap
from evaluate.selection import Member

CLASS_ORDER = (*ROI_CLASSES, "residual", "all")
ROI_ORDER = [roi for rois in ROI_CLASSES.values() for roi in rois]

# Model, spaces, ROI class and ROI.
Leaf = tuple[str, str, str, str]


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
    members : dict of str to Member
        Whether each run is a member of the ensemble, chosen on all held-out pictures.
    """

    tallies: dict[Leaf, Tally]
    n_filled: int
    maps: dict[str, VertexMap]
    members: dict[str, Member]


def score_hemisphere(
    hemisphere: Hemisphere,
    runs: Sequence[Run],
    split: str,
    roi_classes: Sequence[str] | None = None,
    seed: int = 0,
    ensemble: str = DEFAULT,
    how: Resampling | None = None,
    against: Predicted | None = None,
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
    against : Predicted, optional
        What the others are compared with, from `predicted_by`.

    Returns
    -------
    HemisphereScores
        Of each run and the ensemble.
    """
    scorer = Scorer(hemisphere, split, how or Resampling())
    strengths = judge(hemisphere, seed, ensemble, roi_classes)
    tallies: dict[Leaf, Tally] = {}
    maps, combined = {}, {}
    for run in (*runs, None):
        found = predicted_by(hemisphere, run, split, strengths, roi_classes)
        if found is None:
            continue
        values, [*each, whole] = scorer.score(found.columns, found.vertices, found.parts)
        if against is not None and against.name != found.name:
            *each, whole = scorer.compared([*each, whole], against, found)
        maps[found.name] = scorer.map(values, found.whole, found.combined.covered)
        combined[found.name] = found.combined
        named = (ENSEMBLE, union(runs)) if run is None else (run.label, run.joined)
        tallies |= _named(*named, dict(zip(found.rois, each, strict=True)), whole)
    n_filled = combined[ENSEMBLE].n_filled
    members = dict(zip(hemisphere.runs, strengths.selection.by_fit(), strict=True))
    return HemisphereScores(tallies, n_filled, scorer.permute(maps, combined), members)


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
) -> dict[Leaf, Tally]:
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
            "n_constant_measured": tallies[key].n_constant_measured,
            "pearson_r": tallies[key].mean("pearson_r"),
            "r2": tallies[key].mean("r2"),
            "score": tallies[key].mean("noise_normalised"),
            **intervals[key],
        }
        for key in order
    ]

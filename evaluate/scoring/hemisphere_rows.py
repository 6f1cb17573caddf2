"""What is scored of one hemisphere: each ROI model, each run as a whole, the ensemble."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from challenge import ROI_CLASSES
from evaluate.fits.hemisphere import Hemisphere
from evaluate.fits.runs import ENSEMBLE, Run
from evaluate.scoring.ensemble import DEFAULT, compute_strengths
from evaluate.scoring.hemisphere_scorer import Resampling, Scorer, VertexMap
from evaluate.scoring.member_selection import Member
from evaluate.scoring.predictions import Prediction, gather_prediction
from evaluate.scoring.vertex_scores import Tally, pool

CLASS_ORDER = (*ROI_CLASSES, "residual", "all")
ROI_ORDER = [roi for rois in ROI_CLASSES.values() for roi in rois]

# Fit (the name of its folder, or "ensemble"), ROI class and ROI.
Leaf = tuple[str, str, str]


class Key(NamedTuple):
    """What a row of scores.csv is about."""

    fit: str
    subject: str
    hemisphere: str
    roi_class: str
    roi: str


@dataclass(frozen=True)
class HemisphereScores:
    """What was found of one hemisphere.

    Attributes
    ----------
    tallies : dict of (str, str, str) to Tally
        By fit (the name of its folder, or "ensemble"), ROI class and ROI; `all` for the whole
        class or hemisphere. One fit has no ensemble beside it.
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
    resampling: Resampling | None = None,
    baseline: Prediction | None = None,
) -> HemisphereScores:
    """Score every fit of a hemisphere and the ensemble of all.

    A run's row of a ROI is of that ROI's own model. Its row `all` counts each vertex once: where
    several ROI models cover it, they are combined as in an ensemble of this run alone.

    Parameters
    ----------
    roi_classes : sequence of str, optional
        The classes that combinations are made of; all by default.
    """
    scorer = Scorer(hemisphere, split, resampling or Resampling())
    strengths = compute_strengths(hemisphere, seed, ensemble, roi_classes)
    tallies: dict[Leaf, Tally] = {}
    maps, combined = {}, {}
    # What a run as a whole predicts is the ensemble of it alone.
    alone = runs[0].name if len(runs) == 1 else ""
    for run in runs if alone else (*runs, None):
        prediction = gather_prediction(hemisphere, run, split, strengths, roi_classes)
        if prediction is None:
            continue
        values, [*roi_tallies, whole] = scorer.score(
            prediction.columns, prediction.vertices, prediction.parts
        )
        if baseline is not None and baseline.name != prediction.name:
            *roi_tallies, whole = scorer.add_swaps([*roi_tallies, whole], baseline, prediction)
        maps[prediction.name] = scorer.map(values, prediction.whole, prediction.combined.covered)
        combined[prediction.name] = prediction.combined
        tallies |= _name_tallies(
            prediction.name, dict(zip(prediction.rois, roi_tallies, strict=True)), whole
        )
    n_filled = combined[alone or ENSEMBLE].n_filled
    members = dict(zip(hemisphere.runs, strengths.selection.by_fit(), strict=True))
    permuted = scorer.permute(maps, combined)
    if alone:
        permuted[ENSEMBLE] = permuted[alone]
    return HemisphereScores(tallies, n_filled, permuted, members)


def union(runs: Iterable[Run]) -> str:
    """Join the spaces of several runs."""
    return "+".join(sorted({space for run in runs for space in run.spaces}))


def describe_fits(runs: Sequence[Run]) -> dict[str, dict[str, str]]:
    """Return what scores.csv says of each fit, and of the ensemble of all.

    Returns
    -------
    dict of str to dict of str to str
        By the name of the fit's folder, or "ensemble": `label`, `model` and `spaces`.
    """
    descriptions = {
        run.name: {"label": run.label, "model": run.model, "spaces": run.joined} for run in runs
    }
    return descriptions | {
        ENSEMBLE: {"label": ENSEMBLE, "model": ENSEMBLE, "spaces": union(runs)},
    }


def _name_tallies(
    fit: str, rois: Mapping[tuple[str, str], Tally], whole: Tally
) -> dict[Leaf, Tally]:
    tallies = {(fit, *roi): tally for roi, tally in rois.items()}
    for roi_class in {roi_class for roi_class, _ in rois}:
        # Labels within a class do not overlap, so its ROIs add up to it.
        parts = [tally for roi, tally in rois.items() if roi[0] == roi_class]
        tallies[fit, roi_class, "all"] = pool(parts)
    tallies[fit, "all", "all"] = whole
    return tallies


def class_order(roi_classes: Iterable[str]) -> list[str]:
    """Sort ROI classes into reading order.

    Parameters
    ----------
    roi_classes : iterable of str
        Classes, the residual and `all`, each any number of times.

    Returns
    -------
    list of str
        Each once: those of the challenge, then others as they come, the residual, `all`.
    """
    return sorted(dict.fromkeys(roi_classes), key=_class_rank)


def roi_rank(roi_class: str, roi: str) -> tuple[Any, ...]:
    """Return what to sort the ROIs of a table by.

    Returns
    -------
    tuple
        Class by class; in each the challenge's ROIs, then others by name, then the whole.
    """
    roi_index = ROI_ORDER.index(roi) if roi in ROI_ORDER else len(ROI_ORDER)
    return (_class_rank(roi_class), roi_class, roi == "all", roi_index, roi)


def _class_rank(roi_class: str) -> int:
    classes = list(ROI_CLASSES)
    return {**{name: i for i, name in enumerate(classes)}, "residual": len(classes) + 1,
            "all": len(classes) + 2}.get(roi_class, len(classes))  # fmt: skip


def rows(
    tallies: Mapping[Key, Tally],
    intervals: Mapping[Key, Mapping[str, float | None]],
    split: str,
    descriptions: Mapping[str, Mapping[str, str]],
) -> list[dict[str, Any]]:
    """Turn tallies into rows of scores.csv, in reading order.

    Returns
    -------
    list of dict
        One row each. Means are over the vertices that count, `n_vertices - n_excluded`.
    """
    fits = dict.fromkeys(key.fit for key in tallies)
    # A run that only later subjects have comes after the ensemble of the first: it goes last.
    fit_rank = {fit: i for i, fit in enumerate(sorted(fits, key=lambda fit: fit == ENSEMBLE))}
    order = sorted(
        tallies,
        key=lambda key: (
            fit_rank[key.fit],
            key.subject == "all",
            key.subject,
            key.hemisphere != "lh",
            key.hemisphere != "rh",
            roi_rank(key.roi_class, key.roi),
        ),
    )
    return [
        {
            **descriptions[key.fit],
            **key._asdict(),
            "split": split,
            "n_vertices": tallies[key].n_vertices,
            "n_excluded": tallies[key].n_excluded,
            "n_constant_measured": tallies[key].n_constant_measured,
            "pearson_r": tallies[key].mean("pearson_r"),
            "r2": tallies[key].mean("r2"),
            "score": tallies[key].mean("noise_normalised"),
            "chance": tallies[key].mean("chance"),
            **intervals[key],
        }
        for key in order
    ]

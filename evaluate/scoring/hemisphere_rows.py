"""Scores of one hemisphere: of each ROI model, of each run as a whole and of the ensemble."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from challenge import ROI_CLASSES
from evaluate.ensembles import DEFAULT
from evaluate.fits.hemisphere import Hemisphere
from evaluate.fits.run_labels import ENSEMBLE, FitLabel
from evaluate.fits.runs import Run
from evaluate.scoring.ensemble import compute_strengths
from evaluate.scoring.hemisphere_scorer import Resampling, Scorer, VertexMap
from evaluate.scoring.member_selection import Member
from evaluate.scoring.predictions import Prediction, gather_prediction
from evaluate.scoring.vertex_scores import OFFICIAL, Tally, pool

CLASS_ORDER = (*ROI_CLASSES, "residual", "all")
ROI_ORDER = [roi for rois in ROI_CLASSES.values() for roi in rois]

# Fit (the name of its folder, or "ensemble"), ROI class and ROI.
Leaf = tuple[str, str, str]


class Key(NamedTuple):
    """The fit, subject, hemisphere, ROI class and ROI of a row of scores.csv."""

    fit: str
    subject: str
    hemisphere: str
    roi_class: str
    roi: str


@dataclass(frozen=True)
class HemisphereScores:
    """Scores of all fits of one hemisphere; a single fit has no tally of an ensemble."""

    tallies: dict[Leaf, Tally]  # ROI "all" for the whole class or hemisphere
    n_filled: int  # vertices outside the chosen ROI classes, predicted from other classes
    maps: dict[str, VertexMap]  # by run (the name of its folder) and for the ensemble
    members: dict[str, Member]  # the part of each run in the ensemble, from all held-out pictures


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

    A run's row of a ROI scores that ROI's model. Its row `all` counts each vertex once: where
    several ROI models cover it, they are combined as in an ensemble of this run alone.
    Combinations are made of `roi_classes`, by default of all. All predictions are compared with the
    `baseline` by swaps of pictures.
    """
    scorer = Scorer(hemisphere, split, resampling or Resampling())
    strengths = compute_strengths(hemisphere, seed, ensemble, roi_classes)
    tallies: dict[Leaf, Tally] = {}
    maps, combined = {}, {}
    # The prediction of a whole run is the ensemble of this run alone.
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
    """Sort ROI classes without repeats: the challenge's, other classes, the residual, "all"."""
    return sorted(dict.fromkeys(roi_classes), key=_class_rank)


def roi_rank(roi_class: str, roi: str) -> tuple[Any, ...]:
    """Return a sort key: by class; in it the challenge's ROIs, others by name, the whole class."""
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
    labels: Mapping[str, FitLabel],
) -> list[dict[str, Any]]:
    """Return the rows of scores.csv, one for each tally, in the order of the table.

    Means are over the vertices that count, `n_vertices - n_excluded`.
    """
    fits = dict.fromkeys(key.fit for key in tallies)
    # The ensemble goes last, also after runs that only later subjects have.
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
        {**labels[key.fit].columns, **key._asdict(), "split": split, **_columns(tallies[key]),
         **intervals[key]}
        for key in order
    ]  # fmt: skip


def _columns(tally: Tally) -> dict[str, Any]:
    counts = {n: getattr(tally, n) for n in ("n_vertices", "n_excluded", "n_constant_measured")}
    means = {name: tally.mean(name) for name in ("pearson_r", "r2", "chance")}
    return counts | means | {"score": tally.mean(OFFICIAL)}

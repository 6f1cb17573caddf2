"""What is scored of one hemisphere: each ROI model, each run as a whole, the ensemble."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from challenge import ROI_CLASSES
from evaluate.ensemble import DEFAULT, combine, judge
from evaluate.fits import Run
from evaluate.hemisphere import Hemisphere
from evaluate.score import Tally, pool, score_vertices

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


def score_hemisphere(
    hemisphere: Hemisphere,
    runs: Sequence[Run],
    split: str,
    roi_classes: Sequence[str] | None = None,
    seed: int = 0,
    ensemble: str = DEFAULT,
) -> tuple[dict[tuple[str, str, str, str], Tally], int]:
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

    Returns
    -------
    tallies : dict of (str, str, str, str) to Tally
        By model, spaces, ROI class and ROI; `all` for the whole class or hemisphere.
    n_filled : int
        Vertices that the ensemble filled from other classes than the chosen.
    """
    measured, ceiling = hemisphere.measured(split), hemisphere.ceiling(split)
    strengths = judge(hemisphere, seed, ensemble)
    found: dict[tuple[str, str, str, str], Tally] = {}
    present = [run for run in runs if hemisphere.indices(run)]
    for run in present:
        indices = hemisphere.indices(run)
        own = {}
        for i in indices:
            model, vertices = hemisphere.models[i], hemisphere.vertices[i]
            limits = None if ceiling is None else ceiling[vertices]
            values = score_vertices(measured[:, vertices], hemisphere.predictions(i, split), limits)
            own[model.roi_class, model.roi] = values.tally()
        combined = combine(hemisphere, split, strengths, indices, roi_classes)
        whole = score_vertices(measured, combined.predictions, ceiling).tally(combined.covered)
        found |= _named(run.label, run.joined, own, whole)
    everything = range(len(hemisphere.models))
    combined = combine(hemisphere, split, strengths, everything, roi_classes)
    values = score_vertices(measured, combined.predictions, ceiling)
    rois = {
        (model.roi_class, model.roi): values.tally(vertices)
        for model, vertices in zip(hemisphere.models, hemisphere.vertices, strict=True)
    }
    found |= _named(ENSEMBLE, union(runs), rois, values.tally(combined.covered))
    return found, combined.n_filled


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


def rows(tallies: Mapping[Key, Tally], split: str) -> list[dict[str, Any]]:
    """Turn tallies into rows of scores.csv, in reading order.

    Parameters
    ----------
    tallies : mapping of Key to Tally
        What was scored.
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
        }
        for key in order
    ]

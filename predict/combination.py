"""Combination of a subject's fits into one encoder, as the submission combines them.

The weights of the models at each vertex come from the held-out responses. They are computed once
and saved, with all that a prediction needs besides the fits: `OUT/encoders/subjXX-<digest>.h5`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from base import content_digests, provenance, say
from cache import Entry, FeatureStore, digest, read_artifact, read_meta, write_artifact
from challenge import HEMISPHERES, Subject, find_subjects, response_digests
from challenge.fsaverage import fsaverage_vertices
from challenge.layout import vertices_file
from evaluate.fits.hemisphere import Hemisphere, load_hemisphere
from evaluate.fits.runs import RoiModel, Run, find_runs
from evaluate.scoring.ensemble import (
    check_rule,
    compute_strengths,
    new_picture_weights,
    rule_code,
)
from predict.errors import PredictError
from predict.novelty import Novelty
from regress import LinearModel, load_fit

SCHEMA = 3
RESIDUAL = "residual"
RoiKey = tuple[str, str, str]  # hemisphere, class and name


@dataclass(frozen=True)
class Combination:
    """The fits of a subject with their weights, as arrays and meta of one file."""

    arrays: dict[str, NDArray[Any]]
    meta: dict[str, Any]
    fits: Path  # the folder that the paths of models are relative to


class Part(NamedTuple):
    """A model of an ROI, its vertices over both hemispheres, and its weight at each."""

    model: RoiModel
    vertices: NDArray[np.int64]
    weights: NDArray[np.float64]


def load_combination(
    out: Path, data: Path, subject: str, names: Sequence[str] | None, rule: str
) -> Combination:
    """Load the combination of a subject's fits, or make it from the data and save it.

    Parameters
    ----------
    out : Path
        The folder of all results.
    data : Path
        The challenge's directory, which is read only when the combination is made.
    subject : str
        The number of the subject.
    names : sequence of str, optional
        Fits, by name or the beginning of their folder; all by default.
    rule : str
        The rule of the weights, as for the submission.
    """
    check_rule(rule)
    runs = find_runs(out, names, [subject])
    models = [m for run in runs for h in HEMISPHERES for m in run.models_of(subject, h)]
    paths = [model.path for model in models]
    contents = dict(zip(map(_relative, paths), content_digests(paths), strict=True))
    code = {"rule": rule, "code": rule_code(rule), "schema": SCHEMA}
    key = digest({"kind": "encoder", "fits": contents, **code})
    path = out / "encoders" / f"subj{subject}-{key}.h5"
    store = FeatureStore(out / "features")
    if not path.exists() or (_lacks_novelty(path) and _entries(store, _space_digests(runs))):
        arrays, meta = _combine(out, data, subject, runs, rule)
        meta |= {"kind": "encoder", "digest": key, "contents": contents, "rule": rule}
        path.parent.mkdir(parents=True, exist_ok=True)
        write_artifact(path, arrays, meta)
    return Combination(*read_artifact(path), out / "fits")


def _relative(path: Path) -> str:
    """Return the path of a model in the folder of fits."""
    return "/".join(path.parts[-3:])


def _combine(
    out: Path, data: Path, subject_name: str, runs: Sequence[Run], rule: str
) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    (subject,) = find_subjects(data, subject_name)
    say(f"subject {subject_name}: combining {', '.join(run.title for run in runs)}")
    responses = response_digests([subject])
    hemispheres = {}
    for name in HEMISPHERES:
        loaded = load_hemisphere(subject, name, runs, responses[subject.name, name])
        if loaded is not None:
            hemispheres[name] = loaded
    n_vertices = {name: subject.n_vertices(name) for name in HEMISPHERES}
    parts, rois = _gather_parts(subject, hemispheres, n_vertices["lh"], rule)
    arrays: dict[str, NDArray[Any]] = {
        "vertices": np.concatenate([part.vertices for part in parts]),
        "weights": np.concatenate([part.weights for part in parts]).astype(np.float32),
    }
    for name in HEMISPHERES:
        if vertices_file(subject.folder, name).is_file():
            arrays[f"{name}.fsaverage"] = fsaverage_vertices(subject, name)
    spaces = _space_digests(runs)
    store = FeatureStore(out / "features")
    keys, novelty = _novelty(store, spaces, subject, next(iter(hemispheres.values())))
    arrays |= novelty.arrays() if novelty else {}
    for number, run in enumerate(runs):
        arrays |= _readout(number, [p for p in parts if p.model.run == run.name], rois)
    arrays |= {f"roi.{number}": vertices for number, vertices in enumerate(rois.values())}
    n_held = len(next(iter(hemispheres.values())).heldout_rows)
    meta = {
        "subject": subject.name,
        "n_training": len(subject.pictures("train")),
        "n_heldout": n_held,
        "simulated": subject.simulated,
        "n_vertices": n_vertices,
        "spaces": spaces,
        "keys": keys,
        "novelty": novelty is not None,
        "rois": [list(key) for key in rois],
        "runs": [
            {"name": run.name, "title": run.title, "model": run.model, "spaces": list(run.spaces),
             "untrained": sorted(run.untrained)}
            for run in runs
        ],
        "models": [
            {"path": _relative(part.model.path), "run": part.model.run, "n": len(part.vertices)}
            for part in parts
        ],
        "provenance": provenance(),
    }  # fmt: skip
    return arrays, meta


def _gather_parts(
    subject: Subject, hemispheres: Mapping[str, Hemisphere], n_left: int, rule: str
) -> tuple[list[Part], dict[RoiKey, NDArray[np.int64]]]:
    """Weigh the models; return them, and the vertices of each ROI, over both hemispheres."""
    parts: list[Part] = []
    rois: dict[RoiKey, NDArray[np.int64]] = {}
    for name, hemisphere in hemispheres.items():
        start = n_left if name == "rh" else 0
        all_vertices = [vertices + start for vertices in hemisphere.vertices]
        strengths = compute_strengths(hemisphere, rule=rule)
        weights = new_picture_weights(hemisphere, strengths)
        parts += map(Part, hemisphere.models, all_vertices, weights)
        keys = (model.roi_key for model in hemisphere.models)
        vertices_by_roi = dict(zip(keys, all_vertices, strict=True))
        # In the order of the dataset: by class, and within it from early to late.
        for roi in subject.regions(name):
            key = (roi.roi_class, roi.name)
            if key in vertices_by_roi and roi.name != RESIDUAL:
                rois[name, *key] = vertices_by_roi[key]
    return parts, rois


def _space_digests(runs: Sequence[Run]) -> dict[str, str]:
    """Return the digest of each space's key, which all fits must share."""
    spaces: dict[str, str] = {}
    for run in runs:
        keys = run.models[0].meta.get("keys", {})
        if set(keys) != set(run.spaces):
            raise PredictError(
                f"{run.name}: is of an earlier version, which did not record its feature spaces: "
                f"run {run.models[0].fit_command} again"
            )
        for name, key in keys.items():
            if spaces.setdefault(name, key) != key:
                raise PredictError(
                    f"the fits read two feature spaces named {name} ({spaces[name]} and {key}): "
                    "name fits of one of them with --fits"
                )
    return spaces


def _lacks_novelty(path: Path) -> bool:
    return not read_meta(path)["novelty"]


def _entries(store: FeatureStore, spaces: dict[str, str]) -> dict[str, Entry] | None:
    """Return the stored spaces, None if one is not stored."""
    entries = {}
    for name, key in spaces.items():
        matches = [e for e in store.entries_named(name) if e.digest == key]
        if not matches:
            return None
        entries[name] = matches[0]
    return entries


def _novelty(
    store: FeatureStore, spaces: dict[str, str], subject: Subject, hemisphere: Hemisphere
) -> tuple[dict[str, Any], Novelty | None]:
    """Return the keys of the spaces, and the distances; None where features are not stored."""
    entries = _entries(store, spaces)
    if entries is None:
        return {}, None
    names = subject.picture_digests("train")
    is_held = np.zeros(len(names), bool)
    is_held[hemisphere.heldout_rows] = True
    training, heldout = {}, {}
    for name, entry in entries.items():
        rows = store.read(entry, names, as_stored=True)
        training[name], heldout[name] = rows[~is_held], rows[is_held]
    keys = {name: entry.meta["key"] for name, entry in entries.items()}
    return keys, Novelty.fit(training, heldout) if is_held.any() else None


def _readout(
    number: int, parts: Sequence[Part], rois: Mapping[RoiKey, NDArray[np.int64]]
) -> dict[str, NDArray[Any]]:
    """Average the coefficients of a linear run over each ROI; nothing for other models."""
    readout: Any = 0.0
    offset = np.zeros(len(rois))
    for part in parts:
        if not part.weights.any():
            continue
        fitted, _ = load_fit(part.model.path)
        if not isinstance(fitted, LinearModel):
            return {}
        shares = roi_shares(part.vertices, part.weights, list(rois.values()))
        readout = readout + fitted.coef_.astype(np.float64) @ shares
        offset += fitted.intercept_ @ shares
    if np.ndim(readout) == 0:
        return {}
    return {
        f"readout.{number}": readout.astype(np.float32),
        f"offset.{number}": offset.astype(np.float32),
    }


def roi_shares(
    vertices: NDArray[np.int64],
    weights: NDArray[np.floating[Any]],
    rois: Sequence[NDArray[np.int64]],
) -> NDArray[np.float64]:
    """Return the share of each vertex of a model in the mean of each ROI, (n_vertices, n_rois)."""
    shares = [np.isin(vertices, members) * weights / len(members) for members in rois]
    return np.stack(shares, axis=1) if shares else np.zeros((len(vertices), 0))

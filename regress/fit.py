"""All models of a subject: what is missing, fitted together, saved one file an ROI."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from base import progress, provenance, say, sha256_files
from cache import CacheError, digest, read_meta, write_artifact
from challenge import HEMISPHERES, Roi, Subject
from regress.design import Design
from regress.forms import shared_forms
from regress.job import Job
from regress.layout import Layout, lay_out
from regress.linear import LinearModel
from regress.split import fold_numbers, held_out

# Responses that are in memory at once: a hemisphere of the challenge.
MEMORY = 1 << 30


def fit_subject(job: Job) -> int:
    """Fit every model of a subject that is not there yet.

    Parameters
    ----------
    job : Job
        What to fit.

    Returns
    -------
    int
        How many models were fitted.
    """
    pictures = job.design.training_pictures
    held = held_out(pictures, job.settings.heldout, job.settings.seed)
    _warn_of_leaks(job.subject, job.design)
    fitted = 0
    with shared_forms():
        for hemisphere in HEMISPHERES:
            inputs = _inputs(job, hemisphere)
            every = job.subject.regions(hemisphere)
            _remove_others(job, hemisphere, every)
            missing = [roi for roi in every if not _is_there(job, roi, inputs)]
            say(
                f"subj{job.subject.name} {hemisphere}: {len(every) - len(missing)} models there "
                f"already, {len(missing)} to fit"
            )
            if missing:
                job.subject.check_finite(hemisphere, "train")
                _fit_hemisphere(job, hemisphere, missing, held, inputs)
            fitted += len(missing)
    return fitted


def _remove_others(job: Job, hemisphere: str, every: Sequence[Roi]) -> None:
    """Remove models of ROIs that the masks no longer have, and what killed writers left."""
    folder = job.folder / f"subj{job.subject.name}"
    expected = {job.path(roi) for roi in every}
    for path in sorted(folder.glob(f"{hemisphere}.*.h5")):
        if path not in expected:
            say(f"{path}: the masks have no such ROI any more; removed")
            path.unlink()
    for path in folder.glob(f".{hemisphere}.*.h5"):
        # An hour old, it is not being written by another process.
        if time.time() - path.stat().st_mtime > 3600:
            path.unlink()


def _inputs(job: Job, hemisphere: str) -> dict[str, str]:
    """Digest the data that a model was fitted on; a change of them means a new fit."""
    responses = job.subject.responses(hemisphere)
    (found,) = sha256_files([Path(str(responses.filename))])
    return {"responses": found, "pictures": job.design.pictures_digest}


def _is_there(job: Job, roi: Roi, inputs: Mapping[str, str]) -> bool:
    path = job.path(roi)
    if not path.exists():
        return False
    try:
        meta = read_meta(path)
    except CacheError as error:
        say(f"{error}; it is fitted again")
        return False
    wanted = {**inputs, "vertices": _digest_of(roi.vertices)}
    return all(meta["inputs"].get(name) == value for name, value in wanted.items())


def _digest_of(vertices: NDArray[np.int64]) -> str:
    return digest({"vertices": vertices.tolist()})


def _warn_of_leaks(subject: Subject, design: Design) -> None:
    both = set(design.training_pictures) & set(design.test_pictures)
    if both:
        say(
            f"warning: {len(both)} test pictures of subj{subject.name} are among its training "
            "pictures: scores on the test split will be inflated"
        )


def _fit_hemisphere(
    job: Job,
    hemisphere: str,
    missing: Sequence[Roi],
    held: NDArray[np.bool_],
    inputs: Mapping[str, str],
) -> None:
    """Fit all vertices together; save an ROI when all of it is fitted."""
    layout = lay_out(missing, job.settings.parameters.get("scope", "vertex"))
    folds = fold_numbers(
        [p for p, out in zip(job.design.training_pictures, held, strict=True) if not out],
        job.settings.folds,
        job.settings.seed,
    )
    state: dict[str, NDArray] = {}
    n_vertices = len(layout.vertices)
    heldout = np.empty((int(held.sum()), n_vertices), np.float32)
    label = f"subj{job.subject.name} {hemisphere} {job.settings.model}"
    waiting = list(missing)
    with progress(total=n_vertices, desc=label, unit="vertex") as bar:
        for columns in layout.batches(max(1, MEMORY // (4 * len(held)))):
            model, predicted = _fit_batch(job, hemisphere, layout, columns, held, folds)
            heldout[:, columns] = predicted
            for name, values in model.state().items():
                whole = state.setdefault(
                    name, np.empty((*values.shape[:-1], n_vertices), values.dtype)
                )
                whole[..., columns] = values
            done = [roi for roi in waiting if layout.columns[roi.name].max() < columns.stop]
            for roi in done:
                _save(job, roi, state, heldout, layout.columns[roi.name], held, inputs)
            names = {roi.name for roi in done}
            waiting = [roi for roi in waiting if roi.name not in names]
            bar.update(predicted.shape[1])
    _warn_of_edges(job, label, state)


def _fit_batch(
    job: Job,
    hemisphere: str,
    layout: Layout,
    columns: slice,
    held: NDArray[np.bool_],
    folds: NDArray[np.int64],
) -> tuple[LinearModel, NDArray[np.float32]]:
    """Fit without the held-out pictures, predict them, then solve again on all."""
    X, vertices = job.design.train, layout.vertices[columns]
    Y = np.ascontiguousarray(job.subject.responses(hemisphere)[:, vertices], dtype=np.float32)
    model = job.estimator
    splits = [(np.flatnonzero(folds != f), np.flatnonzero(folds == f)) for f in np.unique(folds)]
    own = {
        "cv": splits,
        "scope": "vertex" if layout.rois is None else layout.rois[columns],
        "checkpoint": job.checkpoint(hemisphere, columns.start),
        "progress_bar": True,
    }
    known = model.get_params()
    model.set_params(**{name: value for name, value in own.items() if name in known})
    model.fit(X[~held], Y[~held])
    predicted = model.predict(X[held])
    return model.refit(X, Y), predicted


def _warn_of_edges(job: Job, label: str, state: Mapping[str, NDArray]) -> None:
    """Say when many predictable vertices want a penalty beyond the grid."""
    alphas, scores = state.get("best_alphas_"), state.get("cv_scores_")
    if alphas is None and "deltas_" in state:
        alphas = 1 / np.exp(state["deltas_"].astype(np.float64)).sum(0)
    if alphas is None or scores is None or not (scores > 0).any():
        return
    grid = np.asarray(job.estimator.get_params()["alphas"])
    found = alphas[..., scores > 0]
    for edge, side in ((grid.min(), "lowest"), (grid.max(), "highest")):
        share = float(np.isclose(found, edge, rtol=1e-3).mean())
        if share > 0.1:
            say(
                f"warning: {label}: {share:.0%} of the predictable vertices chose the {side} alpha "
                f"({edge:g}): widen the grid, for example --params.alphas '[…]'"
            )


def _save(
    job: Job,
    roi: Roi,
    state: Mapping[str, NDArray],
    heldout: NDArray[np.float32],
    columns: NDArray[np.int64],
    held: NDArray[np.bool_],
    inputs: Mapping[str, str],
) -> None:
    design = job.design
    own = {name: np.ascontiguousarray(values[..., columns]) for name, values in state.items()}
    # From the arrays that are saved, so that `predict` of the loaded model gives these bits.
    test = type(job.estimator)().restore(own).predict(design.test)
    arrays = {
        **own,
        "vertices": roi.vertices,
        "heldout_rows": np.flatnonzero(held),
        "heldout_predictions": np.ascontiguousarray(heldout[:, columns]),
        "test_predictions": test.astype(np.float32, copy=False),
        "training_pictures": np.array(design.training_pictures, "S64"),
        "test_pictures": np.array(design.test_pictures, "S64"),
    }
    meta = {
        "kind": "fit",
        "model": job.settings.model,
        "digest": job.settings.digest(design),
        "settings": job.settings.as_dict(),
        "seed": job.settings.seed,
        "spaces": list(design.spaces),
        "keys": design.keys,
        "untrained": list(design.untrained),
        "subject": job.subject.name,
        "simulated": job.subject.simulated,
        "hemisphere": roi.hemisphere,
        "roi_class": roi.roi_class,
        "roi": roi.name,
        "responses": inputs["responses"],
        "inputs": {**inputs, "vertices": _digest_of(roi.vertices)},
        "provenance": provenance(),
    }
    write_artifact(job.path(roi), arrays, meta)

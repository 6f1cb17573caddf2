"""Check that fits match the data on disk and one another."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cache import digest
from challenge import Subject, pictures_digest, response_digests
from challenge.layout import SPLITS
from evaluate.arrays import Array, Indices
from evaluate.errors import EvaluateError
from evaluate.fits.runs import RoiModel

ARRAYS = ("vertices", "heldout_rows", "test_pictures", "training_pictures")

Regions = dict[tuple[str, str], Indices]


def check_fits(
    subject: Subject, hemisphere: str, models: Sequence[RoiModel], responses: str
) -> tuple[list[Indices], Indices, NDArray[np.bytes_]]:
    """Check the fits of a hemisphere against responses, pictures, masks and each other.

    Returns the vertices of each fit (n_roi_vertices,); the rows of the training split that all of
    them held out (n_heldout,); and the sha256 of the pictures of these rows (n_heldout,), S64.
    """
    for model in models:
        if model.meta["responses"] != responses:
            raise _stale(model, f"the training responses of {subject.folder} changed")
    # Held-out rows are identified by their training pictures.
    pictures = {split: np.array(subject.picture_digests(split), "S64") for split in SPLITS}
    rois = {(r.roi_class, r.name): r.vertices for r in subject.regions(hemisphere)}
    first = models[0].read(*ARRAYS)
    rows = first["heldout_rows"]
    vertices = []
    for model in models:
        arrays = model.read(*ARRAYS)
        _check_pictures(model, arrays, pictures)
        _check_vertices(model, arrays["vertices"], rois, subject)
        _check_heldout(models[0], model, rows, arrays["heldout_rows"])
        vertices.append(arrays["vertices"])
    return vertices, rows, first["training_pictures"][rows]


def ablation_inputs(subject: Subject, hemisphere: str) -> dict[str, str]:
    """Digest the data that an ablation depends on, by their names in its key."""
    splits = {"responses": "train"} | (
        {"test_responses": "test"} if subject.has_test_responses else {}
    )
    digests = {
        name: response_digests([subject], split, [hemisphere])[subject.name, hemisphere]
        for name, split in splits.items()
    }
    pictures = pictures_digest(*(subject.picture_digests(split) for split in ("train", "test")))
    return digests | {"masks": digest(subject.mask_digests()), "pictures": pictures}


def changed_inputs(key: Mapping[str, Any], inputs: Mapping[str, str]) -> list[str]:
    """Return the names of the data that differ from those in an ablation's key."""
    required = {"responses", *(["test_responses"] if key.get("split") == "test" else [])}
    names = ("responses", "test_responses", "masks", "pictures")
    expected = [name for name in names if name in required or name in key]
    return [name for name in expected if key.get(name) != inputs.get(name)]


def _stale(model: RoiModel, change: str) -> EvaluateError:
    return EvaluateError(
        f"{model.path}: is stale, {change} since this fit: run {model.fit_command} again, or "
        f"leave it out by naming the others with --fits (its run is {model.run})"
    )


def _check_pictures(
    model: RoiModel, arrays: dict[str, Array], pictures: dict[str, NDArray[np.bytes_]]
) -> None:
    for split, name in (("test", "test_pictures"), ("train", "training_pictures")):
        now = pictures[split]
        if not np.array_equal(arrays[name], now):
            counts = f"{len(now)} now, {len(arrays[name])} then, or in another order"
            raise _stale(model, f"the {name.replace('_', ' ')} changed ({counts})")


def _check_vertices(model: RoiModel, vertices: Indices, rois: Regions, subject: Subject) -> None:
    roi = rois.get(model.roi_key)
    if roi is None:
        raise EvaluateError(
            f"{model.path}: is of {' '.join(model.roi_key)}, which has no vertices in "
            f"{subject.folder / 'roi_masks'}: delete it, or run {model.fit_command} again "
            f"(its run is {model.run})"
        )
    if not np.array_equal(np.sort(vertices), roi):
        now = f"its {len(vertices)} vertices are not the {len(roi)} of its ROI: the masks changed"
        raise _stale(model, now)


def _check_heldout(
    first: RoiModel, second: RoiModel, expected: Indices, heldout_rows: Indices
) -> None:
    if np.array_equal(expected, heldout_rows):
        return
    raise EvaluateError(
        f"{first.path} and {second.path} held out different pictures "
        f"({len(expected)} and {len(heldout_rows)}), so their accuracies "
        "cannot be compared: fit both with the same seed and held-out share, or choose one of "
        f"{first.run} and {second.run} with --fits"
    )

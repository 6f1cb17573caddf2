"""A fitted model on disk: plain arrays and JSON, which load on any machine."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from base import provenance
from cache import read_artifact, write_artifact
from challenge import Roi
from regress.encoding_model import Encoder
from regress.errors import RegressError
from regress.fitting.settings import Job
from regress.fitting.shared_weights import load_shared, save_shared
from regress.fitting.up_to_date import Present
from regress.models import load_model_class

# Arrays of a fit's file that are its predictions and rows; the others are the model itself.
BESIDE = (
    "vertices",
    "heldout_rows",
    "heldout_predictions",
    "test_predictions",
    "test_spread",
    "training_pictures",
    "test_pictures",
)


def load_fit(path: str | Path) -> tuple[Encoder, dict[str, Any]]:
    """Load a fitted model.

    Parameters
    ----------
    path : str or Path
        A file that `python -m regress` wrote.

    Returns
    -------
    model : Encoder
        Its `predict` gives, for the features of the test pictures, the stored predictions.
    meta : dict
        Model, feature spaces, subject, hemisphere, ROI, settings, provenance.

    Raises
    ------
    RegressError
        If the file is not a fit, or weights that it shares with other ROIs are missing.
    """
    path = Path(path)
    arrays, meta = read_artifact(path)
    if meta.get("kind") != "fit":
        raise RegressError(f"{path}: holds {meta.get('kind')!r}, expected a fit")
    if "shared" in meta:
        arrays |= load_shared(path, meta["shared"])
    parameters = meta["settings"]["defaults"] | meta["settings"]["parameters"]
    made = load_model_class(meta["model"])(**parameters)
    model: Encoder = made.restore({n: v for n, v in arrays.items() if n not in BESIDE})
    return model, meta


def judge(model: Encoder, X: NDArray) -> dict[str, NDArray]:
    """Give what is saved of a model's predictions for the test pictures.

    Parameters
    ----------
    model : Encoder
        Restored from the arrays that are saved, so that `predict` of the loaded model agrees.
    X : array (n_test_images, n_features)
        Their features.

    Returns
    -------
    dict of str to array (n_test_images, n_vertices)
        `test_predictions`; and `test_spread`, standard deviations, of models that know how sure
        they are.
    """
    found = {"test_predictions": model.predict(X).astype(np.float32, copy=False)}
    if hasattr(model, "spread"):
        found["test_spread"] = model.spread(X)
    return found


def save_fit(
    job: Job,
    roi: Roi,
    state: Mapping[str, NDArray],
    common: Sequence[str],
    test: Mapping[str, NDArray],
    training: Mapping[str, Any],
    heldout: NDArray[np.float32],
    held: NDArray[np.bool_],
    present: Present,
) -> None:
    """Save the model of an ROI with its predictions.

    Parameters
    ----------
    common : sequence of str
        Which of its arrays belong to all vertices of the training.
    training : mapping
        What they took to fit: `parameters`, of all vertices that share any with these, apart from
        `shared_parameters`, which belong to all vertices of the training; `epochs`;
        `seconds_per_epoch` of each training that they were in, by its name, so that what was
        trained together is not counted twice; `start_tested`, of how many test pictures the start
        knew, if of any.
    heldout : array of float32 (n_held_images, n_vertices)
        Predictions for the pictures that were held out.
    held : array of bool (n_images,)
        Which those are.
    """
    design = job.design
    # Written first: who reads a file of an ROI finds what it refers to.
    shared = {}
    if common:
        shared = {"shared": save_shared(job.folder, present.training, state, common)}
    arrays = {
        **{name: values for name, values in state.items() if name not in common},
        "vertices": roi.vertices,
        "heldout_rows": np.flatnonzero(held),
        "heldout_predictions": np.ascontiguousarray(heldout),
        **test,
        "training_pictures": np.array(design.training_pictures, "S64"),
        "test_pictures": np.array(design.test_pictures, "S64"),
    }
    inputs = present.inputs(roi)
    meta = {
        "kind": "fit",
        "model": job.settings.model,
        "digest": job.settings.digest(design.keys),
        "settings": job.settings.as_dict(),
        "seed": job.settings.seed,
        "spaces": list(design.spaces),
        "keys": design.keys,
        "untrained": [*design.untrained, *job.estimator.untrained],
        "subject": job.subject.name,
        "simulated": job.subject.simulated,
        "hemisphere": roi.hemisphere,
        "roi_class": roi.roi_class,
        "roi": roi.name,
        "group": present.group(roi),
        "training": training,
        **shared,
        "responses": inputs["responses"],
        "inputs": inputs,
        "provenance": provenance(),
    }
    write_artifact(job.path(roi), arrays, meta)

"""Save and load fitted models: plain arrays and JSON, which load on any machine."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from base import provenance
from cache import read_artifact, write_artifact
from challenge import Roi
from regress.encoding_model import Encoder
from regress.errors import RegressError
from regress.fitting.settings import Job
from regress.fitting.shared_weights import load_shared, save_shared
from regress.fitting.up_to_date import ModelFiles
from regress.models import load_model_class

if TYPE_CHECKING:
    from cache.records import FitRecord, FitSettings, TrainingRecord

# Arrays of a fit's file that hold vertices, predictions and pictures; the others are the model.
NON_MODEL_ARRAYS = (
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
        The fitted model: for the features of the test pictures, `predict` returns the stored
        predictions.
    meta : dict
        Name of the model, feature spaces, subject, hemisphere, ROI, settings and provenance.

    Raises
    ------
    RegressError
        If the file is not a fit, or weights that it shares with other ROIs are missing.

    Examples
    --------
    >>> file = next(Path("derivatives/fits").glob("ridge-*/subj01/lh.V1v.h5"))
    >>> model, meta = load_fit(file)
    >>> meta["roi"], model.coef_.shape  # features, vertices
    ('V1v', (8, 2))
    """
    path = Path(path)
    state, meta = read_artifact(path, leave_out=NON_MODEL_ARRAYS)
    if meta.get("kind") != "fit":
        raise RegressError(f"{path}: holds {meta.get('kind')!r}, expected a fit")
    if "shared" in meta:
        state |= load_shared(path, meta["shared"])
    parameters = meta["settings"]["defaults"] | meta["settings"]["parameters"]
    unfitted = load_model_class(meta["model"])(**parameters)
    model: Encoder = unfitted.restore(state)
    return model, meta


def predict_test(model: Encoder, X: NDArray) -> dict[str, NDArray]:
    """Predict the responses to the test pictures, as they are saved.

    Parameters
    ----------
    model : Encoder
        A model restored from the arrays that are saved, so that the loaded model predicts the same.
    X : array (n_test_images, n_features)
        Features of the test pictures.

    Returns
    -------
    dict of str to array (n_test_images, n_vertices)
        `test_predictions`; also `test_spread`, standard deviations, for models with a `spread`.
    """
    arrays = {"test_predictions": model.predict(X).astype(np.float32, copy=False)}
    if hasattr(model, "spread"):
        arrays["test_spread"] = model.spread(X)
    return arrays


def save_fit(
    job: Job,
    roi: Roi,
    state: Mapping[str, NDArray],
    shared_names: Sequence[str],
    test: Mapping[str, NDArray],
    training: Mapping[str, Any],
    heldout: NDArray[np.float32],
    held: NDArray[np.bool_],
    files: ModelFiles,
) -> None:
    """Save the model of an ROI with its predictions.

    Parameters
    ----------
    shared_names : sequence of str
        Arrays of `state` that belong to all vertices of the training, and are saved once.
    training : mapping
        Size and duration of the fit: `parameters`, counted over all vertices that share any with
        these, without the `shared_parameters` of the whole training; `epochs`; `seconds_per_epoch`
        of each training by its name, so that a training of several ROIs is not counted twice; and
        `start_tested`, the number of test pictures that the start was trained on, if any.
    heldout : array of float32 (n_held_images, n_vertices)
        Predictions for the held-out pictures.
    held : array of bool (n_images,)
        Mask of the held-out pictures.
    """
    design = job.design
    # Written first, so that the files of ROIs never refer to a file that does not exist yet.
    shared = save_shared(job.folder, files.training, state, shared_names) if shared_names else ""
    arrays = {
        **{name: values for name, values in state.items() if name not in shared_names},
        "vertices": roi.vertices,
        "heldout_rows": np.flatnonzero(held),
        "heldout_predictions": np.ascontiguousarray(heldout),
        **test,
        "training_pictures": np.array(design.training_pictures, "S64"),
        "test_pictures": np.array(design.test_pictures, "S64"),
    }
    inputs = files.inputs(roi)
    meta: FitRecord = {
        "kind": "fit",
        "model": job.settings.model,
        "digest": job.settings.digest(design.keys),
        "settings": cast("FitSettings", job.settings.as_dict()),
        "seed": job.settings.seed,
        "spaces": list(design.spaces),
        "keys": design.keys,
        "untrained": [*design.untrained, *job.estimator.untrained],
        "subject": job.subject.name,
        "simulated": job.subject.simulated,
        "hemisphere": roi.hemisphere,
        "roi_class": roi.roi_class,
        "roi": roi.name,
        "group": files.group(roi),
        "training": cast("TrainingRecord", training),
        "responses": inputs["responses"],
        "inputs": inputs,
        "provenance": provenance(),
    }
    if shared:
        meta["shared"] = shared
    write_artifact(job.path(roi), arrays, meta)

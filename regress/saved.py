"""A fitted model on disk: plain arrays and JSON, which load on any machine."""

from pathlib import Path
from typing import Any

from base import load_plugin
from cache import read_artifact
from regress import models
from regress.errors import RegressError
from regress.linear import LinearModel

# Arrays of a fit's file that are the model itself; the others are its predictions and rows.
STATE = ("coef_", "intercept_", "best_alphas_", "deltas_", "weights_", "cv_scores_")


def load_fit(path: Path) -> tuple[LinearModel, dict[str, Any]]:
    """Load a fitted model.

    Parameters
    ----------
    path : Path
        A file that `python -m regress` wrote.

    Returns
    -------
    model : LinearModel
        Its `predict` gives, for the features of the test pictures, the stored predictions.
    meta : dict
        Model, feature spaces, subject, hemisphere, ROI, settings, provenance.

    Raises
    ------
    RegressError
        If the file is not a fit.
    """
    arrays, meta = read_artifact(path)
    if meta.get("kind") != "fit":
        raise RegressError(f"{path}: holds {meta.get('kind')!r}, expected a fit")
    made = load_plugin(models, meta["model"], "model").Model(**meta["settings"]["parameters"])
    model: LinearModel = made.restore({n: v for n, v in arrays.items() if n in STATE})
    return model, meta

"""`python -m regress`: stage 2, features and responses to fitted models."""

import sys
from pathlib import Path
from typing import Any

from base import load_plugin, say
from base.command import run
from cache import FeatureStore
from challenge import find_subjects
from regress import models
from regress.design import find_spaces, load_design
from regress.device import use_device
from regress.encoder import Encoder
from regress.errors import RegressError
from regress.fit import fit_subject
from regress.job import Job, Settings
from regress.layout import check_grouping


def regress(
    data: Path = Path("data"),
    out: Path = Path("derivatives"),
    subject: str | int = "all",
    model: str = "banded_ridge",
    spaces: list[str] = ["clip", "alexnet", "sam"],  # noqa: B006
    device: str = "auto",
    heldout: float = 0.1,
    folds: int = 5,
    seed: int = 0,
    group_by: str = "roi",
    params: dict[str, Any] = {},  # noqa: B006
) -> None:
    """Fit one model per ROI x hemisphere of each subject; what is there already is skipped.

    Parameters
    ----------
    data : Path
        The challenge directory, with subj01, subj02 …
    out : Path
        The folder of everything that is made.
    subject : str or int
        A subject's number, or "all".
    model : str
        ols_pca, ridge, banded_ridge or stacked_ridge; or linear, which is trained.
    spaces : list of str
        Feature spaces, computed before with `python -m extract`; banded and stacked ridge take
        each as a band.
    device : str
        auto (a GPU if torch sees one), cpu, cuda, or torch (the GPU's code on the CPU).
    heldout : float
        Share of the training pictures that the models are judged on.
    folds : int
        Folds of the cross-validation that chooses the penalties.
    seed : int
        Of the held-out pictures and the folds.
    group_by : str
        Whose vertices choose or train together: roi, roi-both-hemispheres, class,
        class-both-hemispheres, hemisphere or brain. It changes nothing for a model that chooses
        for each vertex alone, as ridge does unless --params.scope roi is given.
    params : dict
        Parameters of the model, for example --params.n_iter 50.

    Raises
    ------
    RegressError
        If no space is named.
    """
    if not spaces:
        raise RegressError("--spaces: none given; for example --spaces clip alexnet")
    estimator = _estimator(model, params)
    group_by = _grouping(check_grouping(group_by), estimator, model)
    store = FeatureStore(out / "features")
    subjects = find_subjects(data, str(subject))
    entries = find_spaces(store, spaces)
    backend = use_device(device)
    say(f"{model} on {' + '.join(e.name for e in entries)}, himalaya's {backend} backend")
    settings = Settings(model, _plain(params), heldout, folds, seed, group_by)
    for one in subjects:
        design = load_design(one, store, entries)
        if "bands" in estimator.get_params():
            estimator.set_params(bands=design.bands)
        folder = out / "fits" / f"{model}-{settings.digest(design)}"
        fitted = fit_subject(Job(one, design, settings, estimator, folder))
        say(f"subj{one.name}: {fitted} models fitted -> {folder / f'subj{one.name}'}")


# What the command sets itself cannot be set twice.
OWN = {"cv", "bands", "checkpoint", "progress_bar", "log"}


def _grouping(group_by: str, estimator: Encoder, model: str) -> str:
    """Give the grouping; what changes no number must not be in the key."""
    parameters = estimator.get_params()
    if group_by == "roi" or parameters.get("scope", "vertex") != "vertex":
        return group_by
    together = "; with --params.scope roi a group chooses together" if "scope" in parameters else ""
    say(f"{model} chooses for each vertex alone: --group_by {group_by} changes nothing{together}")
    return "roi"


def _estimator(name: str, params: dict[str, Any]) -> Encoder:
    made: Encoder = load_plugin(models, name, "model").Model()
    known = set(made.get_params()) - OWN
    wrong = sorted(set(params) - known)
    if wrong:
        raise RegressError(
            f"--params: {name} has no parameter {', '.join(wrong)}; it has "
            f"{', '.join(sorted(known))}"
        )
    try:
        made.set_params(**params).check_parameters()
    except ValueError as error:
        raise RegressError(f"--params: {error}") from error
    return made


def _plain(params: dict[str, Any]) -> dict[str, Any]:
    return {name: params[name] for name in sorted(params)}


EXAMPLES = [
    "python -m regress --subject 01 --model banded_ridge --spaces clip alexnet sam",
    "python -m regress --subject all --model ridge --spaces clip",
    "python -m regress --subject 01 --model linear --spaces clip --params.loss mse+0.5*pearson",
]

if __name__ == "__main__":
    sys.exit(run(regress, "regress", EXAMPLES))

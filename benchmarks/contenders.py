"""The contenders of `benchmarks.fit`, each run in a process of its own, on the same arrays."""

import json
import resource
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import himalaya.kernel_ridge
import himalaya.ridge
import numpy as np
import sklearn.linear_model

# The forms are imported when a fit first needs them, which is not what is timed.
import regress.solvers.dual
import regress.solvers.estimators  # noqa: F401
import regress.solvers.primal  # noqa: F401

N_ROIS = 10


def main() -> None:
    """Run one contender: `python -m benchmarks.contenders NAME FOLDER`."""
    name, folder = sys.argv[1], Path(sys.argv[2])
    settings = json.loads((folder / "settings.json").read_text())
    X = np.load(folder / "X.npy")
    # Mapped, as the challenge's responses are; pages that are read count as memory all the same.
    Y = np.load(folder / "Y.npy", mmap_mode="r")
    if settings["in_memory"]:
        Y = np.ascontiguousarray(Y)
    run = CONTENDERS[name]
    warnings.filterwarnings("ignore", category=UserWarning)
    start = time.perf_counter()
    results = run(X, Y, settings)
    seconds = time.perf_counter() - start
    np.savez(folder / f"{name}.npz", **results)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    (folder / f"{name}.json").write_text(json.dumps({"seconds": seconds, "gigabytes": peak}))


def floor(X: Any, Y: Any, settings: dict[str, Any]) -> dict[str, Any]:
    """Form X'X and X'Y once: no exact solver can do with less."""
    return {"xx": X.T @ X, "xy_norm": np.linalg.norm(X.T @ Y, axis=0)}


def _given(model: Any) -> dict[str, Any]:
    return {
        "alphas": np.asarray(model.best_alphas_),
        "scores": np.asarray(model.cv_scores_),
        "coef": np.asarray(model.coef_),
    }


def _ridge(estimator: Any, X: Any, Y: Any, settings: dict[str, Any]) -> dict[str, Any]:
    model = estimator(np.array(settings["alphas"]), fit_intercept=True, cv=settings["folds"])
    return _given(model.fit(X, Y))


def ours(X: Any, Y: Any, settings: dict[str, Any]) -> dict[str, Any]:
    """Fit all vertices with this project's RidgeCV."""
    return _given(
        regress.RidgeCV(np.array(settings["alphas"]), True, cv=settings["folds"]).fit(X, Y)
    )


def himalaya_once(X: Any, Y: Any, settings: dict[str, Any]) -> dict[str, Any]:
    """Fit all vertices with himalaya's RidgeCV in one call."""
    return _given(
        himalaya.ridge.RidgeCV(np.array(settings["alphas"]), True, cv=settings["folds"]).fit(X, Y)
    )


def himalaya_by_roi(X: Any, Y: Any, settings: dict[str, Any]) -> dict[str, Any]:
    """Fit ROI by ROI with himalaya's RidgeCV."""
    parts = [
        himalaya_once(X, np.ascontiguousarray(Y[:, some]), settings)
        for some in np.array_split(np.arange(Y.shape[1]), settings.get("rois", N_ROIS))
    ]
    return {name: np.concatenate([part[name] for part in parts], -1) for name in parts[0]}


def ours_by_roi(X: Any, Y: Any, settings: dict[str, Any]) -> dict[str, Any]:
    """Fit ROI by ROI with this project's RidgeCV, decompositions shared."""
    with regress.shared_forms():
        parts = [
            ours(X, np.ascontiguousarray(Y[:, some]), settings)
            for some in np.array_split(np.arange(Y.shape[1]), settings.get("rois", N_ROIS))
        ]
    return {name: np.concatenate([part[name] for part in parts], -1) for name in parts[0]}


def scikit_learn(X: Any, Y: Any, settings: dict[str, Any]) -> dict[str, Any]:
    """Fit with scikit-learn's RidgeCV: one alpha a vertex it has only for leave-one-out."""
    model = sklearn.linear_model.RidgeCV(settings["alphas"], alpha_per_target=True).fit(X, Y)
    return {"alphas": np.asarray(model.alpha_), "coef": np.asarray(model.coef_.T)}


def dual_himalaya(X: Any, Y: Any, settings: dict[str, Any]) -> dict[str, Any]:
    """Fit with himalaya's KernelRidgeCV on the linear kernel of features about their mean."""
    model = himalaya.kernel_ridge.KernelRidgeCV(
        np.array(settings["alphas"]), kernel="linear", fit_intercept=True, cv=settings["folds"]
    ).fit(X, Y)
    return {
        "alphas": np.asarray(model.best_alphas_),
        "scores": np.asarray(model.cv_scores_),
        "coef": np.asarray(model.get_primal_coef()),
    }


def _banded(estimator: Any, X: Any, Y: Any, settings: dict[str, Any]) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    weightings = rng.dirichlet(np.ones(3), settings["weightings"]).astype(X.dtype)
    parameters = {
        "n_iter": weightings,
        "alphas": np.array(settings["alphas"], X.dtype),
        "progress_bar": False,
    }
    groups = np.repeat(np.arange(3), settings["bands"])
    model = estimator(groups, solver_params=parameters, fit_intercept=True, cv=settings["folds"])
    model.fit(X, Y)
    return {"deltas": np.asarray(model.deltas_), **_given(model)}


def banded_ours(X: Any, Y: Any, settings: dict[str, Any]) -> dict[str, Any]:
    """Search weights of three bands with this project's BandedRidgeCV."""
    return _banded(regress.BandedRidgeCV, X, Y, settings)


def banded_himalaya(X: Any, Y: Any, settings: dict[str, Any]) -> dict[str, Any]:
    """Search the same weights with himalaya's GroupRidgeCV."""
    return _banded(himalaya.ridge.GroupRidgeCV, X, Y, settings)


CONTENDERS = {
    run.__name__: run
    for run in (
        floor,
        ours,
        ours_by_roi,
        himalaya_once,
        himalaya_by_roi,
        scikit_learn,
        dual_himalaya,
        banded_ours,
        banded_himalaya,
    )
}

if __name__ == "__main__":
    main()

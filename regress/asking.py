"""What a command asks to be fitted, where its features need not be there yet."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cache import Entry, FeatureStore
from regress.asked import Asked
from regress.command import OWN, _begun, _check_trained, _chosen, _grouping, make_estimator
from regress.errors import RegressError
from regress.job import Settings
from regress.layout import check_grouping
from regress.tokens import check_pixels, find_places


def ask(
    data: Path,
    out: Path,
    find: Callable[[FeatureStore], Sequence[Entry]],
    *,
    subject: str = "all",
    model: str = "banded_ridge",
    heldout: float = 0.1,
    folds: int = 5,
    seed: int = 0,
    group_by: str = "roi",
    params: dict[str, Any] | None = None,
    subjects: Sequence[str] = (),
    start: Path | None = None,
    images: int | None = None,
) -> Asked:
    """Say what `python -m regress` would be asked for, and refuse what it would refuse.

    Parameters
    ----------
    data, out
        As for `python -m regress`.
    find : callable
        Gives the feature spaces, of which what is said of them is enough.
    subject, model, heldout, folds, seed, group_by, params, subjects, start, images
        As for `python -m regress`.

    Returns
    -------
    Asked
        To be looked at, not to be fitted: test pictures are not named.

    Raises
    ------
    RegressError
        As `python -m regress`.
    """
    params = dict(params or {})
    estimator = make_estimator(model, params)
    group_by = _grouping(check_grouping(group_by), estimator, model)
    chosen = _chosen(data, subject, list(subjects))
    store = FeatureStore(out / "features")
    entries = find(store)
    if not entries:
        raise RegressError("--spaces: none given; for example --spaces clip alexnet")
    if estimator.get_params().get("over") == "tokens":
        params["places"] = find_places(store, entries)
        estimator.set_params(places=params["places"])
    elif estimator.get_params().get("over") == "pixels":
        check_pixels(store, entries)
    together = bool(subjects) and len(chosen) > 1
    begun = _begun(out, start) if start else None
    _check_trained(estimator, model, together, begun)
    settings = Settings(
        model,
        {name: params[name] for name in sorted(params)},
        heldout,
        folds,
        seed,
        group_by,
        tuple(one.name for one in chosen) if together else (),
        images,
        begun.digest if begun else "",
        {n: v for n, v in estimator.get_params().items() if n not in OWN | set(params)},
    )
    groups = [chosen] if together else [[one] for one in chosen]
    return Asked(groups, store, entries, settings, estimator, out, begun, set())

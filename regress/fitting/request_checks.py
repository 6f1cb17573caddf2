"""What a command asks to be fitted: chosen, and refused where it cannot be, before any reading."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from base import load_plugin, nearest, say
from cache import Entry, FeatureStore, find_fits
from challenge import DataError, Subject, SubjectChoice, chooses_all, find_subjects
from challenge.inputs import check_training_data
from regress import models
from regress.data.space_kinds import check_pixels, find_places
from regress.data.vertex_columns import check_grouping
from regress.encoding_model import Encoder
from regress.errors import RegressError
from regress.fitting.request import Asked
from regress.fitting.settings import Settings

if TYPE_CHECKING:
    from regress.fitting.warm_start import Start


def ask(
    data: Path,
    out: Path,
    find: Callable[[FeatureStore], Sequence[Entry]],
    *,
    subject: SubjectChoice = "all",
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
    find : callable
        Gives the feature spaces. To look at what is asked they need not be there: what is said of
        them is enough.

    Returns
    -------
    Asked
        To be looked at; to be fitted it needs `with_tests`.
    """
    params = dict(params or {})
    estimator = make_estimator(model, params)
    group_by = _grouping(check_grouping(group_by), estimator, model)
    chosen = _chosen(data, subject, list(subjects))
    check_training_data(chosen)
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


def with_tests(asked: Asked, data: Path) -> Asked:
    """Check what is to be fitted against what it begins from, and name the pictures that test.

    Returns
    -------
    Asked
        With the test pictures of all subjects, where somebody else's training may have seen them.
    """
    begun = asked.begun
    if begun:
        keys = {entry.name: entry.digest for entry in asked.entries}
        begun.check_settings(asked.settings, asked.estimator, keys)
    if begun or len(asked.groups[0]) > 1:
        return replace(asked, tests=_test_pictures(data))
    return asked


def _chosen(data: Path, subject: SubjectChoice, subjects: list[str]) -> list[Subject]:
    if not subjects:
        return find_subjects(data, subject)
    if not chooses_all(subject):
        raise RegressError(
            f"--subject {subject} and --subjects {' '.join(map(str, subjects))}: expected one of "
            "them; --subjects trains several together, --subject all each alone"
        )
    return find_subjects(data, subjects)


def _begun(out: Path, start: Path) -> "Start":
    """Open the fit to begin from, by its folder, its name, or the beginning of its folder's."""
    # Lightning takes seconds to import, and ridge needs none of it.
    from regress.fitting.warm_start import Start

    if start.is_dir() or start.is_absolute():
        return Start(start)
    name, *subject = start.parts
    named = find_fits(out / "fits", name)
    return Start(named[0].joinpath(*subject) if len(named) == 1 else start)


def _check_trained(estimator: Encoder, model: str, together: bool, begun: "Start | None") -> None:
    """Refuse what only trained models can do, or only some of them."""
    asked = "--subjects" if together else "--start"
    if (together or begun) and not estimator.streams:
        raise RegressError(
            f"{asked}: {model} is solved for each subject alone; expected a model that is trained: "
            "linear, mlp, conv1d, positional, shallow, unet, vit or diffusion; or each alone, "
            "--subject '01 02'"
        )
    parameters = estimator.get_params()
    if (together or begun) and parameters["scope"] == "vertex":
        raise RegressError(
            f"{asked}: with --params.scope vertex each vertex has a network of its own, and "
            "nothing is shared; expected --params.scope roi, and --group_by as you like"
        )
    for name in ("embedding", "common_readout"):
        if parameters.get(name) and (begun or not together):
            raise RegressError(
                f"--params.{name}: several subjects share what it changes, in a training of their "
                "own; expected --subjects 01 02, and no --start"
            )
    if parameters.get("freeze") and not begun:
        raise RegressError("--params.freeze true: expected --start FOLDER, whose networks it keeps")


def _test_pictures(data: Path) -> set[str]:
    """Name the test pictures of all subjects, as far as they are there."""
    names: set[str] = set()
    for one in find_subjects(data):
        try:
            names |= set(one.picture_digests("test"))
        except DataError as error:
            say(f"warning: the test pictures of subj{one.name} are not known: {error}")
    return names


# What the command sets itself cannot be set twice.
OWN = {
    *("cv", "bands", "checkpoint", "progress_bar", "log", "start"),
    *("places", "positions", "homes", "sheet"),
}


def _grouping(group_by: str, estimator: Encoder, model: str) -> str:
    """Give the grouping; what changes no number must not be in the key."""
    parameters = estimator.get_params()
    if group_by == "roi" or parameters.get("scope", "vertex") != "vertex":
        return group_by
    together = "; with --params.scope roi a group chooses together" if "scope" in parameters else ""
    say(f"{model} chooses for each vertex alone: --group_by {group_by} changes nothing{together}")
    return "roi"


def make_estimator(name: str, params: dict[str, Any]) -> Encoder:
    """Make a model, and refuse parameters that it cannot have, before any data are read."""
    made: Encoder = load_plugin(models, name, "model").Model()
    known = set(made.get_params()) - OWN
    wrong = sorted(set(params) - known)
    if wrong:
        raise RegressError(
            f"--params: {name} has no parameter {', '.join(wrong)}; it has "
            f"{', '.join(sorted(known))}{nearest(wrong[0], known)}"
        )
    try:
        made.set_params(**params).check_parameters()
    except ValueError as error:
        raise RegressError(f"--params: {error}") from error
    return made

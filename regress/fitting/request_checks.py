"""Make the request of a command, and check it before any features are read."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from base import nearest, say
from cache import Entry, FeatureStore
from challenge import DataError, Subject, SubjectChoice, chooses_all, find_subjects
from challenge.dataset import check_training_data
from regress.data.design import find_spaces
from regress.data.vertex_columns import check_grouping
from regress.encoding_model import Encoder
from regress.errors import RegressError
from regress.fit_options import FitOptions
from regress.fitting.request import FitRequest
from regress.fitting.settings import Settings
from regress.models import load_model_class

if TYPE_CHECKING:
    from regress.fitting.warm_start import Start


def make_request(options: FitOptions, entries: Sequence[Entry] | None = None) -> FitRequest:
    """Make the request of `python -m regress` from its options, and check it.

    Parameters
    ----------
    options : FitOptions
        What to fit, on what, and where.
    entries : sequence of Entry, optional
        The feature spaces, which for a forecast need not exist yet; by default those that the
        options name.

    Returns
    -------
    FitRequest
        Enough for a forecast; before it is fitted, `add_test_pictures` must complete it.
    """
    if not options.spaces:
        raise RegressError("--spaces: none given; for example --spaces clip alexnet")
    model, out = options.model, options.out
    params = dict(options.params)
    estimator = make_estimator(model, params)
    group_by = _effective_grouping(check_grouping(options.group_by), estimator, model)
    selected = _select_subjects(options.data, options.subject, list(options.subjects))
    check_training_data(selected)
    store = FeatureStore(out / "features")
    entries = find_spaces(store, options.spaces) if entries is None else entries
    _set_places(estimator, params, store, entries)
    together = bool(options.subjects) and len(selected) > 1
    initial = _open_start(out, options.start) if options.start else None
    _check_trained(estimator, model, together, initial)
    defaults = estimator.get_params()
    settings = Settings(
        model,
        {name: params[name] for name in sorted(params)},
        options.heldout,
        options.folds,
        options.seed,
        group_by,
        tuple(s.name for s in selected) if together else (),
        options.images,
        initial.digest if initial else "",
        {n: v for n, v in defaults.items() if n not in RESERVED_PARAMETERS | set(params)},
    )
    groups = [selected] if together else [[s] for s in selected]
    return FitRequest(groups, store, entries, settings, estimator, out, initial, set())


def _set_places(
    estimator: Encoder, params: dict[str, Any], store: FeatureStore, entries: Sequence[Entry]
) -> None:
    """Check that the spaces suit a model that learns from places or pixels; set the places."""
    over = estimator.get_params().get("over")
    if over not in ("tokens", "pixels"):
        return
    from regress.data.space_kinds import check_pixels, common_place_count

    if over == "pixels":
        check_pixels(store, entries)
    else:
        params["places"] = common_place_count(store, entries)
        estimator.set_params(places=params["places"])


def add_test_pictures(request: FitRequest, data: Path) -> FitRequest:
    """Check a request against its start, and add the test pictures of all subjects to it.

    A model can have seen the test pictures of another subject only where subjects share a training,
    or the start was trained on other subjects; any other request is returned as it is.
    """
    start = request.start
    if start:
        keys = {entry.name: entry.digest for entry in request.entries}
        start.check_settings(request.settings, request.estimator, keys)
    if start or len(request.groups[0]) > 1:
        return replace(request, tests=_test_pictures(data))
    return request


def _select_subjects(data: Path, subject: SubjectChoice, subjects: list[str]) -> list[Subject]:
    if not subjects:
        return find_subjects(data, subject)
    if not chooses_all(subject):
        raise RegressError(
            f"--subject {subject} and --subjects {' '.join(map(str, subjects))}: expected one of "
            "them; --subjects trains several together, --subject all each alone"
        )
    return find_subjects(data, subjects)


def _open_start(out: Path, start: Path) -> "Start":
    """Open the fit to begin from by its folder, its name, or the beginning of its folder's name."""
    # Lightning takes seconds to import, and ridge needs none of it.
    from cache import find_fits
    from regress.fitting.warm_start import Start

    if start.is_dir() or start.is_absolute():
        return Start(start)
    name, *subject = start.parts
    folders = find_fits(out / "fits", name)
    return Start(folders[0].joinpath(*subject) if len(folders) == 1 else start)


def _check_trained(estimator: Encoder, model: str, together: bool, start: "Start | None") -> None:
    """Refuse --subjects and --start, and parameters that need them, where the model has no use."""
    option = "--subjects" if together else "--start"
    if (together or start) and not estimator.streams:
        raise RegressError(
            f"{option}: {model} is solved for each subject alone; expected a model that is "
            "trained: linear, mlp, conv1d, positional, shallow, unet, vit or diffusion; or each "
            "alone, --subject '01 02'"
        )
    parameters = estimator.get_params()
    if (together or start) and parameters["scope"] == "vertex":
        raise RegressError(
            f"{option}: with --params.scope vertex each vertex has a network of its own, and "
            "nothing is shared; expected --params.scope roi, and --group_by as you like"
        )
    for name in ("embedding", "common_readout"):
        if parameters.get(name) and (start or not together):
            raise RegressError(
                f"--params.{name}: it changes weights that several subjects share; expected "
                "--subjects 01 02, without --start"
            )
    if parameters.get("freeze") and not start:
        raise RegressError("--params.freeze true: expected --start FOLDER, a fit to freeze")


def _test_pictures(data: Path) -> set[str]:
    """Return the sha256 of the test pictures of all subjects; warn of unreadable ones."""
    names: set[str] = set()
    for subject in find_subjects(data):
        try:
            names |= set(subject.picture_digests("test"))
        except DataError as error:
            say(f"warning: cannot read the test pictures of subj{subject.name}: {error}")
    return names


# Parameters that the command sets, so that --params must not.
RESERVED_PARAMETERS = {
    *("cv", "bands", "checkpoint", "progress_bar", "log", "start"),
    *("places", "positions", "homes", "sheet"),
}


def _effective_grouping(group_by: str, estimator: Encoder, model: str) -> str:
    """Return the grouping for the key; "roi" where the grouping changes no number."""
    parameters = estimator.get_params()
    if group_by == "roi" or parameters.get("scope", "vertex") != "vertex":
        return group_by
    together = "; with --params.scope roi a group chooses together" if "scope" in parameters else ""
    say(f"{model} chooses for each vertex alone: --group_by {group_by} changes nothing{together}")
    return "roi"


def make_estimator(name: str, params: dict[str, Any]) -> Encoder:
    """Make a model with parameters; refuse unknown names and invalid values."""
    estimator: Encoder = load_model_class(name)()
    valid = set(estimator.get_params()) - RESERVED_PARAMETERS
    unknown = sorted(set(params) - valid)
    if unknown:
        raise RegressError(
            f"--params: {name} has no parameter {', '.join(unknown)}; it has "
            f"{', '.join(sorted(valid))}{nearest(unknown[0], valid)}"
        )
    try:
        estimator.set_params(**params).check_parameters()
    except ValueError as error:
        raise RegressError(f"--params: {error}") from error
    return estimator

"""What `python -m regress` does: choose features and subjects, and have their models fitted."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from base import load_plugin, say
from cache import FeatureStore
from challenge import DataError, Subject, find_subjects
from execute import choose_executor, share
from regress import models
from regress.asked import Asked
from regress.design import find_spaces
from regress.device import backend_on, choose_devices, place_of
from regress.encoder import Encoder
from regress.errors import RegressError
from regress.job import Settings
from regress.layout import check_grouping
from regress.tokens import check_pixels, find_places

if TYPE_CHECKING:
    from regress.start import Start


def fit(
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
    subjects: list[str] = [],  # noqa: B006
    start: Path | None = None,
    images: int | None = None,
    executor: str = "local",
    cluster: Path | None = None,
) -> Path:
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
        ols_pca, ridge, banded_ridge or stacked_ridge; or linear, mlp, conv1d, positional,
        shallow, unet, vit or diffusion, which are trained.
    spaces : list of str
        Feature spaces, computed before with `python -m extract`; banded and stacked ridge take
        each as a band.
    device : str
        auto (a GPU if torch sees one), cpu, cuda, cuda:N, or torch (the GPU's code on the CPU);
        several with commas, cuda:0,cuda:1, share the subjects' hemispheres, a process each.
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
    subjects : list of str
        In place of --subject, of a trained model: the numbers of subjects, or all, who are trained
        together. What belongs to a group of vertices is theirs together, and each has its own
        readouts.
    start : Path
        A fit of the same model that a training begins from, of these subjects or of others: its
        folder, or the beginning of its name; with /subj01 behind it where several subjects were
        fitted, each alone. --params.freeze true trains only what belongs to single vertices.
    images : int
        Fit on so many training pictures of each subject, the first that are not held out; all by
        default.
    executor : str
        local, or slurm: in jobs of a cluster, which this command waits for.
    cluster : Path
        For slurm: a YAML file with partition, time, memory, cpus, gpus, account, setup …

    Returns
    -------
    Path
        The folder of the fit.

    Raises
    ------
    RegressError
        If no space is named, or a model that is not trained is to share or to begin from another.
    """
    if not spaces:
        raise RegressError("--spaces: none given; for example --spaces clip alexnet")
    where = choose_executor(executor, cluster, "fit")
    # Those of another machine are chosen there.
    devices = choose_devices(device) if where.is_local else []
    estimator = make_estimator(model, params)
    group_by = _grouping(check_grouping(group_by), estimator, model)
    chosen = _chosen(data, subject, subjects)
    store = FeatureStore(out / "features")
    entries = find_spaces(store, spaces)
    if estimator.get_params().get("over") == "tokens":
        params = params | {"places": find_places(store, entries)}
        estimator.set_params(places=params["places"])
    elif estimator.get_params().get("over") == "pixels":
        check_pixels(store, entries)
    together = subjects and len(chosen) > 1
    begun = _begun(out, start) if start else None
    _check_trained(estimator, model, bool(together), begun)
    say(f"{model} on {' + '.join(e.name for e in entries)}, {backend_on(devices)}")
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
    if begun:
        begun.check_settings(settings, estimator, {e.name: e.digest for e in entries})
    tests = _test_pictures(data) if together or begun else set()
    groups = [chosen] if together else [[one] for one in chosen]
    asked = Asked(groups, store, entries, settings, estimator, out, begun, tests)
    folders = []

    def report(_: int, fitted: list[tuple[str, int, Path]]) -> None:
        whom, _, folder = fitted[0]
        whither = folder if together else folder / whom
        say(f"{whom}: {sum(count for _, count, _ in fitted)} models fitted -> {whither}")
        folders.append(folder)

    share(where, place_of(device), asked.run(), asked.units(), asked, report)
    return folders[0]


def _chosen(data: Path, subject: str | int, subjects: list[str]) -> list[Subject]:
    if not subjects:
        return find_subjects(data, str(subject))
    if str(subject) != "all":
        raise RegressError(
            f"--subject {subject} and --subjects {' '.join(map(str, subjects))}: expected one of "
            "them; --subjects trains several together, --subject all each alone"
        )
    found = {one.name: one for name in subjects for one in find_subjects(data, str(name))}
    return [found[name] for name in sorted(found)]


def _begun(out: Path, start: Path) -> "Start":
    """Open the fit to begin from, by its folder or by the beginning of its name."""
    # Lightning takes seconds to import, and ridge needs none of it.
    from regress.start import Start

    if start.is_dir() or start.is_absolute():
        return Start(start)
    name, *subject = start.parts
    named = [folder for folder in (out / "fits").glob(f"{name}*") if folder.is_dir()]
    return Start(named[0].joinpath(*subject) if len(named) == 1 else start)


def _check_trained(estimator: Encoder, model: str, together: bool, begun: "Start | None") -> None:
    """Refuse what only trained models can do, or only some of them."""
    asked = "--subjects" if together else "--start"
    if (together or begun) and not estimator.streams:
        raise RegressError(
            f"{asked}: {model} is solved for each subject alone; expected a model that is trained: "
            "linear, mlp, conv1d, positional, shallow, unet, vit or diffusion"
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
    """Make a model, and refuse parameters that it cannot have, before any data are read.

    Parameters
    ----------
    name : str
        A file in `regress/models`.
    params : dict
        Its parameters.

    Returns
    -------
    Encoder
        Not fitted.

    Raises
    ------
    RegressError
        If a parameter is unknown or out of range; the message names it.
    """
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

"""What `python -m regress` does: have what was asked for fitted, and say what became of it."""

from functools import partial
from pathlib import Path
from typing import Any

from base import convert_paths, plugin_names, say
from cache import check_fit_name, write_fit_name
from challenge import SubjectChoice
from challenge.inputs import print_missing_classes
from execute import choose_executor, planned, share
from regress import models
from regress.backend import backend_on, choose_devices, place_of
from regress.costs.units import fit_costs
from regress.data.design import find_spaces
from regress.errors import RegressError
from regress.fitting.request_checks import ask, with_tests

# What else chooses fits: all of a model, all there are, and all combined.
RESERVED = ("all", "ensemble")


@convert_paths
def fit(
    data: Path = Path("data"),
    out: Path = Path("derivatives"),
    subject: SubjectChoice = "all",
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
    name: str = "",
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
    subject : str, int or sequence of them
        "all", or the numbers of one or several: "01", "01 02".
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
        folder, its name, or the beginning of its folder's; with /subj01 behind it where several
        subjects were fitted, each alone. --params.freeze true trains only what belongs to single
        vertices.
    images : int
        Fit on so many training pictures of each subject, the first that are not held out; all by
        default.
    name : str
        What to call the fit, unique among those in OUT: tables show it, and --fits and --start
        take it. A fit that has another name is renamed. By default it is called by its folder.
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
    CacheError
        If the fit cannot have its name.
    """
    if not spaces:
        raise RegressError("--spaces: none given; for example --spaces clip alexnet")
    where = choose_executor(executor, cluster, "fit", data)
    # Those of another machine are chosen there.
    devices = choose_devices(device) if where.is_local else []
    asked = ask(
        data,
        out,
        partial(find_spaces, names=spaces),
        subject=subject,
        model=model,
        heldout=heldout,
        folds=folds,
        seed=seed,
        group_by=group_by,
        params=params,
        subjects=subjects,
        start=start,
        images=images,
    )
    if name:
        check_fit_name(asked.folder, name, (*plugin_names(models), *RESERVED))
    say(f"{model} on {' + '.join(e.name for e in asked.entries)}, {backend_on(devices)}")
    print_missing_classes([one for group in asked.groups for one in group])
    asked, together = with_tests(asked, data), len(asked.groups[0]) > 1
    folders = []

    def report(_: int, fitted: list[tuple[str, int, Path]]) -> None:
        whom, _, folder = fitted[0]
        whither = folder if together else folder / whom
        say(f"{whom}: {sum(count for _, count, _ in fitted)} models fitted -> {whither}")
        folders.append(folder)

    costs = planned(asked.out / "rates", partial(fit_costs, asked))
    share(where, place_of(device), asked.run(costs), asked.units(), asked, report)
    if name:
        # Another command may have taken it since.
        check_fit_name(folders[0], name)
        write_fit_name(folders[0], name)
        say(f"{folders[0]}: is called {name}")
    return folders[0]

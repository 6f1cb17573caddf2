"""`python -m regress`: fit the models of a request, and report the fit."""

from functools import partial
from pathlib import Path
from typing import Any

from base import convert_paths, plugin_names, say
from challenge import SubjectChoice
from regress.errors import RegressError

# Words that select fits, besides the names of models; no fit may be called so.
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
    """Fit one model per ROI and hemisphere of each subject; skip models that exist already.

    Parameters
    ----------
    data : Path
        The challenge directory, with subj01, subj02 …
    out : Path
        The folder of all results.
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
        several with commas, cuda:0,cuda:1, share the subjects' hemispheres, one process each.
    heldout : float
        Share of the training pictures that are held out to score the models.
    folds : int
        Folds of the cross-validation that chooses the penalties.
    seed : int
        Seed of the held-out pictures and of the folds.
    group_by : str
        Vertices that choose or train together: roi, roi-both-hemispheres, class,
        class-both-hemispheres, hemisphere or brain. It changes nothing for a model that chooses
        for each vertex alone, as ridge does unless --params.scope roi is given.
    params : dict
        Parameters of the model, for example --params.n_iter 50.
    subjects : list of str
        Numbers of subjects to train together, or all; in place of --subject, for trained models.
        They share the weights of each group of vertices, and each subject has its own readouts.
    start : Path
        A fit of the same model, of these or other subjects, that the training begins from: its
        folder, its name, or the beginning of its folder's name; followed by /subj01 where several
        subjects were fitted, each alone. --params.freeze true trains only the weights of single
        vertices.
    images : int
        Number of training pictures of each subject to fit on, the first that are not held out; all
        by default.
    name : str
        A name for the fit, unique among the fits in OUT: tables show it, and --fits and --start
        take it. An existing fit is renamed. By default the name is that of the folder.
    executor : str
        local, or slurm to run in jobs of a cluster, which this command waits for.
    cluster : Path
        For slurm: a YAML file with partition, time, memory, cpus, gpus, account, setup …

    Returns
    -------
    Path
        The folder of the fit.

    Raises
    ------
    RegressError
        If no space is named, or a model that is solved gets --subjects or --start.
    CacheError
        If another fit has the name, or it is not allowed.

    Examples
    --------
    >>> fit("data", subject="01", model="ridge", spaces=["alexnet"], device="cpu")
    ridge on alexnet, on cpu
    ...Path('derivatives/fits/ridge-...')
    """
    # scikit-learn and himalaya take seconds to import, which would delay --help and Ctrl-C.
    from cache import check_fit_name, write_fit_name
    from challenge.inputs import print_missing_classes
    from execute import choose_executor, share
    from regress import models
    from regress.backend import choose_devices, describe_devices, make_place
    from regress.data.design import find_spaces
    from regress.fitting.request_checks import add_test_pictures, make_request

    if not spaces:
        raise RegressError("--spaces: none given; for example --spaces clip alexnet")
    runner = choose_executor(executor, cluster, "fit", data)
    # Devices of another machine are chosen there.
    devices = choose_devices(device) if runner.is_local else []
    request = make_request(
        data,
        out,
        lambda store: find_spaces(store, names=spaces),
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
        check_fit_name(request.folder, name, (*plugin_names(models), *RESERVED))
    say(f"{model} on {' + '.join(e.name for e in request.entries)}, {describe_devices(devices)}")
    print_missing_classes([s for group in request.groups for s in group])
    request, together = add_test_pictures(request, data), len(request.groups[0]) > 1
    folders: list[Path] = []

    def report(_: int, fitted: list[tuple[str, int, Path]]) -> None:
        label, _, folder = fitted[0]
        destination = folder if together else folder / label
        say(f"{label}: {sum(count for _, count, _ in fitted)} models fitted -> {destination}")
        folders.append(folder)

    planned = None
    if (request.out / "rates").is_dir():
        from execute.forecast.rates import planned_costs
        from regress.cost import fit_costs

        planned = planned_costs(request.out / "rates", partial(fit_costs, request))
    share(runner, make_place(device), request.run(planned), request.units(), request, report)
    if name:
        # Another command may have taken the name since.
        check_fit_name(folders[0], name)
        write_fit_name(folders[0], name)
        say(f"{folders[0]}: is called {name}")
    return folders[0]

"""`python -m regress`: fit the models of a request, and report the fit."""

from functools import partial
from pathlib import Path

from base import convert_paths, plugin_names, say
from base.command_line.calls import spread_options
from regress.fit_options import FitOptions

# Words that select fits, besides the names of models; no fit may be called so.
RESERVED = ("all", "ensemble")


@convert_paths
@spread_options
def fit(
    options: FitOptions,
    name: str = "",
    executor: str = "local",
    cluster: Path | None = None,
) -> Path:
    """Fit one model per ROI and hemisphere of each subject; skip models that exist already.

    Parameters
    ----------
    options : FitOptions
        What to fit, on what, and where.
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
    from challenge.dataset import print_missing_classes
    from execute import choose_executor, share
    from regress import models
    from regress.backend import choose_devices, describe_devices, make_place
    from regress.fitting.request_checks import add_test_pictures, make_request

    runner = choose_executor(executor, cluster, "fit", options.data)
    # Devices of another machine are chosen there.
    devices = choose_devices(options.device) if runner.is_local else []
    request = make_request(options)
    if name:
        from cache import check_fit_name, write_fit_name

        check_fit_name(request.folder, name, (*plugin_names(models), *RESERVED))
    spaces = " + ".join(entry.name for entry in request.entries)
    say(f"{options.model} on {spaces}, {describe_devices(devices)}")
    print_missing_classes([s for group in request.groups for s in group])
    request, together = add_test_pictures(request, options.data), len(request.groups[0]) > 1
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
    run, place = request.run(planned), make_place(options.device)
    share(runner, place, run, request.units(), request, report)
    if name:
        # Another command may have taken the name since.
        check_fit_name(folders[0], name)
        write_fit_name(folders[0], name)
        say(f"{folders[0]}: is called {name}")
    return folders[0]

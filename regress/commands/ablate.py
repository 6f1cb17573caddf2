"""`python -m regress.ablate`: fit ridge on every subset of the feature spaces, and save the scores.

`python -m evaluate ablation` makes the table and the figure; `make ablate` runs both.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from base import convert_paths, provenance, run_hint, say
from challenge import SubjectChoice, find_subjects

if TYPE_CHECKING:
    from execute import Cost
    from execute.forecast.rates import Rates

# Spaces, subsets and settings of the last command.
LAST = "last.h5"


@convert_paths
def ablate(
    data: Path = Path("data"),
    out: Path = Path("derivatives"),
    subject: SubjectChoice = "all",
    spaces: list[str] = ["clip", "alexnet", "sam"],  # noqa: B006
    only: list[str] = [],  # noqa: B006
    device: str = "auto",
    heldout: float = 0.1,
    folds: int = 5,
    seed: int = 0,
    split: str = "auto",
    executor: str = "local",
    cluster: Path | None = None,
) -> None:
    """Fit ridge on every subset of the feature spaces, and score it on pictures not fitted on.

    Parameters
    ----------
    data : Path
        The challenge directory, with subj01, subj02 …
    out : Path
        The folder of all results; `ablations` in it gets the scores.
    subject : str, int or sequence of them
        "all", or the numbers of one or several: "01", "01 02".
    spaces : list of str
        Feature spaces, computed before with `python -m extract`. A space of several layers counts
        as one; to compare layers, extract each as a space.
    only : list of str
        Subsets to fit, as SPACE+SPACE; every subset otherwise.
    device : str
        auto (a GPU if torch sees one), cpu, cuda, cuda:N, or torch (the GPU's code on the CPU);
        several with commas, cuda:0,cuda:1, share the subjects, one process each.
    heldout : float
        Share of the training pictures that no subset is fitted on.
    folds : int
        Folds of the cross-validation that chooses the penalties.
    seed : int
        Seed of the held-out pictures and of the folds.
    split : str
        Pictures to score: "test", "heldout" training pictures, or "auto" for test pictures where
        all subjects have test responses.
    executor : str
        local, or slurm to run in jobs of a cluster, which this command waits for.
    cluster : Path
        For slurm: a YAML file with partition, time, memory, cpus, gpus, account, setup …
    """
    # scikit-learn and himalaya take seconds to import, which would delay --help and Ctrl-C.
    from cache import FeatureStore, write_artifact
    from challenge.dataset import check_training_data
    from execute import choose_executor, share
    from execute.forecast.rates import planned_costs
    from regress.ablation.subsets import list_subsets
    from regress.ablation.work import AblationWork, Files, choose_split
    from regress.backend import choose_devices, describe_devices, make_place
    from regress.data.design import find_bands, find_spaces

    runner = choose_executor(executor, cluster, "ablate", data)
    # Devices of another machine are chosen there.
    devices = choose_devices(device) if runner.is_local else []
    store = FeatureStore(out / "features")
    subjects = find_subjects(data, subject)
    check_training_data(subjects)
    entries = find_spaces(store, spaces)
    subsets = list_subsets([entry.name for entry in entries], only)
    say(f"{len(subsets)} subsets of {len(entries)} spaces, {describe_devices(devices)}")
    settings = {"heldout": heldout, "folds": folds, "seed": seed}
    folder, scored = out / "ablations", choose_split(split, subjects)
    work = AblationWork(subjects, store, entries, subsets, settings, folder, scored)
    files: dict[str, Files] = {}

    def report(number: int, results: list[Files]) -> None:
        (files[subjects[number].name],) = results

    def costs(rates: "Rates") -> "list[list[Cost]]":
        from regress.cost import ablate_costs

        units = ablate_costs(subjects, entries, subsets, rates, folds, heldout)
        return [[cost] for cost in units]

    groups = [[f"subj{s.name}"] for s in subjects]
    run = work.run(out, groups, planned_costs(out / "rates", costs))
    share(runner, make_place(device), run, groups, work, report)
    # The folder holds scores of all commands: record those of this one.
    write_artifact(
        folder / LAST,
        {},
        {
            "kind": "ablations",
            "key": {"spaces": [band.key for band in find_bands(entries, layers=False)]},
            "spaces": [entry.name for entry in entries],
            "subsets": [list(subset) for subset in subsets],
            "split": scored,
            "settings": settings,
            "files": dict(sorted(files.items())),
            "untrained": [entry.name for entry in entries if entry.untrained],
            "provenance": provenance(),
        },
    )
    say(f"-> {folder} (table and figure: {run_hint('evaluate ablation', out=out)})")


EXAMPLES = ["python -m regress.ablate --subject 01 --spaces clip alexnet sam"]

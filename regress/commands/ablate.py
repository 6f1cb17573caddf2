"""`python -m regress.ablate`: fit ridge on every subset of the feature spaces, and save the scores.

`python -m evaluate ablation` makes the table and the figure; `make ablate` runs both.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from base import convert_paths, provenance, run_hint, say, taking_turns
from cache import Entry, FeatureStore, digest, write_artifact
from challenge import Subject, SubjectChoice, find_subjects
from challenge.inputs import check_training_data
from execute import Cost, Run, choose_executor, planned_costs, share
from execute.forecast.rates import Rates
from execute.work import Groups
from regress.ablation.subsets import Subset, list_subsets
from regress.ablation.variance_partition import Plan, ablate_subject
from regress.backend import choose_devices, describe_devices, make_place
from regress.costs.solved_models import ablate_costs
from regress.data.design import find_bands, find_spaces, load_design
from regress.errors import RegressError

# Spaces, subsets and settings of the last command.
LAST = "last.h5"
SPLITS = ("auto", "test", "heldout")
Files = dict[str, list[str]]


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
    folder, scored = out / "ablations", _choose_split(split, subjects)
    work = _AblationWork(subjects, store, entries, subsets, settings, folder, scored)
    files: dict[str, Files] = {}

    def report(number: int, results: list[Files]) -> None:
        (files[subjects[number].name],) = results

    groups = [[f"subj{s.name}"] for s in subjects]
    share(runner, make_place(device), work.run(out, groups), groups, work, report)
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


def _choose_split(split: str, subjects: Sequence[Subject]) -> str:
    """Return the split to score, the same for all subjects."""
    if split not in SPLITS:
        raise RegressError(f"--split: found {split!r}, expected one of {', '.join(SPLITS)}")
    without_test = [s.name for s in subjects if not s.has_test_responses]
    if split == "test" and without_test:
        raise RegressError(
            f"--split test: no test responses of subjects {', '.join(without_test)}: use "
            "--split heldout"
        )
    return "heldout" if split == "heldout" or without_test else "test"


@dataclass(frozen=True)
class _AblationWork:
    """Ablations of subjects, one unit each, that any process can run."""

    subjects: Sequence[Subject]
    store: FeatureStore
    entries: Sequence[Entry]
    subsets: Sequence[Subset]
    settings: dict[str, Any]
    folder: Path
    split: str

    def run(self, out: Path, groups: Groups) -> Run:
        """Describe the ablations for `python -m execute`."""
        spaces = [entry.digest for entry in self.entries]
        subset_names = ["+".join(map(str, subset)) for subset in self.subsets]
        data = [str(s.folder.absolute()) for s in self.subjects]
        contents = {"spaces": spaces, "wanted": subset_names, "units": groups, "data": data,
                 "split": self.split}  # fmt: skip
        key = digest({**self.settings, **contents})
        label = f"{len(subset_names)} subsets of {' + '.join(entry.name for entry in self.entries)}"
        costs = planned_costs(out / "rates", self._costs)
        return Run(out / "runs" / f"ablate-{key}", "ablate", label, sys.orig_argv, costs)

    def _costs(self, rates: Rates) -> list[list[Cost]]:
        folds, heldout = self.settings["folds"], self.settings["heldout"]
        costs = ablate_costs(self.subjects, self.entries, self.subsets, rates, folds, heldout)
        return [[cost] for cost in costs]

    def __call__(self, number: int, units: Iterator[int]) -> Files:
        """Score the subsets for a subject; its hemispheres share sums, and so are one unit."""
        subject = self.subjects[number]
        claims = self.folder.parent / "claims"
        with closing(taking_turns(units, lambda _: claims / f"ablate-subj{subject.name}")) as turns:
            for _ in turns:
                design = load_design(subject, self.store, self.entries, layers=False)
                plan = Plan(subject, design, self.subsets, self.settings, self.folder, self.split)
                files = ablate_subject(plan)
        return files


EXAMPLES = ["python -m regress.ablate --subject 01 --spaces clip alexnet sam"]

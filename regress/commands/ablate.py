"""`python -m regress.ablate`: ridge on every subset of the feature spaces, scored and kept.

`python -m evaluate ablation` makes the table and the figure, as `make ablate` does after this.
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
from execute import Cost, Run, choose_executor, planned, share
from execute.forecast.rates import Rates
from execute.work import Groups
from regress.ablation.subsets import Subset, subsets
from regress.ablation.variance_partition import Plan, ablate_subject
from regress.backend import backend_on, choose_devices, place_of
from regress.costs.units import ablate_costs
from regress.data.design import find_bands, find_spaces, load_design
from regress.errors import RegressError

# What the last call was asked for.
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
    """Fit ridge on every subset of the feature spaces, and score it where no fit has seen.

    Parameters
    ----------
    data : Path
        The challenge directory, with subj01, subj02 …
    out : Path
        The folder of everything that is made; `ablations` in it gets the scores.
    subject : str, int or sequence of them
        "all", or the numbers of one or several: "01", "01 02".
    spaces : list of str
        Feature spaces, computed before with `python -m extract`. Each counts once, also one of
        several layers: to tell layers apart, give them as spaces of their own.
    only : list of str
        Only these, as SPACE+SPACE; every subset otherwise.
    device : str
        auto (a GPU if torch sees one), cpu, cuda, cuda:N, or torch (the GPU's code on the CPU);
        several with commas, cuda:0,cuda:1, share the subjects, a process each.
    heldout : float
        Share of the training pictures that no subset is fitted on.
    folds : int
        Folds of the cross-validation that chooses the penalties.
    seed : int
        Of the held-out pictures and the folds.
    split : str
        "test" responses, "heldout" training pictures, or "auto": test where there are responses.
    executor : str
        local, or slurm: in jobs of a cluster, which this command waits for.
    cluster : Path
        For slurm: a YAML file with partition, time, memory, cpus, gpus, account, setup …
    """
    where = choose_executor(executor, cluster, "ablate", data)
    # Those of another machine are chosen there.
    devices = choose_devices(device) if where.is_local else []
    store = FeatureStore(out / "features")
    subjects = find_subjects(data, subject)
    check_training_data(subjects)
    entries = find_spaces(store, spaces)
    wanted = subsets([entry.name for entry in entries], only)
    say(f"{len(wanted)} subsets of {len(entries)} spaces, {backend_on(devices)}")
    settings = {"heldout": heldout, "folds": folds, "seed": seed}
    folder, scored = out / "ablations", _split_of(split, subjects)
    asked = _Asked(subjects, store, entries, wanted, settings, folder, scored)
    files: dict[str, Files] = {}

    def report(number: int, found: list[Files]) -> None:
        (files[subjects[number].name],) = found

    groups = [[f"subj{one.name}"] for one in subjects]
    share(where, place_of(device), asked.run(out, groups), groups, asked, report)
    # What this command was asked for, among all that is kept there.
    write_artifact(
        folder / LAST,
        {},
        {
            "kind": "ablations",
            "key": {"spaces": [band.key for band in find_bands(entries, layers=False)]},
            "spaces": [entry.name for entry in entries],
            "subsets": [list(subset) for subset in wanted],
            "split": scored,
            "settings": settings,
            "files": dict(sorted(files.items())),
            "untrained": [entry.name for entry in entries if entry.untrained],
            "provenance": provenance(),
        },
    )
    say(f"-> {folder} (table and figure: {run_hint('evaluate ablation', out=out)})")


def _split_of(split: str, subjects: Sequence[Subject]) -> str:
    """Choose the pictures to score, the same for all subjects."""
    if split not in SPLITS:
        raise RegressError(f"--split: found {split!r}, expected one of {', '.join(SPLITS)}")
    lacking = [one.name for one in subjects if not one.has_test_responses]
    if split == "test" and lacking:
        raise RegressError(
            f"--split test: no test responses of subjects {', '.join(lacking)}: use --split heldout"
        )
    return "heldout" if split == "heldout" or lacking else "test"


@dataclass(frozen=True)
class _Asked:
    """Ablations of subjects, which any process can do some of."""

    subjects: Sequence[Subject]
    store: FeatureStore
    entries: Sequence[Entry]
    wanted: Sequence[Subset]
    settings: dict[str, Any]
    folder: Path
    split: str

    def run(self, out: Path, groups: Groups) -> Run:
        """Say what is asked, for those who look on."""
        spaces = [entry.digest for entry in self.entries]
        wanted = ["+".join(map(str, subset)) for subset in self.wanted]
        data = [str(one.folder.absolute()) for one in self.subjects]
        asked = {"spaces": spaces, "wanted": wanted, "units": groups, "data": data,
                 "split": self.split}  # fmt: skip
        key = digest({**self.settings, **asked})
        label = f"{len(wanted)} subsets of {' + '.join(entry.name for entry in self.entries)}"
        costs = planned(out / "rates", self._costs)
        return Run(out / "runs" / f"ablate-{key}", "ablate", label, sys.orig_argv, costs)

    def _costs(self, rates: Rates) -> list[list[Cost]]:
        folds, heldout = self.settings["folds"], self.settings["heldout"]
        found = ablate_costs(self.subjects, self.entries, self.wanted, rates, folds, heldout)
        return [[cost] for cost in found]

    def __call__(self, number: int, units: Iterator[int]) -> Files:
        """Score the subsets for a subject: one unit, as its hemispheres share sums."""
        one = self.subjects[number]
        claims = self.folder.parent / "claims"
        with closing(taking_turns(units, lambda _: claims / f"ablate-subj{one.name}")) as turns:
            for _ in turns:
                design = load_design(one, self.store, self.entries, layers=False)
                plan = Plan(one, design, self.wanted, self.settings, self.folder, self.split)
                files = ablate_subject(plan)
        return files


EXAMPLES = ["python -m regress.ablate --subject 01 --spaces clip alexnet sam"]

"""`python -m regress.ablate`: what each feature space contributes, for every subset of them."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from base import convert_paths, replacing, say, taking_turns
from base.command import run
from cache import Entry, FeatureStore, digest
from challenge import Subject, SubjectChoice, find_subjects
from challenge.inputs import check_fitted
from execute import Cost, Run, choose_executor, planned, share
from execute.rates import Rates
from execute.work import Groups
from regress.ablation import Subset, subsets
from regress.cost import ablate_costs
from regress.design import find_spaces, load_design
from regress.device import backend_on, choose_devices, place_of
from regress.partition import Plan, ablate_subject


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
    executor: str = "local",
    cluster: Path | None = None,
) -> None:
    """Fit ridge on every subset of the feature spaces; say what each space contributes.

    Parameters
    ----------
    data : Path
        The challenge directory, with subj01, subj02 …
    out : Path
        The folder of everything that is made; ablation.csv is written there.
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
        Share of the training pictures that the subsets are judged on.
    folds : int
        Folds of the cross-validation that chooses the penalties.
    seed : int
        Of the held-out pictures and the folds.
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
    check_fitted(subjects)
    entries = find_spaces(store, spaces)
    wanted = subsets([entry.name for entry in entries], only)
    say(f"{len(wanted)} subsets of {len(entries)} spaces, {backend_on(devices)}")
    settings = {"heldout": heldout, "folds": folds, "seed": seed}
    asked = _Asked(subjects, store, entries, wanted, settings, out / "ablations")
    tables: dict[int, pd.DataFrame] = {}

    def report(number: int, found: list[pd.DataFrame]) -> None:
        (tables[number],) = found

    groups = [[f"subj{one.name}"] for one in subjects]
    share(where, place_of(device), asked.run(out, groups), groups, asked, report)
    table = pd.concat([tables[number] for number in sorted(tables)], ignore_index=True)
    path = out / "ablation.csv"
    with replacing(path) as temporary:
        table.to_csv(temporary, index=False)
    for line in _summary(table):
        say(line)
    simulated = [one.name for one in subjects if one.simulated]
    if simulated:
        say(f"the responses are SIMULATED, subjects: {', '.join(simulated)}")
    untrained = [entry.name for entry in entries if entry.untrained]
    if untrained:
        say(f"UNTRAINED features: {', '.join(untrained)}")
    say(f"-> {path}")


@dataclass(frozen=True)
class _Asked:
    """Ablations of subjects, which any process can do some of."""

    subjects: Sequence[Subject]
    store: FeatureStore
    entries: Sequence[Entry]
    wanted: Sequence[Subset]
    settings: dict[str, Any]
    folder: Path

    def run(self, out: Path, groups: Groups) -> Run:
        """Say what is asked, for those who look on."""
        spaces = [entry.digest for entry in self.entries]
        wanted = ["+".join(map(str, subset)) for subset in self.wanted]
        data = [str(one.folder.absolute()) for one in self.subjects]
        asked = {"spaces": spaces, "wanted": wanted, "units": groups, "data": data}
        key = digest({**self.settings, **asked})
        label = f"{len(wanted)} subsets of {' + '.join(entry.name for entry in self.entries)}"
        costs = planned(out / "rates", self._costs)
        return Run(out / "runs" / f"ablate-{key}", "ablate", label, sys.orig_argv, costs)

    def _costs(self, rates: Rates) -> list[list[Cost]]:
        folds, heldout = self.settings["folds"], self.settings["heldout"]
        found = ablate_costs(self.subjects, self.entries, self.wanted, rates, folds, heldout)
        return [[cost] for cost in found]

    def __call__(self, number: int, units: Iterator[int]) -> pd.DataFrame:
        """Score the subsets for a subject: one unit, as its hemispheres share sums."""
        one = self.subjects[number]
        claims = self.folder.parent / "claims"
        with closing(taking_turns(units, lambda _: claims / f"ablate-subj{one.name}")) as turns:
            for _ in turns:
                design = load_design(one, self.store, self.entries, layers=False)
                plan = Plan(one, design, self.wanted, self.settings, self.folder)
                table = ablate_subject(plan)
        return table


def _summary(table: pd.DataFrame) -> list[str]:
    """Average over vertices, per ROI class: R^2 of each subset, then the contributions."""
    subsets = {name: _weighted(rows, ["r2"]) for name, rows in table.groupby("spaces", sort=False)}
    means = pd.concat(subsets, axis=1).droplevel(1, axis=1)
    columns = [str(column) for column in table]
    parts = [c for c in columns if c == "shared" or c.startswith(("unique:", "product:"))]
    # Only the rows of the whole set have them.
    whole = table[table[parts[-1]].notna()]
    return [
        "",
        "R^2 on held-out pictures, the mean over vertices (not noise-normalised)",
        *_lines(means),
        "",
        "contributions: unique and shared parts of that R^2; product: parts of the correlation",
        *_lines(_weighted(whole, parts)),
    ]


def _weighted(rows: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    # The mean over vertices of each ROI class, from the means of its ROIs.
    weights = rows["n_vertices"]
    sums = rows[columns].mul(weights, axis=0).groupby(rows["roi_class"], sort=False).sum()
    return sums.div(weights.groupby(rows["roi_class"], sort=False).sum(), axis=0)


def _lines(frame: pd.DataFrame) -> list[str]:
    frame = frame.rename_axis(index=None, columns=None)
    names = {column: f"({number})" for number, column in enumerate(frame, start=1)}
    legend = [f"  {short} {column}" for column, short in names.items()]
    return [*legend, *frame.rename(columns=names).round(4).to_string().splitlines()]


EXAMPLES = ["python -m regress.ablate --subject 01 --spaces clip alexnet sam"]

if __name__ == "__main__":
    sys.exit(run(ablate, "regress.ablate", EXAMPLES))

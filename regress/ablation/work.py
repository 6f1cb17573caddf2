"""The work of an ablation: the subsets of each subject, a unit that any process can run."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from base import taking_turns
from cache import Entry, FeatureStore, digest
from challenge import Subject
from execute import Cost, Run
from execute.work import Groups
from regress.ablation.subsets import Subset
from regress.ablation.variance_partition import Plan, ablate_subject
from regress.data.design import load_design
from regress.errors import RegressError

SPLITS = ("auto", "test", "heldout")
Files = dict[str, list[str]]


def choose_split(split: str, subjects: Sequence[Subject]) -> str:
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
class AblationWork:
    """Ablations of subjects, one unit each, that any process can run."""

    subjects: Sequence[Subject]
    store: FeatureStore
    entries: Sequence[Entry]
    subsets: Sequence[Subset]
    settings: dict[str, Any]
    folder: Path
    split: str

    def run(self, out: Path, groups: Groups, costs: list[list[Cost]] | None) -> Run:
        """Describe the ablations for `python -m execute`."""
        spaces = [entry.digest for entry in self.entries]
        subset_names = ["+".join(map(str, subset)) for subset in self.subsets]
        data = [str(s.folder.absolute()) for s in self.subjects]
        contents = {"spaces": spaces, "wanted": subset_names, "units": groups, "data": data,
                 "split": self.split}  # fmt: skip
        key = digest({**self.settings, **contents})
        label = f"{len(subset_names)} subsets of {' + '.join(entry.name for entry in self.entries)}"
        return Run(out / "runs" / f"ablate-{key}", "ablate", label, sys.orig_argv, costs)

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

"""What one command asks to be fitted: of which subjects, on what, and how it divides."""

import sys
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cache import Entry, FeatureStore, digest
from challenge import Roi, Subject
from execute import Cost, Run
from execute.work import Mapped
from regress.data.design import empty_design, load_design
from regress.data.vertex_columns import spans
from regress.encoding_model import Encoder
from regress.fitting.fit import fit_subjects
from regress.fitting.settings import Job, Settings
from regress.fitting.up_to_date import Present

if TYPE_CHECKING:
    from regress.fitting.warm_start import Start


@dataclass(frozen=True)
class Asked:
    """Fits of subjects, each alone or several together, which any process can do a part of.

    Attributes
    ----------
    groups : sequence of sequence of Subject
        Who are fitted together.
    store : FeatureStore
        Where the features lie.
    entries : sequence of Entry
        The feature spaces.
    settings : Settings
        The settings.
    estimator : Encoder
        Unfitted.
    out : Path
        The folder of everything that is made.
    begun : Start, optional
        What a training begins from.
    tests : collection of str
        Test pictures that none may be fitted on, as for `fit_subjects`.
    """

    groups: Sequence[Sequence[Subject]]
    store: FeatureStore
    entries: Sequence[Entry]
    settings: Settings
    estimator: Encoder
    out: Path
    begun: "Start | None"
    tests: Collection[str]

    def units(self) -> list[list[str]]:
        """Name what is fitted in one go: of each group, one or both hemispheres."""
        return [
            [f"subj{'+'.join(one.name for one in group)} {'+'.join(span)}" for span in self._spans]
            for group in self.groups
        ]

    def __call__(self, number: int, units: Iterator[int]) -> tuple[str, int, Path]:
        """Fit what is missing of some units of a group."""
        jobs = [self._job(one) for one in self.groups[number]]
        some = Mapped(units, lambda unit: self._spans[unit])
        fitted = fit_subjects(jobs, self.begun, self.tests, some)
        return jobs[0].whom, fitted, jobs[0].folder

    def existing_result(self, number: int, unit: int) -> tuple[str, int, Path] | None:
        """Return what `__call__` would give for a unit of which all models are there.

        Returns
        -------
        tuple or None
            Of which nobody was fitted. None: there is something to do.
        """
        if any(self.missing(number, unit)):
            return None
        return f"subj{'+'.join(one.name for one in self.groups[number])}", 0, self.folder

    def missing(self, number: int, unit: int) -> list[list[Roi]]:
        """List what `__call__` would fit of a unit; no features are read."""
        group, span = self.groups[number], self._spans[unit]
        folders = [self.folder / f"subj{subject.name}" for subject in group]
        if not any(any(folder.glob("[!.]*.h5")) for folder in folders):
            # Nothing to compare, so nothing is digested.
            return [[roi for h in span for roi in subject.regions(h)] for subject in group]
        designs = [empty_design(subject, self.entries, named=True) for subject in group]
        presents = [
            Present(Job(subject, design, self.settings, self.estimator, self.folder), span)
            for subject, design in zip(group, designs, strict=True)
        ]
        for present, design in zip(presents, designs, strict=True):
            unseen = set(design.training_pictures).intersection(self.tests)
            present.join(presents, unseen)
        return [present.missing() for present in presents]

    def run(self, costs: list[list[Cost]] | None) -> Run:
        """Describe the request for `python -m execute`.

        Parameters
        ----------
        costs : list of list of Cost, optional
            The costs of each unit of each group, where they were planned.
        """
        label = f"{self.settings.model} on {' + '.join(entry.name for entry in self.entries)}"
        # The same fits of other data are another request.
        data = sorted({str(one.folder.absolute()) for group in self.groups for one in group})
        asked = {"folder": self.folder.name, "units": self.units(), "data": data}
        name = f"fit-{digest(asked)}"
        return Run(self.out / "runs" / name, "fit", label, sys.orig_argv, costs)

    @property
    def folder(self) -> Path:
        """The folder of these fits: `fits/<model>-<digest>`."""
        keys = {entry.name: entry.digest for entry in self.entries}
        return self.out / "fits" / f"{self.settings.model}-{self.settings.digest(keys)}"

    @property
    def _spans(self) -> list[tuple[str, ...]]:
        return spans(self.settings.group_by)

    def _job(self, one: Subject) -> Job:
        design = load_design(one, self.store, self.entries)
        if "bands" in self.estimator.get_params():
            self.estimator.set_params(bands=design.bands)
        return Job(one, design, self.settings, self.estimator, self.folder)

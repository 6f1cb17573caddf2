"""A request of one command: the subjects, features and model to fit, and its units of work."""

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
from regress.fitting.up_to_date import ModelFiles

if TYPE_CHECKING:
    from regress.fitting.warm_start import Start


@dataclass(frozen=True)
class FitRequest:
    """Fits of subjects, alone or together, divided into units that any process can run.

    Attributes
    ----------
    groups : sequence of sequence of Subject
        Subjects of one group are trained together.
    store : FeatureStore
        The cache that holds the features.
    entries : sequence of Entry
        The feature spaces.
    settings : Settings
        Everything besides the data that changes the numbers.
    estimator : Encoder
        The unfitted model.
    out : Path
        The folder of all results.
    start : Start, optional
        The fit that the training begins from.
    tests : collection of str
        The sha256 of test pictures that no model may be fitted on, as for `fit_subjects`.
    """

    groups: Sequence[Sequence[Subject]]
    store: FeatureStore
    entries: Sequence[Entry]
    settings: Settings
    estimator: Encoder
    out: Path
    start: "Start | None"
    tests: Collection[str]

    def units(self) -> list[list[str]]:
        """Name the units of each group: one unit per span of hemispheres."""
        spans = ["+".join(span) for span in self._spans]
        names = [_group_name(group) for group in self.groups]
        return [[f"{name} {span}" for span in spans] for name in names]

    def __call__(self, number: int, units: Iterator[int]) -> tuple[str, int, Path]:
        """Fit the missing models of some units of a group."""
        jobs = [self._job(subject) for subject in self.groups[number]]
        selection = Mapped(units, lambda unit: self._spans[unit])
        n_fitted = fit_subjects(jobs, self.start, self.tests, selection)
        return jobs[0].subject_label, n_fitted, jobs[0].folder

    def existing_result(self, number: int, unit: int) -> tuple[str, int, Path] | None:
        """Return what `__call__` returns for a complete unit; None if a model is missing."""
        if any(self.missing(number, unit)):
            return None
        return _group_name(self.groups[number]), 0, self.folder

    def missing(self, number: int, unit: int) -> list[list[Roi]]:
        """List the ROIs of each subject that a unit would fit; no features are read."""
        group, span = self.groups[number], self._spans[unit]
        folders = [self.folder / f"subj{subject.name}" for subject in group]
        if not any(any(folder.glob("[!.]*.h5")) for folder in folders):
            # Without any file to compare with, no data need to be digested.
            return [[roi for h in span for roi in subject.regions(h)] for subject in group]
        designs = [empty_design(subject, self.entries, read_pictures=True) for subject in group]
        all_files = [
            ModelFiles(Job(subject, design, self.settings, self.estimator, self.folder), span)
            for subject, design in zip(group, designs, strict=True)
        ]
        for files, design in zip(all_files, designs, strict=True):
            unseen = set(design.training_pictures).intersection(self.tests)
            files.join(all_files, unseen)
        return [files.missing() for files in all_files]

    def run(self, costs: list[list[Cost]] | None = None) -> Run:
        """Describe the request for `python -m execute`.

        Parameters
        ----------
        costs : list of list of Cost, optional
            Forecast of each unit of each group.
        """
        label = f"{self.settings.model} on {' + '.join(entry.name for entry in self.entries)}"
        # The same fits on other data are another request.
        data = sorted({str(s.folder.absolute()) for group in self.groups for s in group})
        contents = {"folder": self.folder.name, "units": self.units(), "data": data}
        name = f"fit-{digest(contents)}"
        return Run(self.out / "runs" / name, "fit", label, sys.orig_argv, costs)

    @property
    def folder(self) -> Path:
        """The folder of these fits: `fits/<model>-<digest>`."""
        keys = {entry.name: entry.digest for entry in self.entries}
        return self.out / "fits" / f"{self.settings.model}-{self.settings.digest(keys)}"

    @property
    def _spans(self) -> list[tuple[str, ...]]:
        return spans(self.settings.group_by)

    def _job(self, subject: Subject) -> Job:
        design = load_design(subject, self.store, self.entries)
        if "bands" in self.estimator.get_params():
            self.estimator.set_params(bands=design.bands)
        return Job(subject, design, self.settings, self.estimator, self.folder)


def _group_name(group: Sequence[Subject]) -> str:
    return f"subj{'+'.join(subject.name for subject in group)}"

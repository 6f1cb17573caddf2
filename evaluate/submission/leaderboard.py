"""Scores of a submission, from single vertices to the mean over all of them."""

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from base import progress
from challenge import HEMISPHERES, ROI_CLASSES, Subject
from evaluate.arrays import Indices
from evaluate.errors import EvaluateError
from evaluate.scoring.vertex_scores import Tally, pool, score_vertices
from evaluate.submission.expected_files import list_expected
from evaluate.submission.other_benchmarks import DEFINITIONS, Part
from evaluate.submission.zip_reader import locate, read_array

Key = tuple[str, str]
WHOLE: Key = ("all", "all")
"""All vertices, beside ROI classes and ROIs."""


@dataclass
class SubmissionScores:
    """Scores of a submission."""

    # For each subject's folder and hemisphere, the tally of each ROI class and ROI.
    tallies: dict[Key, dict[Key, Tally]] = field(default_factory=dict)
    # With the same keys, r and noise ceiling of each vertex; empty without ceilings.
    parts: dict[Key, dict[Key, Part]] = field(default_factory=dict)

    def mean(
        self, metric: str, side: str = "all", roi: Key = WHOLE, folder: str = "all"
    ) -> float | None:
        """Return the mean of a metric over the vertices that count, not over subjects.

        It is None if there are no such vertices, or no ceilings.
        """
        tally = self.tally(side, roi, folder)
        return None if tally is None else tally.mean(metric)

    def tally(self, side: str = "all", roi: Key = WHOLE, folder: str = "all") -> Tally | None:
        """Return the tally of a ROI, pooled over the subjects and hemispheres that are named."""
        parts = [
            tallies[roi]
            for (subject, hemisphere), tallies in self.tallies.items()
            if folder in (subject, "all") and side in (hemisphere, "all") and roi in tallies
        ]
        return pool(parts) if parts else None

    def define(self, name: str, roi: Key = WHOLE) -> float | None:
        """Return the score of all subjects by another benchmark's definition.

        It is None if a subject has no ceilings, or no vertex counts.
        """
        if len(self.parts) < len(self.tallies):
            return None
        whole = []
        for subject in self.subjects:
            sides = [self.parts[subject, side].get(roi) for side in HEMISPHERES]
            if present := [part for part in sides if part is not None]:
                r, ceiling = (np.concatenate(arrays) for arrays in zip(*present, strict=True))
                whole.append((r, ceiling))
        return DEFINITIONS[name](whole) if whole else None

    @property
    def rois(self) -> list[Key]:
        """ROI classes and ROIs, class by class, each class as a whole last."""
        rois = {roi for tallies in self.tallies.values() for roi in tallies} - {WHOLE}
        order = [(c, name) for c, names in ROI_CLASSES.items() for name in (*names, "all")]
        return [roi for roi in order if roi in rois] + sorted(rois - set(order))

    @property
    def subjects(self) -> list[str]:
        """The subjects' folders."""
        return list(dict.fromkeys(subject for subject, _ in self.tallies))


def score_submission(
    submission: Path, subjects: Sequence[Subject], with_rois: Sequence[Subject] = ()
) -> SubmissionScores:
    """Score every vertex, ROI and hemisphere, with one hemisphere in memory at a time.

    ROIs are scored, and label maps read, only for the subjects in `with_rois`.
    """
    scores = SubmissionScores()
    expected = list_expected(subjects)
    with zipfile.ZipFile(submission) as archive:
        located, _ = locate(archive, expected, allow_others=True)
        for file in progress(expected, desc="scoring", unit="hemisphere"):
            subject = file.source
            assert subject is not None  # `list_expected` was called with subjects
            values, wrong = read_array(archive, located[file.name], file, expected)
            if values is None:
                raise EvaluateError(f"{submission}: {file.name}: {'; '.join(wrong)}")
            ceiling = subject.noise_ceiling(file.hemisphere, "test")
            measured = subject.responses(file.hemisphere, "test")
            vertex_scores = score_vertices(measured, values, ceiling)
            side = (file.folder, file.hemisphere)
            whole = np.arange(values.shape[1])
            rois = _rois(subject, file.hemisphere) if subject in with_rois else {}
            columns = {**rois, WHOLE: whole}
            scores.tallies[side] = {roi: vertex_scores.tally(at) for roi, at in columns.items()}
            if ceiling is not None:
                r = vertex_scores.values["pearson_r"]
                scores.parts[side] = {roi: (r[at], ceiling[at]) for roi, at in columns.items()}
    return scores


def _rois(subject: Subject, hemisphere: str) -> dict[Key, Indices]:
    """Return the vertices of every ROI, also of empty ones, and of every class."""
    rois = {(roi.roi_class, roi.name): roi.vertices for roi in subject.rois(hemisphere)}
    for roi_class in {roi_class for roi_class, _ in rois}:
        # Labels within a class do not overlap.
        parts = [vertices for (name, _), vertices in rois.items() if name == roi_class]
        rois[roi_class, "all"] = np.concatenate(parts)
    return rois

"""What a submission scores, from each vertex to the mean over all of them."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from base import progress
from challenge import HEMISPHERES, ROI_CLASSES, Subject
from evaluate.errors import EvaluateError
from evaluate.scoring.vertex_scores import Tally, pool, score_vertices
from evaluate.submission.expected_files import expect
from evaluate.submission.other_benchmarks import DEFINITIONS, Part
from evaluate.submission.zip_reader import locate, read_array

Key = tuple[str, str]
WHOLE: Key = ("all", "all")
"""All vertices, beside ROI classes and ROIs."""


@dataclass
class Marks:
    """What a submission scored.

    Attributes
    ----------
    tallies : dict of (str, str) to dict of (str, str) to Tally
        For each subject's folder and hemisphere, and there for each ROI class and ROI.
    parts : dict of (str, str) to dict of (str, str) to (array, array)
        Likewise, r and the noise ceiling of each vertex; nothing where there are no ceilings.
    """

    tallies: dict[Key, dict[Key, Tally]] = field(default_factory=dict)
    parts: dict[Key, dict[Key, Part]] = field(default_factory=dict)

    def mean(
        self, metric: str, side: str = "all", roi: Key = WHOLE, of: str = "all"
    ) -> float | None:
        """Average a metric over the vertices that count.

        Returns
        -------
        float or None
            The mean over vertices, not over subjects; None where there are none, or no ceilings.
        """
        found = self.tally(side, roi, of)
        return None if found is None else found.mean(metric)

    def tally(self, side: str = "all", roi: Key = WHOLE, of: str = "all") -> Tally | None:
        """Pool subjects and hemispheres."""
        found = [
            tallies[roi]
            for (subject, hemisphere), tallies in self.tallies.items()
            if of in (subject, "all") and side in (hemisphere, "all") and roi in tallies
        ]
        return pool(found) if found else None

    def define(self, name: str, roi: Key = WHOLE) -> float | None:
        """Apply a definition from elsewhere to all subjects.

        Returns
        -------
        float or None
            None where a subject has no ceilings, or no vertex counts.
        """
        if len(self.parts) < len(self.tallies):
            return None
        whole = []
        for subject in self.subjects:
            sides = [self.parts[subject, side].get(roi) for side in HEMISPHERES]
            if held := [part for part in sides if part is not None]:
                r, ceiling = (np.concatenate(arrays) for arrays in zip(*held, strict=True))
                whole.append((r, ceiling))
        return DEFINITIONS[name](whole) if whole else None

    @property
    def rois(self) -> list[Key]:
        """ROI classes and ROIs, class by class, each class as a whole last."""
        found = {roi for tallies in self.tallies.values() for roi in tallies} - {WHOLE}
        order = [(c, name) for c, names in ROI_CLASSES.items() for name in (*names, "all")]
        return [roi for roi in order if roi in found] + sorted(found - set(order))

    @property
    def subjects(self) -> list[str]:
        """The subjects' folders."""
        return list(dict.fromkeys(subject for subject, _ in self.tallies))


def mark(submission: Path, subjects: Sequence[Subject], with_rois: Sequence[Subject] = ()) -> Marks:
    """Score every vertex, ROI and hemisphere, one hemisphere in memory at a time.

    Parameters
    ----------
    with_rois : sequence of Subject
        Those of them whose ROIs are scored too; their label maps are read.
    """
    marks = Marks()
    expected = expect(subjects)
    with zipfile.ZipFile(submission) as opened:
        located, _ = locate(opened, expected, strangers=True)
        for one in progress(expected, desc="scoring", unit="hemisphere"):
            subject = one.source
            assert subject is not None  # `expect` was given subjects
            values, wrong = read_array(opened, located[one.name], one, expected)
            if values is None:
                raise EvaluateError(f"{submission}: {one.name}: {'; '.join(wrong)}")
            ceiling = subject.noise_ceiling(one.hemisphere, "test")
            measured = subject.responses(one.hemisphere, "test")
            scores = score_vertices(measured, values, ceiling)
            side = (one.folder, one.hemisphere)
            whole = np.arange(values.shape[1])
            rois = _rois(subject, one.hemisphere) if subject in with_rois else {}
            places = {**rois, WHOLE: whole}
            marks.tallies[side] = {roi: scores.tally(at) for roi, at in places.items()}
            if ceiling is not None:
                r = scores.values["pearson_r"]
                marks.parts[side] = {roi: (r[at], ceiling[at]) for roi, at in places.items()}
    return marks


def _rois(subject: Subject, hemisphere: str) -> dict[Key, NDArray[np.int64]]:
    """Return the vertices of every ROI, empty ones too, and of every class."""
    found = {(roi.roi_class, roi.name): roi.vertices for roi in subject.rois(hemisphere)}
    for roi_class in {roi_class for roi_class, _ in found}:
        # Labels within a class do not overlap.
        parts = [vertices for (of, _), vertices in found.items() if of == roi_class]
        found[roi_class, "all"] = np.concatenate(parts)
    return found

"""The predictions of a run, or of the ensemble of all, for a hemisphere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evaluate.arrays import Indices, Singles
from evaluate.fits.hemisphere import Hemisphere
from evaluate.fits.run_labels import ENSEMBLE
from evaluate.fits.runs import Run
from evaluate.scoring.ensemble import CombinedPrediction, Strengths, combine

RoiKey = tuple[str, str]


class Pairs(NamedTuple):
    """Pairs of columns of two predictions, each of the same vertex."""

    first: Indices  # (n_pairs,): columns of the first and of the second prediction
    second: Indices  # (n_pairs,)
    vertices: Indices  # (n_pairs,): the vertex of each pair
    # For each part of the second prediction, its pairs; None where the first lacks the part.
    parts: list[Indices | None]


@dataclass(frozen=True)
class Prediction:
    """Predictions of a hemisphere; several ROI models may predict one vertex."""

    name: str  # the run's folder, or "ensemble"
    columns: Singles  # (n_images, n_columns): predictions
    vertices: Indices  # (n_columns,): the vertex of each column
    # By ROI class and ROI, the columns of the ROI's model; for the ensemble, those of its vertices.
    rois: dict[RoiKey, Indices]
    # (n_covered,): for each covered vertex, the column with the combined prediction of all models.
    whole: Indices
    combined: CombinedPrediction  # the combined prediction, vertex by vertex
    pictures: NDArray[np.bytes_]  # (n_images,): the name of each row's picture

    @property
    def parts(self) -> list[Indices]:
        """The columns of each ROI, then of the whole."""
        return [*self.rois.values(), self.whole]

    def pair_columns(self, first: Prediction) -> Pairs:
        """Pair columns with those of another prediction, for parts of the same vertices in both."""
        first_parts = [*(first.rois.get(roi) for roi in self.rois), first.whole]
        codes = [
            None if part is None else self._pair_codes(first, part, own_part)
            for part, own_part in zip(first_parts, self.parts, strict=True)
        ]
        known_codes = [code for code in codes if code is not None]
        all_codes = np.unique(np.concatenate(known_codes)) if known_codes else np.zeros(0, np.int64)
        first_columns, second_columns = np.divmod(all_codes, len(self.vertices))
        parts = [None if code is None else np.searchsorted(all_codes, code) for code in codes]
        return Pairs(first_columns, second_columns, self.vertices[second_columns], parts)

    def _pair_codes(
        self, first: Prediction, first_columns: Indices, second_columns: Indices
    ) -> Indices | None:
        """Encode pairs as first * n_columns + second; None if the vertices differ."""
        first_columns = first_columns[np.argsort(first.vertices[first_columns], kind="stable")]
        second_columns = second_columns[np.argsort(self.vertices[second_columns], kind="stable")]
        if not np.array_equal(first.vertices[first_columns], self.vertices[second_columns]):
            return None
        return first_columns * len(self.vertices) + second_columns


def gather_prediction(
    hemisphere: Hemisphere,
    run: Run | None,
    split: str,
    strengths: Strengths,
    roi_classes: Sequence[str] | None = None,
) -> Prediction | None:
    """Gather the predictions of a run, None if it has no fit of this hemisphere.

    Without a run, they are those of the ensemble of all runs.
    """
    indices = list(range(len(hemisphere.models))) if run is None else hemisphere.indices(run)
    if not indices:
        return None
    combined = combine(hemisphere, split, strengths, indices, roi_classes)
    if run is None:
        whole = np.flatnonzero(combined.covered)
        vertices = np.arange(hemisphere.n_vertices)
        columns = combined.predictions
        rois = dict(zip((m.roi_key for m in hemisphere.models), hemisphere.vertices, strict=True))
    else:
        columns, vertices, parts, whole = _stack_columns(hemisphere, split, indices, combined)
        roi_keys = (hemisphere.models[i].roi_key for i in indices)
        rois = dict(zip(roi_keys, parts, strict=True))
    name = ENSEMBLE if run is None else run.name
    return Prediction(name, columns, vertices, rois, whole, combined, hemisphere.pictures(split))


def _stack_columns(
    hemisphere: Hemisphere, split: str, indices: Sequence[int], combined: CombinedPrediction
) -> tuple[Singles, Indices, list[Indices], Indices]:
    """Return predictions, their vertices, and the columns of each model and of the whole."""
    # A vertex that one model covers has one column, which is scored once; vertices that several
    # models cover have their combined prediction as further columns at the end.
    model_vertices = [hemisphere.vertices[i] for i in indices]
    count = np.bincount(np.concatenate(model_vertices), minlength=hemisphere.n_vertices)
    shared = np.flatnonzero(count > 1)
    predictions = [hemisphere.predictions(i, split) for i in indices]
    vertices = np.concatenate([*model_vertices, shared])
    column = np.zeros(hemisphere.n_vertices, np.int64)
    column[vertices] = np.arange(len(vertices))  # the last column of a vertex wins
    ends = np.cumsum([0, *map(len, model_vertices)])
    parts = [np.arange(*span) for span in pairwise(ends)]
    predicted = np.hstack([*predictions, combined.predictions[:, shared]])
    return predicted, vertices, parts, column[combined.covered]

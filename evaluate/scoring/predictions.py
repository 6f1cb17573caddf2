"""What a run, or the ensemble of all, predicts of a hemisphere, column by column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evaluate.fits.hemisphere import Hemisphere
from evaluate.fits.runs import ENSEMBLE, RoiModel, Run
from evaluate.scoring.ensemble import Combined, Strengths, combine

Columns = NDArray[np.int64]
Named = tuple[str, str]


class Pairs(NamedTuple):
    """Columns of two predictions that are of the same vertex.

    Attributes
    ----------
    first, second : array (n_pairs,), int64
        Columns of the one and the other.
    vertices : array (n_pairs,), int64
        Of which vertex they are.
    parts : list of array of int64, or None
        For each part of the second, the pairs; None where the first has no such part.
    """

    first: Columns
    second: Columns
    vertices: Columns
    parts: list[Columns | None]


@dataclass(frozen=True)
class Predicted:
    """Predictions of a hemisphere; several ROI models may predict one vertex.

    Attributes
    ----------
    name : str
        The run's folder, or "ensemble".
    columns : array (n_images, n_columns), float32
        Predictions.
    vertices : array (n_columns,), int64
        Of which vertex each column is.
    rois : dict of (str, str) to array of int64
        By ROI class and ROI, the columns of its own model; of the ensemble, of its vertices.
    whole : array (n_covered,), int64
        For each covered vertex, the column that says what all models together predict.
    combined : Combined
        The same, vertex by vertex.
    pictures : array (n_images,), bytes
        What names each row's picture.
    """

    name: str
    columns: NDArray[np.float32]
    vertices: Columns
    rois: dict[Named, Columns]
    whole: Columns
    combined: Combined
    pictures: NDArray[np.bytes_]

    @property
    def parts(self) -> list[Columns]:
        """The columns of each ROI, then of the whole."""
        return [*self.rois.values(), self.whole]

    def beside(self, first: Predicted) -> Pairs:
        """Line up with another prediction of the same pictures.

        Returns
        -------
        Pairs
            Of the parts that both have, and that are of the same vertices.
        """
        there = [*(first.rois.get(roi) for roi in self.rois), first.whole]
        codes = [
            None if one is None else self._lined_up(first, one, own)
            for one, own in zip(there, self.parts, strict=True)
        ]
        known = [code for code in codes if code is not None]
        every = np.unique(np.concatenate(known)) if known else np.zeros(0, np.int64)
        one, own = np.divmod(every, len(self.vertices))
        parts = [None if code is None else np.searchsorted(every, code) for code in codes]
        return Pairs(one, own, self.vertices[own], parts)

    def _lined_up(self, first: Predicted, one: Columns, own: Columns) -> Columns | None:
        """Give each pair of columns a number, one * n_columns + own; None if they do not fit."""
        one = one[np.argsort(first.vertices[one], kind="stable")]
        own = own[np.argsort(self.vertices[own], kind="stable")]
        if not np.array_equal(first.vertices[one], self.vertices[own]):
            return None
        return one * len(self.vertices) + own


def predicted_by(
    hemisphere: Hemisphere,
    run: Run | None,
    split: str,
    strengths: Strengths,
    roi_classes: Sequence[str] | None = None,
) -> Predicted | None:
    """Gather what a run predicts, or all runs together.

    Parameters
    ----------
    strengths : Strengths
        How much each model is heard where several predict a vertex.
    roi_classes : sequence of str, optional
        The classes that combinations are made of; all by default.

    Returns
    -------
    Predicted or None
        None if the run has no fit of this hemisphere.
    """
    indices = list(range(len(hemisphere.models))) if run is None else hemisphere.indices(run)
    if not indices:
        return None
    combined = combine(hemisphere, split, strengths, indices, roi_classes)
    if run is None:
        whole = np.flatnonzero(combined.covered)
        every = np.arange(hemisphere.n_vertices)
        columns = combined.predictions
        rois = dict(zip(map(_roi, hemisphere.models), hemisphere.vertices, strict=True))
    else:
        columns, every, parts, whole = _side_by_side(hemisphere, split, indices, combined)
        named = (_roi(hemisphere.models[i]) for i in indices)
        rois = dict(zip(named, parts, strict=True))
    name = ENSEMBLE if run is None else run.name
    return Predicted(name, columns, every, rois, whole, combined, hemisphere.pictures(split))


def _side_by_side(
    hemisphere: Hemisphere, split: str, indices: Sequence[int], combined: Combined
) -> tuple[NDArray[np.float32], Columns, list[Columns], Columns]:
    """Give a run's predictions, their vertices, and the columns of each model and of the whole."""
    # Where one model alone covers a vertex, the combination is that model, which is scored once;
    # where several do, what they say together stands behind them.
    of = [hemisphere.vertices[i] for i in indices]
    count = np.bincount(np.concatenate(of), minlength=hemisphere.n_vertices)
    shared = np.flatnonzero(count > 1)
    own = [hemisphere.predictions(i, split) for i in indices]
    vertices = np.concatenate([*of, shared])
    column = np.zeros(hemisphere.n_vertices, np.int64)
    column[vertices] = np.arange(len(vertices))  # the last one of a vertex stays
    ends = np.cumsum([0, *map(len, of)])
    parts = [np.arange(*span) for span in pairwise(ends)]
    predicted = np.hstack([*own, combined.predictions[:, shared]])
    return predicted, vertices, parts, column[combined.covered]


def _roi(model: RoiModel) -> Named:
    return model.roi_class, model.roi

"""Which vertices are fitted together, in which columns, and where the columns may be divided."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from challenge import Roi


@dataclass(frozen=True)
class Layout:
    """The vertices of some ROIs side by side.

    Attributes
    ----------
    vertices : array of int (n_columns,)
        The vertex of each column.
    columns : dict of str to array of int
        The columns of each ROI.
    rois : array of int (n_columns,) or None
        The number of the ROI that each column chooses with; None where each chooses alone.
    """

    vertices: NDArray[np.int64]
    columns: dict[str, NDArray[np.int64]]
    rois: NDArray[np.int64] | None

    def batches(self, step: int) -> Iterator[slice]:
        """Divide the columns; columns that choose together are not divided.

        Parameters
        ----------
        step : int
            Columns in a batch, at most; more only where one ROI has more.

        Yields
        ------
        slice
            In order.
        """
        n_columns = len(self.vertices)
        if self.rois is None:
            ends = np.arange(1, n_columns + 1)
        else:
            ends = np.append(np.flatnonzero(np.diff(self.rois)) + 1, n_columns)
        start = 0
        while start < n_columns:
            last = int(np.searchsorted(ends, start + step, side="right")) - 1
            first = int(np.searchsorted(ends, start, side="right"))
            stop = int(ends[max(last, first)])
            yield slice(start, stop)
            start = stop


def lay_out(rois: Sequence[Roi], scope: str) -> Layout:
    """Place the vertices of ROIs, which may overlap, in columns.

    Parameters
    ----------
    rois : sequence of Roi
        Of one hemisphere.
    scope : str
        "vertex": a vertex has one column, however many ROIs claim it. "roi": it has one in each,
        since it may get another penalty in each.

    Returns
    -------
    Layout
        The columns.
    """
    every = np.concatenate([roi.vertices for roi in rois])
    sizes = [len(roi.vertices) for roi in rois]
    if scope == "roi":
        parts = np.split(np.arange(len(every)), np.cumsum(sizes)[:-1])
        columns = {roi.name: part for roi, part in zip(rois, parts, strict=True)}
        return Layout(every, columns, np.repeat(np.arange(len(rois)), sizes))
    # In the order of the ROIs, so that one after another is complete.
    vertices = np.array(list(dict.fromkeys(every.tolist())))
    place = np.empty(int(vertices.max()) + 1, np.int64)
    place[vertices] = np.arange(len(vertices))
    return Layout(vertices, {roi.name: place[roi.vertices] for roi in rois}, None)

"""Which vertices choose or train together, in which columns, and where these may be divided."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from base import list_choices
from challenge import HEMISPHERES, Roi
from regress.errors import RegressError

# A group's name tells its members: ROIs of one name are in one group.
GROUPINGS: dict[str, Callable[[Roi], str]] = {
    "roi": lambda roi: f"{roi.hemisphere}.{roi.name}",
    "roi-both-hemispheres": lambda roi: roi.name,
    "class": lambda roi: f"{roi.hemisphere}.{roi.roi_class}",
    "class-both-hemispheres": lambda roi: roi.roi_class,
    "hemisphere": lambda roi: roi.hemisphere,
    "brain": lambda roi: "brain",
}
BOTH = ("roi-both-hemispheres", "class-both-hemispheres", "brain")


def check_grouping(group_by: str) -> str:
    """Refuse a grouping that there is not."""
    if group_by not in GROUPINGS:
        raise RegressError(
            f"--group_by {group_by}: expected one of {list_choices(group_by, GROUPINGS)}"
        )
    return group_by


def spans(group_by: str) -> list[tuple[str, ...]]:
    """Say which hemispheres are fitted in one go."""
    return [tuple(HEMISPHERES)] if group_by in BOTH else [(h,) for h in HEMISPHERES]


def place(roi: Roi) -> tuple[str, str]:
    """Name an ROI of a subject uniquely."""
    return roi.hemisphere, roi.name


@dataclass(frozen=True)
class Layout:
    """The vertices of some ROIs side by side.

    Attributes
    ----------
    hemispheres : array of str (n_columns,)
        The hemisphere of each column.
    vertices : array of int (n_columns,)
        The vertex of each column.
    columns : dict of (str, str) to array of int
        The columns of each ROI, by hemisphere and name.
    groups : array of int (n_columns,) or None
        The number of the group that each column chooses with; None where each chooses alone.
    names : tuple of str
        The groups, by number.
    """

    hemispheres: NDArray[np.str_]
    vertices: NDArray[np.int64]
    columns: dict[tuple[str, str], NDArray[np.int64]]
    groups: NDArray[np.int64] | None
    names: tuple[str, ...]

    def members(self, name: str) -> NDArray[np.int64]:
        """Find the columns of a group.

        Returns
        -------
        array of int (n,)
            Rising; none where there is no such group.
        """
        if self.groups is None or name not in self.names:
            return np.empty(0, np.int64)
        return np.flatnonzero(self.groups == self.names.index(name))

    def batches(self, step: int) -> Iterator[slice]:
        """Divide the columns; columns that choose together are not divided.

        Parameters
        ----------
        step : int
            Columns in a batch, at most; more only where one group has more.
        """
        n_columns = len(self.vertices)
        if self.groups is None:
            ends = np.arange(1, n_columns + 1)
        else:
            ends = np.append(np.flatnonzero(np.diff(self.groups)) + 1, n_columns)
        start = 0
        while start < n_columns:
            last = int(np.searchsorted(ends, start + step, side="right")) - 1
            first = int(np.searchsorted(ends, start, side="right"))
            stop = int(ends[max(last, first)])
            yield slice(start, stop)
            start = stop


def lay_out(rois: Sequence[Roi], group_by: str | None) -> Layout:
    """Place the vertices of ROIs, which may overlap, in columns.

    Parameters
    ----------
    group_by : str or None
        A key of `GROUPINGS`: a vertex has one column in each group that has it, since it may get
        another model in each. None: each vertex chooses alone, and has one column, however many
        ROIs claim it.
    """
    name = GROUPINGS["hemisphere" if group_by is None else group_by]
    names = tuple(dict.fromkeys(name(roi) for roi in rois))
    hemispheres, vertices, groups = [], [], []
    columns: dict[tuple[str, str], NDArray[np.int64]] = {}
    start = 0
    for number, group in enumerate(names):
        for hemisphere in HEMISPHERES:
            members = [r for r in rois if name(r) == group and r.hemisphere == hemisphere]
            if not members:
                continue
            # In the order of the ROIs, so that one after another is complete.
            distinct = list(dict.fromkeys(np.concatenate([r.vertices for r in members]).tolist()))
            found = np.empty(max(distinct) + 1, np.int64)
            found[distinct] = start + np.arange(len(distinct))
            columns |= {place(roi): found[roi.vertices] for roi in members}
            start += len(distinct)
            hemispheres += [hemisphere] * len(distinct)
            vertices += distinct
            groups += [number] * len(distinct)
    return Layout(
        np.array(hemispheres),
        np.array(vertices, np.int64),
        columns,
        None if group_by is None else np.array(groups, np.int64),
        names,
    )

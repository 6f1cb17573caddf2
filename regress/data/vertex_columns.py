"""Groups of vertices that choose or train together, their columns, and batches of columns."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from base import list_choices
from challenge import HEMISPHERES, Roi
from regress.errors import RegressError

# The group's name for an ROI: ROIs with equal names are in one group.
GROUPINGS: dict[str, Callable[[Roi], str]] = {
    "roi": lambda roi: f"{roi.hemisphere}.{roi.name}",
    "roi-both-hemispheres": lambda roi: roi.name,
    "class": lambda roi: f"{roi.hemisphere}.{roi.roi_class}",
    "class-both-hemispheres": lambda roi: roi.roi_class,
    "hemisphere": lambda roi: roi.hemisphere,
    "brain": lambda roi: "brain",
}
ACROSS_HEMISPHERES = ("roi-both-hemispheres", "class-both-hemispheres", "brain")


def check_grouping(group_by: str) -> str:
    """Check that a grouping exists, and return it."""
    if group_by not in GROUPINGS:
        raise RegressError(
            f"--group_by {group_by}: expected one of {list_choices(group_by, GROUPINGS)}"
        )
    return group_by


def spans(group_by: str) -> list[tuple[str, ...]]:
    """List the spans of a grouping: the hemispheres that are fitted together."""
    return [tuple(HEMISPHERES)] if group_by in ACROSS_HEMISPHERES else [(h,) for h in HEMISPHERES]


def roi_key(roi: Roi) -> tuple[str, str]:
    """Return a key that is unique among a subject's ROIs."""
    return roi.hemisphere, roi.name


@dataclass(frozen=True)
class Layout:
    """The vertices of some ROIs in columns.

    Attributes
    ----------
    hemispheres : array of str (n_columns,)
        The hemisphere of each column.
    vertices : array of int (n_columns,)
        The vertex of each column.
    columns : dict of (str, str) to array of int
        The columns of each ROI, by hemisphere and name.
    groups : array of int (n_columns,) or None
        The number of each column's group; None where each vertex chooses alone.
    names : tuple of str
        The names of the groups, by number.
    """

    hemispheres: NDArray[np.str_]
    vertices: NDArray[np.int64]
    columns: dict[tuple[str, str], NDArray[np.int64]]
    groups: NDArray[np.int64] | None
    names: tuple[str, ...]

    def members(self, name: str) -> NDArray[np.int64]:
        """Return the columns of a group, increasing; empty where there is no such group."""
        if self.groups is None or name not in self.names:
            return np.empty(0, np.int64)
        return np.flatnonzero(self.groups == self.names.index(name))

    def batches(self, step: int) -> Iterator[slice]:
        """Divide the columns into batches of whole groups: at most `step` columns, or one group."""
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


def make_layout(rois: Sequence[Roi], group_by: str | None) -> Layout:
    """Assign columns to the vertices of ROIs, which may overlap.

    Parameters
    ----------
    group_by : str or None
        A key of `GROUPINGS`: a vertex has a column in each of its groups, since its model may
        differ between them. None: each vertex chooses alone, and has one column.
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
            # In the order of the ROIs, so that they are completed one after another.
            distinct = list(dict.fromkeys(np.concatenate([r.vertices for r in members]).tolist()))
            column_of_vertex = np.empty(max(distinct) + 1, np.int64)
            column_of_vertex[distinct] = start + np.arange(len(distinct))
            columns |= {roi_key(roi): column_of_vertex[roi.vertices] for roi in members}
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


def batches(layouts: Sequence[Layout], step: int) -> Iterator[list[NDArray[np.int64]]]:
    """Divide the columns of several subjects into batches; groups of one name stay together.

    Parameters
    ----------
    step : int
        Largest number of columns in a batch; exceeded only by a single larger group.

    Yields
    ------
    list of array of int
        The columns of each subject, increasing; empty where it has none of the batch's groups.
    """
    if len(layouts) == 1:
        for columns in layouts[0].batches(step):
            yield [np.arange(columns.start, columns.stop)]
        return
    groups: list[list[NDArray[np.int64]]] = []
    for name in dict.fromkeys(name for layout in layouts for name in layout.names):
        group = [layout.members(name) for layout in layouts]
        if groups and _count(groups) + _count([group]) > step:
            yield _join_groups(groups)
            groups = []
        groups.append(group)
    if groups:
        yield _join_groups(groups)


def _count(groups: Sequence[Sequence[NDArray[np.int64]]]) -> int:
    return sum(len(columns) for group in groups for columns in group)


def _join_groups(groups: Sequence[Sequence[NDArray[np.int64]]]) -> list[NDArray[np.int64]]:
    return [np.sort(np.concatenate(columns)) for columns in zip(*groups, strict=True)]

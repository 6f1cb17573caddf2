"""Responses of several subjects, who saw their own pictures and have their own vertices."""

from collections.abc import Iterator, Sequence
from typing import Self

import joblib
import numpy as np
from numpy.typing import NDArray

from regress.data.responses import Responses
from regress.data.vertex_columns import Layout

Rows = NDArray[np.int64]


class Joint:
    """The responses of several subjects, each below and beside the one before.

    A picture that one subject saw has no responses of another's vertices: of the whole, only the
    blocks on the diagonal exist, and nothing else is ever made.

    Parameters
    ----------
    parts : sequence of Responses
        Of each subject, to its pictures; some may be of no vertices.
    """

    def __init__(self, parts: Sequence[Responses]) -> None:
        self.parts = tuple(parts)
        self._rows = np.cumsum([0, *(len(part) for part in self.parts)])
        self._columns = np.cumsum([0, *(part.shape[1] for part in self.parts)])
        self.shape = int(self._rows[-1]), int(self._columns[-1])

    def __len__(self) -> int:
        return self.shape[0]

    def pictures(self, rows: NDArray[np.bool_]) -> Self:
        """Narrow to some pictures; nothing is read.

        Parameters
        ----------
        rows : array of bool (n_images,)
            Which.
        """
        shares = np.split(rows, self._rows[1:-1])
        return type(self)(
            [p.pictures(part_rows) for p, part_rows in zip(self.parts, shares, strict=True)]
        )

    def vertices(self, columns: Rows) -> Self:
        """Narrow to some vertices; nothing is read.

        Parameters
        ----------
        columns : array of int (n_vertices,)
            Which, rising.
        """
        edges = np.searchsorted(columns, self._columns)
        return type(self)(
            [
                part.vertices(columns[low:high] - start)
                for part, low, high, start in zip(
                    self.parts, edges[:-1], edges[1:], self._columns[:-1], strict=True
                )
            ]
        )

    def means(self) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Average over the pictures of each vertex's own subject.

        Returns
        -------
        means : array of float64 (n_vertices,)
            Of each vertex.
        varying : array of bool (n_vertices,)
            False where all responses are the same.
        """
        means, varying = zip(*(part.means() for part in self.parts), strict=True)
        return np.concatenate(means), np.concatenate(varying)

    def digest(self) -> str:
        """Digest what they are, to know them again.

        Returns
        -------
        str
            Changes with the numbers, the pictures, the vertices and the subjects' order.
        """
        return str(joblib.hash([part.digest() for part in self.parts]))


def batches(layouts: Sequence[Layout], step: int) -> Iterator[list[Rows]]:
    """Divide the columns of several subjects; groups of one name stay together.

    Parameters
    ----------
    step : int
        Columns in a batch, at most; more only where one group has more.

    Yields
    ------
    list of array of int
        The columns of each subject, rising; none where it has none of the groups.
    """
    if len(layouts) == 1:
        for columns in layouts[0].batches(step):
            yield [np.arange(columns.start, columns.stop)]
        return
    groups: list[list[Rows]] = []
    for name in dict.fromkeys(name for layout in layouts for name in layout.names):
        group = [layout.members(name) for layout in layouts]
        if groups and _count(groups) + _count([group]) > step:
            yield _together(groups)
            groups = []
        groups.append(group)
    if groups:
        yield _together(groups)


def _count(groups: Sequence[Sequence[Rows]]) -> int:
    return sum(len(columns) for group in groups for columns in group)


def _together(groups: Sequence[Sequence[Rows]]) -> list[Rows]:
    return [np.sort(np.concatenate(columns)) for columns in zip(*groups, strict=True)]

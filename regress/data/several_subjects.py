"""Responses of several subjects, each with its own pictures and vertices."""

from collections.abc import Sequence
from typing import Self

import joblib
import numpy as np
from numpy.typing import NDArray

from regress.data.responses import Responses

Rows = NDArray[np.int64]


class Joint:
    """The responses of several subjects, as a block-diagonal matrix.

    A picture has responses only of the vertices of the subject that saw it, so only the blocks on
    the diagonal exist.

    Parameters
    ----------
    parts : sequence of Responses
        The responses of each subject to its pictures; a part may have no vertices.
    """

    def __init__(self, parts: Sequence[Responses]) -> None:
        self.parts = tuple(parts)
        self._rows = np.cumsum([0, *(len(part) for part in self.parts)])
        self._columns = np.cumsum([0, *(part.shape[1] for part in self.parts)])
        self.shape = int(self._rows[-1]), int(self._columns[-1])

    def __len__(self) -> int:
        return self.shape[0]

    def pictures(self, rows: NDArray[np.bool_]) -> Self:
        """Select pictures by a mask (n_images,) over all subjects; nothing is read."""
        masks = np.split(rows, self._rows[1:-1])
        return type(self)([p.pictures(mask) for p, mask in zip(self.parts, masks, strict=True)])

    def vertices(self, columns: Rows) -> Self:
        """Select vertices by number, in increasing order; nothing is read."""
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
        """Compute each vertex's mean over the pictures of its subject.

        Returns
        -------
        means : array of float64 (n_vertices,)
            Mean response of each vertex.
        varying : array of bool (n_vertices,)
            False where all responses are equal.
        """
        means, varying = zip(*(part.means() for part in self.parts), strict=True)
        return np.concatenate(means), np.concatenate(varying)

    def digest(self) -> str:
        """Return a digest that changes with the numbers, pictures, vertices and subjects' order."""
        return str(joblib.hash([part.digest() for part in self.parts]))

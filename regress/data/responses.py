"""Responses that are read from disk as needed, a few pictures at a time."""

from collections.abc import Sequence
from typing import Self

import joblib
import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]

BLOCK = 512


class Responses:
    """The responses of some vertices, of one or both hemispheres, to some pictures.

    Parameters
    ----------
    sources : sequence of array (n_all_images, n_all_vertices)
        The responses of each hemisphere; memory maps, or arrays.
    columns : array of int (n_vertices,), optional
        Columns to select, of the sources side by side; all by default.
    rows : array of int (n_images,), optional
        Pictures to select; all by default.
    digest : str, optional
        A digest of the sources' contents; computed from them by default.
    """

    def __init__(
        self,
        sources: Sequence[NDArray[np.floating]],
        columns: Rows | None = None,
        rows: Rows | None = None,
        digest: str | None = None,
    ) -> None:
        self._sources = tuple(sources)
        width = sum(source.shape[1] for source in self._sources)
        self._columns = np.arange(width) if columns is None else columns
        self._selects_all = len(self._columns) == width and bool(
            (np.diff(self._columns) == 1).all()
        )
        self._rows = np.arange(len(self._sources[0])) if rows is None else rows
        self._digest = digest
        self.shape = len(self._rows), len(self._columns)

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def parts(self) -> tuple[Self, ...]:
        """The responses of each subject: these alone."""
        return (self,)

    def pictures(self, rows: NDArray) -> Self:
        """Select pictures by number or mask (n_images,); nothing is read."""
        return type(self)(self._sources, self._columns, self._rows[rows], self._digest)

    def vertices(self, columns: NDArray) -> Self:
        """Select vertices by number or mask (n_vertices,); nothing is read."""
        return type(self)(self._sources, self._columns[columns], self._rows, self._digest)

    def read(self, rows: Rows | slice = slice(None)) -> NDArray[np.float32]:
        """Read the responses (n_rows, n_vertices) to some pictures."""
        pictures = self._rows[rows]
        width = sum(source.shape[1] for source in self._sources)
        responses = np.empty((len(pictures), self.shape[1]), np.float32)
        if not self.shape[1]:
            return responses
        full_row = np.empty(width, np.float32)
        # Picture by picture: its responses are still in the processor's cache when their columns
        # are selected, which is twice as fast as a selection of all rows and then of columns.
        for row, picture in zip(responses, pictures, strict=True):
            target = row if self._selects_all else full_row
            start = 0
            for source in self._sources:
                target[start : start + source.shape[1]] = source[picture]
                start += source.shape[1]
            if not self._selects_all:
                # "clip" writes in place; no column is out of range.
                np.take(full_row, self._columns, out=row, mode="clip")
        return responses

    def load(self) -> NDArray[np.float32]:
        """Read all responses (n_images, n_vertices) in blocks, so that memory holds one copy."""
        loaded = np.empty(self.shape, np.float32)
        for start in range(0, len(self), BLOCK):
            loaded[start : start + BLOCK] = self.read(slice(start, start + BLOCK))
        return loaded

    def means(self) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Compute each vertex's mean over pictures.

        Returns
        -------
        means : array of float64 (n_vertices,)
            Mean response of each vertex.
        varying : array of bool (n_vertices,)
            False where all responses are equal.
        """
        total = np.zeros(self.shape[1])
        varying = np.zeros(self.shape[1], bool)
        first = self.read(slice(0, 1))
        for start in range(0, len(self), BLOCK):
            block = self.read(slice(start, start + BLOCK))
            total += block.sum(0, dtype=np.float64)
            varying |= (block != first).any(0)
        return np.where(varying, total / len(self), first[0]), varying

    def digest(self) -> str:
        """Return a digest that changes with the numbers, the pictures and the vertices."""
        sources_digest = self._digest or joblib.hash(
            [np.ascontiguousarray(source) for source in self._sources]
        )
        return str(joblib.hash((sources_digest, self._rows, self._columns)))

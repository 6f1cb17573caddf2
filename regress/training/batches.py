"""Pictures in batches: which rows come when, and the rows themselves, read as they are needed."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from regress.data.responses import Responses
from regress.data.several_subjects import Joint

Rows = NDArray[np.int64]
# Features and responses of each subject that has vertices.
Batch = list[tuple[Tensor, Tensor]]

# A subject with much fewer pictures than another is shown them again rather than fewer at a step:
# so many are what a loss over a batch should have.
LEAST = 16


class Pictures(Dataset[Batch]):
    """Features, in memory, and responses, read when a batch of them is asked for.

    Parameters
    ----------
    features : array of float32 or uint8 (n_images, n_features)
        As they come, since standardised bytes take four times the memory; of several subjects, one
        below the other.
    responses : Responses or Joint (n_images, n_vertices)
        Of all vertices; narrowed with `narrow` while they are trained.
    """

    def __init__(
        self, features: NDArray[np.float32 | np.uint8], responses: Responses | Joint
    ) -> None:
        self.features = torch.from_numpy(features)
        self._all = self._left = responses
        self._starts = np.cumsum([0, *(len(part) for part in responses.parts)])

    @property
    def widths(self) -> list[int]:
        """How many vertices are left of each subject."""
        return [part.shape[1] for part in self._left.parts]

    def narrow(self, vertices: Tensor) -> None:
        """Leave out vertices.

        Parameters
        ----------
        vertices : Tensor of int (n_left,)
            Those that stay, of all that there were at first; rising.
        """
        self._left = self._all.vertices(vertices.numpy())

    def rows(self, mask: NDArray[np.bool_]) -> list[Rows]:
        """Divide pictures among the subjects.

        Parameters
        ----------
        mask : array of bool (n_images,)
            The pictures.
        """
        rows = np.flatnonzero(mask)
        return np.split(rows, np.searchsorted(rows, self._starts[1:-1]))

    def __getitem__(self, rows: Sequence[Rows]) -> Batch:
        return [
            (self.features[torch.from_numpy(indices)], torch.from_numpy(part.read(indices - start)))
            for indices, start, part in zip(rows, self._starts[:-1], self._left.parts, strict=True)
            if part.shape[1]
        ]


class Batches(Sampler[list[Rows]]):
    """The pictures in batches of nearly equal size, in another order each epoch.

    Each batch holds pictures of every subject. The order of a subject's pictures depends on the
    seed and the epoch alone, not on the other subjects, and a training that is taken up goes on
    with the batches that it would have had.

    Parameters
    ----------
    rows : sequence of array of int
        The pictures of each subject.
    size : int
        Pictures of a subject in a batch, at most.
    seed : int
        Of the order.
    epoch : callable
        Gives the number of the epoch that begins. Lightning's own count comes too late for the
        first epoch of a training that is taken up.
    """

    def __init__(
        self, rows: Sequence[Rows], size: int, seed: int, epoch: Callable[[], int]
    ) -> None:
        self._rows, self._size, self._seed, self._epoch = rows, size, seed, epoch
        self._count = max(self._n_batches(subject_rows) for subject_rows in rows)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[list[Rows]]:
        yield from (
            list(batch) for batch in zip(*map(self._shuffled_batches, self._rows), strict=True)
        )

    @property
    def smallest(self) -> tuple[int, int]:
        """The pictures of a subject in the smallest batch, and how many the subject has."""
        return min(
            (len(self._shuffled_batches(subject_rows)[-1]), len(subject_rows))
            for subject_rows in self._rows
        )

    def _n_batches(self, rows: Rows) -> int:
        return -(-len(rows) // self._size)

    def _shuffled_batches(self, rows: Rows) -> list[Rows]:
        rng = np.random.default_rng([self._seed, self._epoch()])
        order = rng.permutation(rows)
        if self._n_batches(rows) < self._count:
            n_needed = self._count * min(LEAST, self._size, len(rows))
            again = [rng.permutation(rows) for _ in range(-(-n_needed // len(rows)) - 1)]
            order = np.concatenate([order, *again])
        # In a batch, rising: a file is read from its beginning to its end.
        return [np.sort(batch) for batch in np.array_split(order, self._count)]


def make_loader(pictures: Pictures, batches: Any) -> DataLoader[Batch]:
    """Read batches of pictures.

    Returns
    -------
    DataLoader
        In this process: the responses are pages of a file that the system keeps, and another
        process would only copy them once more.
    """
    return DataLoader(pictures, sampler=batches, batch_size=None, num_workers=0)

"""Batches of pictures: their order, and their rows, read when they are needed."""

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

# A subject with far fewer pictures than another repeats them within an epoch, so that each of its
# batches has at least this number, which a loss over a batch needs.
MIN_PICTURES = 16


class Pictures(Dataset[Batch]):
    """Features, in memory, and responses, read batch by batch; subjects follow one another.

    Features are not standardised, since bytes take a quarter of the memory of floats.
    """

    def __init__(
        self, features: NDArray[np.float32 | np.uint8], responses: Responses | Joint
    ) -> None:
        self.features = torch.from_numpy(features)
        self._all = self._current = responses
        self._starts = np.cumsum([0, *(len(part) for part in responses.parts)])

    @property
    def widths(self) -> list[int]:
        """Number of vertices that each subject still has."""
        return [part.shape[1] for part in self._current.parts]

    def narrow(self, vertices: Tensor) -> None:
        """Keep some vertices only, given as rising indices of the vertices at first."""
        self._current = self._all.vertices(vertices.numpy())

    def rows(self, mask: NDArray[np.bool_]) -> list[Rows]:
        """Return the rows of each subject's pictures in a mask (n_images,)."""
        rows = np.flatnonzero(mask)
        return np.split(rows, np.searchsorted(rows, self._starts[1:-1]))

    def __getitem__(self, rows: Sequence[Rows]) -> Batch:
        return [
            (self.features[torch.from_numpy(indices)], torch.from_numpy(part.read(indices - start)))
            for indices, start, part in zip(
                rows, self._starts[:-1], self._current.parts, strict=True
            )
            if part.shape[1]
        ]


class Batches(Sampler[list[Rows]]):
    """Sampler of batches of nearly equal size, in another order each epoch.

    Each batch holds pictures of every subject. The order of a subject's pictures depends on the
    seed and the epoch alone, not on the other subjects, and a resumed training continues with the
    batches that it would have had. `epoch` returns the number of the epoch that begins, since
    Lightning updates its own count too late for the first epoch of a resumed training.
    """

    def __init__(
        self, rows: Sequence[Rows], size: int, seed: int, epoch: Callable[[], int]
    ) -> None:
        self._rows, self._size, self._seed, self._epoch = rows, size, seed, epoch
        self._count = max(self._n_batches(subject_rows) for subject_rows in rows)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[list[Rows]]:
        yield from map(list, zip(*map(self._shuffled_batches, self._rows), strict=True))

    @property
    def smallest(self) -> tuple[int, int]:
        """Number of a subject's pictures in the smallest batch, and in all."""
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
            n_needed = self._count * min(MIN_PICTURES, self._size, len(rows))
            repeats = [rng.permutation(rows) for _ in range(-(-n_needed // len(rows)) - 1)]
            order = np.concatenate([order, *repeats])
        # Rising within a batch, so that a file is read from its beginning to its end.
        return [np.sort(batch) for batch in np.array_split(order, self._count)]


def make_loader(pictures: Pictures, batches: Any) -> DataLoader[Batch]:
    """Return a loader of batches, without workers, which would only copy responses once more."""
    return DataLoader(pictures, sampler=batches, batch_size=None, num_workers=0)

"""Pictures in batches: which rows come when, and the rows themselves, read as they are needed."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from regress.responses import Responses

Rows = NDArray[np.int64]


class Pictures(Dataset[tuple[Tensor, Tensor]]):
    """Features, in memory, and responses, read when a batch of them is asked for.

    Parameters
    ----------
    features : array of float32 (n_images, n_features)
        Standardised.
    responses : Responses (n_images, n_vertices)
        Of all vertices; `vertices` may be narrowed while they are trained.
    """

    def __init__(self, features: NDArray[np.float32], responses: Responses) -> None:
        self.features = torch.from_numpy(features)
        self.responses = responses

    def __getitem__(self, rows: Rows) -> tuple[Tensor, Tensor]:
        return self.features[torch.from_numpy(rows)], torch.from_numpy(self.responses.read(rows))


class Batches(Sampler[Rows]):
    """The pictures in batches of nearly equal size, in another order each epoch.

    The order depends on the seed and the epoch alone: a training that is taken up goes on with the
    batches that it would have had.

    Parameters
    ----------
    rows : array of int (n_images,)
        The pictures.
    size : int
        Pictures in a batch, at most.
    seed : int
        Of the order.
    epoch : callable
        Gives the number of the epoch that begins. Lightning's own count comes too late for the
        first epoch of a training that is taken up.
    """

    def __init__(self, rows: Rows, size: int, seed: int, epoch: Callable[[], int]) -> None:
        self._rows, self._seed, self._epoch = rows, seed, epoch
        self._count = -(-len(rows) // size)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Rows]:
        order = np.random.default_rng([self._seed, self._epoch()]).permutation(self._rows)
        # In a batch, rising: a file is read from its beginning to its end.
        yield from (np.sort(part) for part in np.array_split(order, self._count))


def loader(pictures: Pictures, batches: Any) -> DataLoader[tuple[Tensor, Tensor]]:
    """Read batches of pictures.

    Parameters
    ----------
    pictures : Pictures
        The pictures.
    batches : Batches, or sequence of array of int
        Which rows make up each batch.

    Returns
    -------
    DataLoader
        In this process: the responses are pages of a file that the system keeps, and another
        process would only copy them once more.
    """
    return DataLoader(pictures, sampler=batches, batch_size=None, num_workers=0)

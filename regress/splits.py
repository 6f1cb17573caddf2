"""The two sides of each fold, as rows of pictures; the columns of some bands."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from himalaya.backend import get_backend
from numpy.typing import NDArray

Rows = NDArray[np.int64]


@dataclass
class Splits:
    """The folds, as rows, and how their sides make up the whole; there may be none.

    Attributes
    ----------
    train, held : list of array of int
        The rows of each fold's two sides.
    n : int
        The number of pictures.
    """

    train: list[Rows]
    held: list[Rows]
    n: int
    complements: list[bool] = field(init=False)
    partition: bool = field(init=False)

    def __post_init__(self) -> None:
        for number, (train, held) in enumerate(zip(self.train, self.held, strict=True)):
            if len(train) == 0 or len(held) == 0:
                raise ValueError(
                    f"Empty train or validation set in fold {number} (train {len(train)}, held "
                    f"out {len(held)}). Check that `cv` is correctly defined."
                )
        self.complements = [
            len(train) + len(held) == self.n and len(np.union1d(train, held)) == self.n
            for train, held in zip(self.train, self.held, strict=True)
        ]
        every = np.concatenate([np.empty(0, np.int64), *self.held])
        self.partition = len(every) == self.n and len(np.unique(every)) == self.n

    def sides(self, held: Sequence[Any], whole: Any, make: Callable[[Rows], Any]) -> list[Any]:
        """Give the moments of the training sides, by subtraction where that is right.

        Parameters
        ----------
        held : sequence
            Moments of the held-out sides.
        whole : FeatureMoments or ResponseMoments
            Of all pictures.
        make : callable
            From rows to moments, for training sides that are not what is left.

        Returns
        -------
        list
            Moments of the training sides.
        """
        return [
            whole - side if complement else make(rows)
            for side, complement, rows in zip(held, self.complements, self.train, strict=True)
        ]


def columns_of(every: Any, bands: Sequence[int]) -> Any:
    """Find the columns of some bands.

    Parameters
    ----------
    every : array of int (n_features,)
        The band of each column.
    bands : sequence of int
        Which are kept.

    Returns
    -------
    array of int
        The columns that are kept, increasing.
    """
    backend = get_backend()
    return backend.asarray(np.flatnonzero(np.isin(backend.to_numpy(every), bands)))

"""The two sides of each fold, as rows of pictures."""

from dataclasses import dataclass, field

import numpy as np
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

    @property
    def has_single(self) -> bool:
        """Whether a fold holds out one picture alone, for which R^2 and r are undefined."""
        return any(len(held) < 2 for held in self.held)

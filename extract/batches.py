"""Networks on batches, which become half as large when memory runs out."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from base import Batches, say


def run_in_batches(
    work: Callable[[Tensor], list[NDArray[Any]]], items: Tensor, size: int, message: str
) -> list[NDArray[Any]]:
    """Run a network over items, batch after batch.

    Parameters
    ----------
    work : callable
        Returns, for a batch, arrays with a row for each of its items.
    size : int
        Number of items in a batch.
    message : str
        The message when batches are halved, with {} for the number of items.
    """

    def report(size: int, smaller: int) -> None:
        torch.cuda.empty_cache()
        say(f"{message.format(size)}; trying {smaller}")

    parts = []
    batches = Batches(len(items), size, report)
    for rows in batches:
        with batches.attempt():
            parts.append(work(items[rows]))
    if len(parts) == 1:
        return parts[0]
    return [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]

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
    """Run a network over batches of `size` items; it returns arrays with a row for each item.

    The message, with {} for the number of items, is printed when batches are halved.
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

"""A batch that does not fit in memory is tried in halves."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from base import say


def in_halves(
    work: Callable[[Tensor], list[NDArray[Any]]], batch: Tensor, what: str
) -> list[NDArray[Any]]:
    """Run a network over a batch, and over its halves where memory runs out.

    Parameters
    ----------
    work : callable
        From a batch to arrays with a row for each of its items.
    what : str
        What is said before the halves are tried, with {} for the number of items.
    """
    try:
        return work(batch)
    except torch.OutOfMemoryError:
        if len(batch) == 1:
            raise
    # Outside of the handler: the traceback would keep what the failed run has allocated.
    torch.cuda.empty_cache()
    half = len(batch) // 2
    say(f"{what.format(len(batch))}; trying {half}")
    both = in_halves(work, batch[:half], what), in_halves(work, batch[half:], what)
    return [np.concatenate(found) for found in zip(*both, strict=True)]

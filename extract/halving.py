"""Halving of batches that do not fit in memory."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from base import say


def run_in_halves(
    work: Callable[[Tensor], list[NDArray[Any]]], batch: Tensor, message: str
) -> list[NDArray[Any]]:
    """Run a network over a batch, or over its halves if memory runs out.

    Parameters
    ----------
    work : callable
        Returns, for a batch, arrays with a row for each of its items.
    message : str
        The message when a batch is halved, with {} for the number of items.
    """
    try:
        return work(batch)
    except torch.OutOfMemoryError:
        if len(batch) == 1:
            raise
    # Outside the handler, whose traceback would keep the memory of the failed run.
    torch.cuda.empty_cache()
    half = len(batch) // 2
    say(f"{message.format(len(batch))}; trying {half}")
    halves = run_in_halves(work, batch[:half], message), run_in_halves(work, batch[half:], message)
    return [np.concatenate(parts) for parts in zip(*halves, strict=True)]

"""Reader that decodes pictures once for all networks, in worker processes that read ahead."""

import multiprocessing
import shutil
import signal
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from challenge import DataError, load_rgb

# Pictures in a batch, or fewer if they exceed the bytes, as for SAM.
BATCH = 32
BATCH_BYTES = 128 << 20
Preprocess = Callable[[Image.Image], Tensor]
Item = list[Tensor] | DataError
Batch = list[Any] | DataError


class _Pictures(Dataset[Item]):
    """Data set of decoded pictures, preprocessed for each network."""

    def __init__(self, paths: Sequence[Path], preprocesses: Sequence[Preprocess]) -> None:
        # One array of bytes: forked workers would copy a list of objects page by page.
        self.paths = np.array([str(path).encode() for path in paths])
        self.preprocesses = preprocesses

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, number: int) -> Item:
        path = Path(self.paths[number].decode())
        try:
            picture = load_rgb(path)
        except DataError as error:
            # Returned, not raised: torch would wrap it in the worker's traceback.
            return error
        return [preprocess(picture) for preprocess in self.preprocesses]


def read_batches(
    paths: Sequence[Path], preprocesses: Sequence[Preprocess], size: int, workers: int
) -> Iterator[list[Tensor]]:
    """Yield batches of pictures, one tensor for each network, in order; workers read ahead."""
    workers = min(workers, -(-len(paths) // size) - 1)
    options: dict[str, Any] = {}
    if workers > 0:
        options = {"num_workers": workers, "prefetch_factor": 2, "worker_init_fn": _ignore_sigint}
        if "fork" in multiprocessing.get_all_start_methods():
            options["multiprocessing_context"] = "fork"
    pictures = _Pictures(paths, preprocesses)
    loader = DataLoader(pictures, size, collate_fn=partial(_stack, workers), **options)
    for batch in loader:
        if isinstance(batch, DataError):
            raise batch
        yield [torch.as_tensor(part) for part in batch]


def batch_size(sides: Sequence[int]) -> int:
    """Return the number of pictures in a batch, for networks with inputs of some sides."""
    return max(1, min(BATCH, BATCH_BYTES // max(1, sum(12 * side**2 for side in sides))))


def _ignore_sigint(_number: int) -> None:
    # Ctrl-C is handled by the parent process, which ends its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _stack(workers: int, items: Sequence[Item]) -> Batch:
    """Stack the pictures of a batch, as arrays instead of tensors if shared memory is too small.

    Containers often have 64 MB of shared memory, where tensors would crash torch with a bus error;
    arrays are sent through a pipe instead.
    """
    for item in items:
        if isinstance(item, DataError):
            return item
    stacked: list[Any] = [torch.stack(tensors) for tensors in zip(*items, strict=True)]
    shared = Path("/dev/shm")
    free = shutil.disk_usage(shared).free if shared.is_dir() else 0
    if workers and free <= 8 * workers * sum(part.nbytes for part in stacked):
        return [part.numpy() for part in stacked]
    return stacked

"""Several devices: a process for each, over pieces of the work."""

import multiprocessing
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch

from cache import FeatureStore
from extract.naming import name_once
from extract.pipeline import Done, Work, compute_rows, share_networks
from extract.run import Prepared, prepare
from extract.spaces import Spec
from extract.weights import Request

# Pictures in a piece.
PIECE = 256


@dataclass(frozen=True)
class Recipe:
    """What a process needs to make spaces ready on its device.

    Attributes
    ----------
    specs : list of Spec
        The spaces.
    requests : list of Request
        Where their weights may come from.
    precision, dtype : str
        As for `prepare`.
    store : FeatureStore
        Where rows go.
    workers : int
        Processes that read ahead, for each device.
    kept : dict of str to list of str
        Names under which features are kept already, by the digest of their key.
    """

    specs: list[Spec]
    requests: list[Request]
    precision: str
    dtype: str
    store: FeatureStore
    workers: int
    kept: dict[str, list[str]]

    def prepare(self, device: torch.device) -> list[Prepared]:
        """Make the spaces ready.

        Parameters
        ----------
        device : torch.device
            Where.

        Returns
        -------
        list of Prepared
            One for each space; two ways to write one are one.
        """
        both = zip(self.specs, self.requests, strict=True)
        every = [prepare(s, r, device, self.precision, self.dtype) for s, r in both]
        ready = name_once(every, self.kept)
        share_networks(ready)
        return ready


def compute_on(
    devices: Sequence[torch.device], recipe: Recipe, work: Sequence[Work], done: Done
) -> Iterator[int]:
    """Compute rows on several devices; the caller holds the spaces' writers, and merges.

    Parameters
    ----------
    devices : sequence of torch.device
        A device twice is two processes.
    recipe : Recipe
        The spaces.
    work : sequence of (tuple of int, list of pictures)
        Which spaces lack which pictures.
    done : Done
        To which the time of the networks is added, of all devices together.

    Yields
    ------
    int
        Pictures that were computed since the last time.
    """
    context = multiprocessing.get_context("spawn")
    names = context.SimpleQueue()
    for device in devices:
        names.put(str(device))
    pieces = [
        (spaces, pictures[start : start + PIECE])
        for spaces, pictures in work
        for start in range(0, len(pictures), PIECE)
    ]
    with ProcessPoolExecutor(len(devices), context, _begin, (names, recipe)) as pool:
        futures = [pool.submit(_compute, piece) for piece in pieces]
        try:
            for future in as_completed(futures):
                computed, seconds = future.result()
                done.network_seconds += seconds
                yield computed
        finally:
            pool.shutdown(cancel_futures=True)


_ready: list[Prepared] = []
_recipe: list[Recipe] = []


def _begin(names: Any, recipe: Recipe) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    device = torch.device(names.get())
    if device.type == "cuda":
        torch.cuda.set_device(device)
    _recipe.append(recipe)
    _ready.extend(recipe.prepare(device))


def _end_with_parent() -> None:
    # Killed, the parent cannot tell its processes to end.
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _compute(piece: Work) -> tuple[int, float]:
    recipe, done = _recipe[0], Done([])
    with ExitStack() as stack:
        writers = [
            stack.enter_context(recipe.store.joining(p.spec.name, p.key, p.about)) for p in _ready
        ]
        for _ in compute_rows(_ready, writers, [piece], recipe.workers, done):
            pass
    return len(piece[1]), done.network_seconds

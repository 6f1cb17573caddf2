"""Which devices there are; several of them: a process for each, over pieces of the work."""

import multiprocessing
import re
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from typing import Any

import joblib
import torch

from base import end_with_parent, signal_blocked
from cache import FeatureStore
from extract.errors import ExtractError
from extract.naming import name_once, take_former_keys
from extract.pipeline.shared_passes import Done, Work, compute_rows, share_networks
from extract.run import Prepared, prepare
from extract.spaces import Spec
from networks.weights import Request

# Pictures in a piece, at most.
PIECE = 256


def choose_devices(names: str) -> list[torch.device]:
    """Turn the user's words for devices into them.

    Parameters
    ----------
    names : str
        "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1" or "mps"; several with commas
        between.
    """
    return [_device(name, names) for name in names.split(",")]


def _device(name: str, names: str) -> torch.device:
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        # torch knows many more names, whose errors would speak of packages to install.
        if not re.fullmatch(r"cpu|cuda(:\d+)?|mps", name):
            raise RuntimeError(f"{name!r} is no device")
        device = torch.device(name)
        torch.empty(1, device=device).cpu()
    except (RuntimeError, AssertionError) as error:
        raise ExtractError(
            f"--device {names}: cannot be used here ({str(error).splitlines()[0]}); choose auto, "
            "cpu, cuda, cuda:N or mps, or several of them with commas between"
        ) from error
    return device


def choose_workers(asked: int, n_devices: int) -> int:
    """Say how many processes read pictures ahead of each device.

    Parameters
    ----------
    asked : int
        What the user says; -1 to choose by the processors.
    """
    if asked < -1:
        raise ExtractError(f"--workers {asked}: expected 0 or more, or -1 to choose")
    if asked >= 0:
        return asked
    return max(1, min(8, (joblib.cpu_count() - 1) // n_devices))


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

        Returns
        -------
        list of Prepared
            One for each space; two ways to write one are one.
        """
        both = zip(self.specs, self.requests, strict=True)
        every = [prepare(s, r, device, self.precision, self.dtype) for s, r in both]
        take_former_keys(every, self.kept)
        ready = name_once(every, self.kept)
        share_networks(ready)
        return ready


def compute_on(
    devices: Sequence[torch.device], recipe: Recipe, work: Sequence[Work], done: Done
) -> Iterator[int]:
    """Compute rows on several devices; the caller holds the spaces' writers, and merges.

    Parameters
    ----------
    done : Done
        To which the time of the networks is added, of all devices together.
    """
    context = multiprocessing.get_context("spawn")
    # Each process takes a device, and the first one also tells what is told once.
    names, telling, stopping = context.SimpleQueue(), context.Lock(), context.Event()
    for device in devices:
        names.put(str(device))
    own = (names, telling, stopping, recipe)
    with ProcessPoolExecutor(len(devices), context, _begin, own) as pool:
        with signal_blocked(signal.SIGINT):
            futures = [pool.submit(_compute, piece) for piece in _pieces(work, len(devices))]
        try:
            for future in as_completed(futures):
                computed, seconds = future.result()
                done.network_seconds += seconds
                yield computed
        except BrokenProcessPool as error:
            raise ExtractError(
                f"--device {','.join(map(str, devices))}: a process was ended from outside, as the "
                "system does when memory runs out; what was finished is kept: run it again, with "
                "fewer devices or --workers 1"
            ) from error
        finally:
            # A piece may take long: its process stops after a batch, and keeps what it has.
            stopping.set()
            pool.shutdown(cancel_futures=True)


def _pieces(work: Sequence[Work], n_devices: int) -> Iterator[Work]:
    for spaces, pictures in work:
        size = min(PIECE, -(-len(pictures) // n_devices))
        for start in range(0, len(pictures), size):
            yield spaces, pictures[start : start + size]


@dataclass(frozen=True)
class _Process:
    """What a process keeps between pieces."""

    recipe: Recipe
    ready: list[Prepared]
    done: Done
    stopping: Any


_process: list[_Process] = []


def _begin(names: Any, telling: Any, stopping: Any, recipe: Recipe) -> None:
    end_with_parent()
    device = torch.device(names.get())
    if device.type == "cuda":
        torch.cuda.set_device(device)
    with redirect_stdout(StringIO()):  # the other process has said it
        ready = recipe.prepare(device)
    done = Done([])
    if not telling.acquire(block=False):
        done.compared.update(id(prepared.backbone) for prepared in ready)
    _process.append(_Process(recipe, ready, done, stopping))


def _compute(piece: Work) -> tuple[int, float]:
    own = _process[0]
    if own.stopping.is_set():
        return 0, 0.0
    before = own.done.network_seconds
    with ExitStack() as stack:
        writers = [
            stack.enter_context(own.recipe.store.shard_writer(p.spec.name, p.key, p.about))
            for p in own.ready
        ]
        for _ in compute_rows(own.ready, writers, [piece], own.recipe.workers, own.done):
            if own.stopping.is_set():
                break
    return len(piece[1]), own.done.network_seconds - before

"""Choice of devices, and computation on several of them, with a process for each."""

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

from base.processes import end_with_parent, signal_blocked
from cache import FeatureStore
from extract.errors import ExtractError
from extract.naming import unify_names, use_former_keys
from extract.pipeline.shared_passes import (
    RunStats,
    Work,
    compute_rows,
    open_writers,
    share_networks,
)
from extract.run import Prepared, prepare
from extract.spaces import Spec
from networks.weights import Request

# Largest number of pictures in a piece of work.
PIECE = 256


def choose_devices(names: str) -> list[torch.device]:
    """Return the devices of a list of names, separated by commas.

    A name is "auto" (a GPU if there is one), "cpu", "cuda", "cuda:1" or "mps".
    """
    return [_device(name, names) for name in names.split(",")]


def _device(name: str, names: str) -> torch.device:
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        # torch knows many more names, whose errors would advise to install packages.
        if not re.fullmatch(r"cpu|cuda(:\d+)?|mps", name):
            raise RuntimeError(f"{name!r} is not a device")
        device = torch.device(name)
        torch.empty(1, device=device).cpu()
    except (RuntimeError, AssertionError) as error:
        raise ExtractError(
            f"--device {names}: cannot be used here ({str(error).splitlines()[0]}); choose auto, "
            "cpu, cuda, cuda:N or mps, or several of them with commas between"
        ) from error
    return device


def choose_workers(workers: int, n_devices: int) -> int:
    """Return the number of processes that read pictures ahead of each device.

    It is `workers`, or depends on the number of processors if that is -1.
    """
    if workers < -1:
        raise ExtractError(f"--workers {workers}: expected 0 or more, or -1 to choose")
    if workers >= 0:
        return workers
    return max(1, min(8, (joblib.cpu_count() - 1) // n_devices))


@dataclass(frozen=True)
class Recipe:
    """The settings by which a process prepares spaces on its device, and computes their rows."""

    specs: list[Spec]
    requests: list[Request]  # for each space
    precision: str
    dtype: str  # of the stored rows
    store: FeatureStore
    workers: int  # processes that read ahead, for each device
    stored_names: dict[str, list[str]]  # of stored features, by the digest of their key

    def prepare(self, device: torch.device) -> list[Prepared]:
        """Prepare the distinct spaces, with shared networks."""
        spaces = [
            prepare(spec, request, device, self.precision, self.dtype)
            for spec, request in zip(self.specs, self.requests, strict=True)
        ]
        use_former_keys(spaces, self.stored_names)
        ready = unify_names(spaces, self.stored_names)
        share_networks(ready)
        return ready


def compute_on(
    devices: Sequence[torch.device], recipe: Recipe, work: Sequence[Work], stats: RunStats
) -> Iterator[int]:
    """Compute rows on several devices; yield numbers of computed pictures.

    The caller holds the writers of the spaces, which merge the shards. The time of the networks of
    all devices is added to `stats`.
    """
    context = multiprocessing.get_context("spawn")
    # Each process takes a device; the first one also prints messages that should appear once.
    names, report_lock, stop_event = context.SimpleQueue(), context.Lock(), context.Event()
    for device in devices:
        names.put(str(device))
    arguments = (names, report_lock, stop_event, recipe)
    with ProcessPoolExecutor(len(devices), context, _start_process, arguments) as pool:
        with signal_blocked(signal.SIGINT):
            futures = [pool.submit(_compute_piece, piece) for piece in _pieces(work, len(devices))]
        try:
            for future in as_completed(futures):
                computed, seconds = future.result()
                stats.network_seconds += seconds
                yield computed
        except BrokenProcessPool as error:
            raise ExtractError(
                f"--device {','.join(map(str, devices))}: a process was ended from outside, as the "
                "system does when memory runs out; what was finished is kept: run it again, with "
                "fewer devices or --workers 1"
            ) from error
        finally:
            # A piece may take long: its process stops after a batch, and stores its rows.
            stop_event.set()
            pool.shutdown(cancel_futures=True)


def _pieces(work: Sequence[Work], n_devices: int) -> Iterator[Work]:
    for spaces, pictures in work:
        size = min(PIECE, -(-len(pictures) // n_devices))
        for start in range(0, len(pictures), size):
            yield spaces, pictures[start : start + size]


# The state of a process between pieces: its recipe, networks, statistics, and the event of a stop.
_process: list[tuple[Recipe, list[Prepared], RunStats, Any]] = []


def _start_process(names: Any, report_lock: Any, stop_event: Any, recipe: Recipe) -> None:
    end_with_parent()
    device = torch.device(names.get())
    if device.type == "cuda":
        torch.cuda.set_device(device)
    with redirect_stdout(StringIO()):  # the parent process has printed the messages
        ready = recipe.prepare(device)
    stats = RunStats([])
    if not report_lock.acquire(block=False):
        stats.compared.update(id(prepared.backbone) for prepared in ready)
    _process.append((recipe, ready, stats, stop_event))


def _compute_piece(piece: Work) -> tuple[int, float]:
    recipe, ready, stats, stop_event = _process[0]
    if stop_event.is_set():
        return 0, 0.0
    before = stats.network_seconds
    count = compute_in_shards(recipe, ready, [piece], stats, stop_event)
    return count, stats.network_seconds - before


def compute_in_shards(
    recipe: Recipe,
    ready: Sequence[Prepared],
    work: Sequence[Work],
    stats: RunStats,
    stop_event: Any = None,
) -> int:
    """Compute rows until a stop, publish them in shards, and return the number of pictures."""
    count = 0
    with ExitStack() as stack:
        writers = open_writers(ready, recipe.store.shard_writer, stack)
        for n_images in compute_rows(ready, writers, recipe.workers, work, stats):
            count += n_images
            if stop_event is not None and stop_event.is_set():
                break
    return count

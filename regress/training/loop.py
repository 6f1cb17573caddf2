"""The training loop: Lightning's, with checkpoints, progress and a log."""

import ctypes
import logging
import signal
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from himalaya.backend import get_backend
from numpy.typing import NDArray
from torch import nn

from base import progress
from base.memory import release
from regress.errors import RegressError
from regress.layers.network import Network
from regress.training.batches import Batches, Pictures, make_loader
from regress.training.best_weights import BestWeights
from regress.training.checkpoints import ArtifactCheckpoints
from regress.training.config import Files, Training
from regress.training.lightning_task import Task
from regress.training.losses import Loss
from regress.training.reports import warn_of_divergence, write_log

log = logging.getLogger("regress")

Rows = Sequence[NDArray[np.int64]]

# Seconds between two checkpoints: at least EVERY, and SHARE times as long as writing takes.
EVERY = 5.0
SHARE = 20


def train(
    network: Network,
    pictures: Pictures,
    rows: tuple[Rows, Rows],
    best_weights: BestWeights,
    settings: Training,
    files: Files,
    names: NDArray,
    scale: tuple[NDArray[np.float32], NDArray[np.float32]],
    block: int,
    critics: nn.ModuleList | None = None,
) -> None:
    """Train until every group has stopped, or the epochs are over; arguments are those of `Task`.

    `rows` are the training pictures of each subject, and the validation pictures, if any; `names`
    are those of the groups, for the log.
    """
    inside, held = rows
    seed, limits = settings.random_state, best_weights.limits
    batches = Batches(inside, settings.batch, seed, lambda: best_weights.epoch)
    _check_batches(batches, settings)
    n_epochs = settings.epochs if limits is None else int(limits.max(initial=0))
    artifacts = ArtifactCheckpoints(files.digest)
    stored = None if files.checkpoint is None else artifacts.stored(files.checkpoint)
    if stored is not None:
        best_weights.load(stored["kept"])
        log.info("the training goes on after epoch %d", best_weights.epoch)
        del stored
    if best_weights.epoch < n_epochs and not best_weights.stopped.all():
        n_steps = settings.epochs * len(batches)
        task = Task(network, pictures, best_weights, settings, n_steps, block, scale, critics)
        callback = TrainingFiles(best_weights, files, names, len(batches) * n_epochs)
        with _quiet(), reuse_memory(), torch.random.fork_rng(devices=[]), closing(callback):
            trainer = pl.Trainer(
                accelerator="gpu" if get_backend().name == "torch_cuda" else "cpu",
                devices=1,
                max_epochs=n_epochs,
                precision=settings.precision,
                num_sanity_val_steps=1,
                plugins=[artifacts],
                callbacks=[callback],
                logger=False,
                enable_checkpointing=True,
                enable_progress_bar=False,
                enable_model_summary=False,
            )
            validation = make_loader(pictures, [held]) if any(map(len, held)) else None
            checkpoint = files.checkpoint if best_weights.epoch else None
            _fit(trainer, task, make_loader(pictures, batches), validation, None, checkpoint)
    warn_of_divergence(best_weights, settings.lr, len(batches))


def _check_batches(batches: Batches, settings: Training) -> None:
    (fewest, n_pictures), least = batches.smallest, Loss(settings.loss).min_pictures
    if fewest < least:
        raise RegressError(
            f"loss {settings.loss!r} correlates over the pictures of a batch: the smallest batch "
            f"has {fewest} of a subject's {n_pictures} training pictures, expected at least "
            f"{least}: give a larger batch (now {settings.batch}), more pictures, or a loss "
            "without pearson"
        )


def _fit(trainer: pl.Trainer, *arguments: Any) -> None:
    """Train; at Ctrl-C raise KeyboardInterrupt, which Lightning turns into the process' end."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        trainer.fit(*arguments)
    except SystemExit as stop:
        # Lightning has every further Ctrl-C ignored, too.
        if isinstance(stop.__context__, KeyboardInterrupt):
            signal.signal(signal.SIGINT, handler)
            raise KeyboardInterrupt from stop
        raise


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence Lightning's messages about devices and workers."""
    loggers = [logging.getLogger(n) for n in ("pytorch_lightning", "lightning_fabric")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        for module in ("pytorch_lightning", "lightning_fabric", "torch"):
            warnings.filterwarnings("ignore", module=module)
        try:
            for logger in loggers:
                logger.setLevel(logging.ERROR)
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


class TrainingFiles(pl.callbacks.Checkpoint):
    """Lightning callback that shows the progress and writes checkpoint and log."""

    def __init__(
        self, best_weights: BestWeights, files: Files, names: NDArray, n_steps: int
    ) -> None:
        self._best_weights, self._files, self._names = best_weights, files, names
        self._last, self._pause = time.monotonic(), EVERY
        label, hidden = files.label, not files.label
        self._bar = progress(total=n_steps, desc=label, unit="step", leave=False, disable=hidden)

    def close(self) -> None:
        """Remove the progress bar."""
        self._bar.close()

    def on_train_batch_end(self, *_: object) -> None:
        """Show the progress."""
        self._bar.update()

    def on_train_epoch_end(self, trainer: pl.Trainer, task: pl.LightningModule) -> None:
        """Write checkpoint and log, if the pause since the last time is over."""
        if time.monotonic() - self._last >= self._pause:
            self._write(trainer)

    def on_train_end(self, trainer: pl.Trainer, task: pl.LightningModule) -> None:
        """Write checkpoint and log, so that a finished training is not repeated."""
        self._write(trainer)

    def _write(self, trainer: pl.Trainer) -> None:
        start = time.monotonic()
        if self._files.log is not None:
            write_log(self._files.log, self._best_weights, self._names)
        if self._files.checkpoint is not None:
            trainer.save_checkpoint(self._files.checkpoint)
        self._last = time.monotonic()
        self._pause = max(EVERY, SHARE * (self._last - start))


# Of glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
LARGE = 1 << 30
# glibc's default.
SMALL = 128 << 10


@contextmanager
def reuse_memory() -> Iterator[None]:
    """Reuse freed memory, instead of returning it to the system and requesting it at each step.

    Each step makes and frees predictions and gradients. Blocks of more than 32 MB glibc asks of the
    system each time, page by page, which took as long as the matrix products themselves: a step of
    256 pictures x 512 features x 39,548 vertices took 0.66 s, and 0.35 s in memory that was used
    before. Elsewhere than on Linux this does nothing. Free memory returns at the end of the block.
    """
    tune = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if tune is None:
        yield
        return
    tune(M_MMAP_THRESHOLD, LARGE)
    tune(M_TRIM_THRESHOLD, LARGE)
    try:
        yield
    finally:
        tune(M_MMAP_THRESHOLD, SMALL)
        tune(M_TRIM_THRESHOLD, SMALL)
        release()

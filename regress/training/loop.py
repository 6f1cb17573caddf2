"""The training loop: Lightning's, with checkpoints, progress and a log."""

import ctypes
import logging
import signal
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

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
from regress.training.config import Files, Recipe
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
    recipe: Recipe,
    files: Files,
    names: NDArray,
    scale: tuple[NDArray[np.float32], NDArray[np.float32]],
    critics: nn.ModuleList | None = None,
) -> None:
    """Train until every group has stopped, or the epochs are over.

    Parameters
    ----------
    rows : (sequence of array of int, sequence of array of int)
        Training pictures of each subject, and validation pictures, of which there may be none.
    names : array (n_groups,)
        Names of the groups in the log.
    scale : (array of float32 (n_features,), array of float32 (n_features,))
        Centre and scale of the features.
    """
    inside, held = rows
    batches = Batches(inside, recipe.batch, recipe.seed, lambda: best_weights.epoch)
    _check_batches(batches, recipe)
    n_epochs = (
        recipe.epochs if best_weights.limits is None else int(best_weights.limits.max(initial=0))
    )
    artifacts = ArtifactCheckpoints(files.digest)
    stored = None if files.checkpoint is None else artifacts.stored(files.checkpoint)
    if stored is not None:
        best_weights.load(stored["kept"])
        log.info("the training goes on after epoch %d", best_weights.epoch)
        del stored
    if best_weights.epoch < n_epochs and not best_weights.stopped.all():
        n_steps = recipe.epochs * len(batches)
        task = Task(network, pictures, best_weights, recipe, n_steps, scale, critics)
        watcher = _Watcher(best_weights, files, names, len(batches) * n_epochs)
        with _quiet(), reuse_memory(), torch.random.fork_rng(devices=[]), watcher:
            trainer = pl.Trainer(
                accelerator="gpu" if get_backend().name == "torch_cuda" else "cpu",
                devices=1,
                max_epochs=n_epochs,
                precision=recipe.precision,
                num_sanity_val_steps=1,
                plugins=[artifacts],
                callbacks=[watcher],
                logger=False,
                enable_checkpointing=True,
                enable_progress_bar=False,
                enable_model_summary=False,
            )
            _fit(trainer, task, make_loader(pictures, batches), held, best_weights, files)
    warn_of_divergence(best_weights, recipe.lr, len(batches))


def _check_batches(batches: Batches, recipe: Recipe) -> None:
    (fewest, n_pictures), least = batches.smallest, Loss(recipe.loss).least
    if fewest < least:
        raise RegressError(
            f"loss {recipe.loss!r} correlates over the pictures of a batch: the smallest batch has "
            f"{fewest} of a subject's {n_pictures} training pictures, expected at least {least}: "
            f"give a larger batch (now {recipe.batch}), more pictures, or a loss without pearson"
        )


def _fit(
    trainer: pl.Trainer,
    task: Task,
    batches: object,
    held: Rows,
    best_weights: BestWeights,
    files: Files,
) -> None:
    validation = make_loader(task._pictures, [held]) if any(map(len, held)) else None
    handler = signal.getsignal(signal.SIGINT)
    try:
        trainer.fit(
            task,
            batches,
            validation,
            ckpt_path=files.checkpoint if best_weights.epoch else None,
        )
    except SystemExit as stop:
        # Lightning ends the process at Ctrl-C, and has every further Ctrl-C ignored.
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


class _Watcher(pl.callbacks.Checkpoint):
    """Lightning callback that shows the progress and writes checkpoint and log."""

    def __init__(
        self, best_weights: BestWeights, files: Files, names: NDArray, n_steps: int
    ) -> None:
        self._best_weights, self._files, self._names = best_weights, files, names
        self._last, self._pause = time.monotonic(), EVERY
        self._bar = None
        if files.show:
            self._bar = progress(total=n_steps, desc=files.show, unit="step", leave=False)

    def __enter__(self) -> "_Watcher":
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def on_train_batch_end(self, *_: object) -> None:
        """Show the progress."""
        if self._bar is not None:
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
    before. Elsewhere than on Linux this does nothing.

    Yields
    ------
    None
        Nothing; free memory returns to the system at the end of the block.
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

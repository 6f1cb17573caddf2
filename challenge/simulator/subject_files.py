"""Write the files of a simulated subject: masks, responses, ceilings and the ground truth."""

import os
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap

from challenge.ceilings.noise_ceiling import noise_ceiling
from challenge.layout import (
    HEMISPHERES,
    ROI_CLASSES,
    SPLITS,
    ceiling_file,
    labels_file,
    mapping_file,
    responses_file,
    vertices_file,
)
from challenge.simulator.anatomy import Cortex, draw_cortex
from challenge.simulator.measurement import draw_order, record
from challenge.simulator.surface_patch import Patch
from challenge.simulator.tuning import REPEATS, Stimuli, Tuning, draw_tuning, signals

# Number of vertices in a batch, which bounds the memory for three trials of all pictures.
_BATCH = 256


def write_subject(
    folder: Path,
    stimuli: Stimuli,
    n_train: int,
    patches: dict[str, Patch],
    readouts: np.ndarray,
    rng: np.random.Generator,
    *,
    lacks_vertices: bool,
    advance: Callable[[int], object],
) -> None:
    """Simulate and write all files of a subject except the pictures, training pictures first.

    `readouts`, (n_rois, n_hidden), are the weights of regions that all subjects share.
    """
    for roi_class, names in ROI_CLASSES.items():
        mapping = dict(enumerate(("Unknown", *names)))
        _save(mapping_file(folder, roi_class), np.array(mapping, dtype=object))
    sessions = draw_order(len(stimuli.energy), rng)
    for hemisphere, hemisphere_rng in zip(HEMISPHERES, rng.spawn(len(HEMISPHERES)), strict=True):
        cortex = draw_cortex(hemisphere, patches[hemisphere], hemisphere_rng)
        if lacks_vertices:
            n = len(cortex.line)
            cortex = cortex.drop_vertices(hemisphere_rng.choice(n, max(1, n // 200), replace=False))
        _write_masks(folder, cortex)
        tuning = draw_tuning(cortex, readouts, hemisphere_rng)
        _write_ceilings(folder, hemisphere, tuning)
        _write_responses(
            folder, hemisphere, stimuli, n_train, tuning, sessions, hemisphere_rng, advance
        )


def _write_responses(
    folder: Path,
    hemisphere: str,
    stimuli: Stimuli,
    n_train: int,
    tuning: Tuning,
    sessions: list[np.ndarray],
    rng: np.random.Generator,
    advance: Callable[[int], object],
) -> None:
    # Measured and noise-free responses are computed for a batch of vertices at a time.
    n_images, n_vertices = len(stimuli.energy), len(tuning.ncsnr)
    arrays = []
    for split, rows in {"train": slice(n_train), "test": slice(n_train, n_images)}.items():
        shape = (len(range(n_images)[rows]), n_vertices)
        truth = folder / "truth" / f"{hemisphere}_{SPLITS[split]}_signal.npy"
        responses = responses_file(folder, hemisphere, split)
        arrays.append((rows, _allocate(responses, shape), _allocate(truth, shape)))
    for start in range(0, n_vertices, _BATCH):
        batch = slice(start, min(start + _BATCH, n_vertices))
        signal = signals(stimuli, tuning, batch)
        measured = record(signal, tuning.ncsnr[batch], sessions, rng)
        for rows, noisy, noise_free in arrays:
            noisy[:, batch] = measured[rows]
            noise_free[:, batch] = signal[rows]
        advance(batch.stop - batch.start)


def _write_masks(folder: Path, cortex: Cortex) -> None:
    _save(vertices_file(folder, cortex.hemisphere), cortex.mask())
    for roi_class, labels in cortex.labels.items():
        _save(labels_file(folder, cortex.hemisphere, roi_class), labels)
        on_surface = cortex.on_fsaverage(labels)
        _save(labels_file(folder, cortex.hemisphere, roi_class, "fsaverage"), on_surface)


def _write_ceilings(folder: Path, hemisphere: str, tuning: Tuning) -> None:
    ceilings = noise_ceiling(tuning.ncsnr, np.array([REPEATS]))
    _save(ceiling_file(folder, hemisphere, "test"), ceilings)
    _save(folder / "truth" / f"{hemisphere}_ncsnr.npy", tuning.ncsnr)


def _save(file: Path, values: np.ndarray) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    # np.save to a file raises an OSError without errno where the disk is full.
    content = BytesIO()
    np.save(content, values, allow_pickle=True)
    file.write_bytes(content.getvalue())


def _allocate(file: Path, shape: tuple[int, int]) -> np.memmap:
    file.parent.mkdir(parents=True, exist_ok=True)
    array = open_memmap(file, "w+", np.float32, shape)
    if hasattr(os, "posix_fallocate"):
        # A memory map is a sparse file, for which a full disk kills the process without a message.
        with file.open("r+b") as handle:
            os.posix_fallocate(handle.fileno(), 0, file.stat().st_size)
    return array

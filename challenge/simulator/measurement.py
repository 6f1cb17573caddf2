"""Simulated measurement of responses: trials, scan sessions, z-scores and averages."""

import numpy as np

from challenge.simulator.tuning import REPEATS, standardise

_TRIALS_PER_SESSION = 750


def draw_order(n_images: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Return the pictures of each scan session, with three randomly placed trials of each picture.

    There are about 750 trials in a session, as in NSD, and at least two sessions.
    """
    order = rng.permutation(np.repeat(np.arange(n_images), REPEATS))
    return np.array_split(order, max(2, round(len(order) / _TRIALS_PER_SESSION)))


def record(
    signal: np.ndarray, ncsnr: np.ndarray, sessions: list[np.ndarray], rng: np.random.Generator
) -> np.ndarray:
    """Add noise to every trial, z-score within each session, and average over repeats.

    `signal` (n_images, n_vertices) is standardised. Gain and offset of sessions are not simulated,
    since z-scores would remove them.
    """
    scaled = signal * ncsnr.astype(np.float32)
    trials = np.concatenate([
        standardise(
            scaled[pictures] + rng.standard_normal((len(pictures), signal.shape[1]), np.float32)
        )
        for pictures in sessions
    ])  # fmt: skip
    showings = np.argsort(np.concatenate(sessions), kind="stable").reshape(-1, REPEATS)
    return trials[showings].mean(axis=1)

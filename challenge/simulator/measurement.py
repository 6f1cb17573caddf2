"""From noise-free to measured responses: trials, scan sessions, z-scores and averages."""

import numpy as np

from challenge.simulator.tuning import REPEATS, standardise

_TRIALS_PER_SESSION = 750


def draw_order(n_images: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Shuffle three showings of every picture over scan sessions.

    Returns
    -------
    list of array of int64
        The pictures shown in each session, in order; 750 trials a session as in NSD, and at least
        two sessions.
    """
    order = rng.permutation(np.repeat(np.arange(n_images), REPEATS))
    return np.array_split(order, max(2, round(len(order) / _TRIALS_PER_SESSION)))


def record(
    signal: np.ndarray, ncsnr: np.ndarray, sessions: list[np.ndarray], rng: np.random.Generator
) -> np.ndarray:
    """Scan: add noise to every trial, z-score within each session, average over repeats.

    Parameters
    ----------
    signal : array (n_images, n) of float32
        The noise-free responses, standardised.
    ncsnr : array (n,)
        Standard deviation of the signal over that of a trial's noise.

    Returns
    -------
    array (n_images, n) of float32
        The measured responses. A session's own gain and offset would vanish in the z-scores, so
        there are none.
    """
    scaled = signal * ncsnr.astype(np.float32)
    trials = np.concatenate([
        standardise(
            scaled[shown] + rng.standard_normal((len(shown), signal.shape[1]), np.float32)
        )
        for shown in sessions
    ])  # fmt: skip
    showings = np.argsort(np.concatenate(sessions), kind="stable").reshape(-1, REPEATS)
    return trials[showings].mean(axis=1)

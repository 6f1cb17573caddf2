"""Noise ceilings from repeated measurements: NSD's variances, and split halves.

Both estimate the same fraction, the reliability of the average over each picture's trials: the
share of its variance over pictures that would come back in another experiment.
"""

from collections.abc import Iterator

import numpy as np

from challenge.ceiling import noise_share
from challenge.errors import DataError

# Vertices at a time: three trials of 10,000 pictures in float64 are then 120 MB.
_BLOCK = 512


def count_repeats(trials: np.ndarray) -> np.ndarray:
    """Count how often each picture was shown.

    Parameters
    ----------
    trials : array (n_images, n_trials, n_vertices)
        Single-trial responses, any float dtype, may be mapped from disk; NaN in all vertices for
        a trial that there was not.

    Returns
    -------
    array (n_images,) of int64
        How often.

    Raises
    ------
    DataError
        If the array has another number of dimensions, a picture has no trial, or none has two.
    """
    if trials.ndim != 3 or trials.dtype.kind != "f" or 0 in trials.shape:
        raise DataError(
            f"trials: {trials.dtype} of shape {trials.shape}, expected floats (images, trials, "
            "vertices), NaN for a trial that there was not"
        )
    shown = ~np.isnan(np.asarray(trials[:, :, 0]))
    repeats = shown.sum(axis=1)
    if (repeats == 0).any():
        raise DataError(
            f"trials: picture {np.argmin(repeats)}, counting from 0, has no trial that is not NaN; "
            "expected one at least for each: leave the picture out, or fill it in"
        )
    if (repeats < 2).all():
        raise DataError(
            "trials: every picture was shown once; noise can only be told from signal by pictures "
            "shown twice or more: give all trials, not their average"
        )
    return repeats


def variances(trials: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Estimate how much of a trial's variance is signal and how much is noise, as NSD does.

    The noise variance is that of a picture's trials, averaged over pictures; the signal variance
    is what remains of the total. NSD's total is 1, as its responses are z-scored; here it is
    estimated, without bias, as the variance of the pictures' means plus the share of the noise
    that averaging took from them. The signal variance is not cut off at 0.

    Parameters
    ----------
    trials : array (n_images, n_trials, n_vertices)
        Single-trial responses as `count_repeats` takes them.

    Returns
    -------
    signal : array (n_vertices,) of float64
        Variance over pictures of the response to a picture, squared units of the trials; below 0
        by chance where there is none.
    noise : array (n_vertices,) of float64
        Variance over trials of the same picture.

    Raises
    ------
    DataError
        If single values are missing or infinite, or all trials of a picture are the same.

    References
    ----------
    Allen et al. (2022), A massive 7T fMRI dataset to bridge cognitive neuroscience and artificial
    intelligence, Nature Neuroscience 25, "Noise ceiling estimation".
    """
    repeats = count_repeats(trials)
    share = noise_share(repeats)
    signal, noise = np.empty(trials.shape[2]), np.empty(trials.shape[2])
    for block, y in _blocks(trials):
        means = np.nansum(y, axis=1) / repeats[:, None]  # (n_images, n_block)
        y -= means[:, None]
        noise[block] = np.nansum(y**2, axis=(0, 1)) / (repeats - 1).sum()
        signal[block] = means.var(axis=0, ddof=1) - share * noise[block]
    if (copied := (noise == 0) & (signal > 0)).any():
        raise DataError(
            f"trials: at {int(copied.sum())} vertices all trials of a picture are the same; "
            "expected single trials, not copies of their average"
        )
    return signal, noise


def nsd_ncsnr(trials: np.ndarray) -> np.ndarray:
    """Estimate the noise ceiling signal-to-noise ratio as NSD does.

    Parameters
    ----------
    trials : array (n_images, n_trials, n_vertices)
        Single-trial responses as `count_repeats` takes them.

    Returns
    -------
    array (n_vertices,) of float64
        Standard deviation of the signal over that of a trial's noise; 0 where there is no signal.
    """
    signal, noise = variances(trials)
    return np.sqrt(np.maximum(signal, 0) / np.where(noise > 0, noise, 1.0))


def split_half(trials: np.ndarray, n_splits: int = 100, seed: int = 0) -> np.ndarray:
    """Estimate the reliability of the average over trials from random halves.

    Each split draws two disjoint groups of a picture's trials, equally many for all pictures, and
    correlates the two groups' averages over pictures. The correlation, averaged over splits,
    is taken by Spearman and Brown's formula from the size of a group to all trials. Averaging
    before that has less bias than after, where a low chance value counts more than a high one.
    Pictures shown once enter only the number of trials.

    Parameters
    ----------
    trials : array (n_images, n_trials, n_vertices)
        Single-trial responses as `count_repeats` takes them.
    n_splits : int
        How many splits.
    seed : int
        Draws them; the same for every vertex.

    Returns
    -------
    array (n_vertices,) of float64
        Reliability in 0..1, to be read as a noise ceiling.

    Raises
    ------
    DataError
        If there are no splits, or fewer than three pictures were shown twice.

    References
    ----------
    Spearman (1910), Correlation calculated from faulty data, British Journal of Psychology 3;
    Brown (1910), Some experimental results in the correlation of mental abilities, ibid.
    """
    repeats = count_repeats(trials)
    twice = repeats >= 2
    if n_splits < 1 or twice.sum() < 3:
        raise DataError(
            f"split_half: {n_splits} splits of {int(twice.sum())} pictures shown twice or more, "
            "expected at least one split and three such pictures"
        )
    size = int(repeats[twice].min()) // 2
    groups = _draw_groups(~np.isnan(np.asarray(trials[:, :, 0]))[twice], size, n_splits, seed)
    found = np.empty(trials.shape[2])
    for block, y in _blocks(trials):
        total = np.zeros(y.shape[2])
        for first, second in groups:
            halves = (
                np.take_along_axis(y[twice], group[:, :, None], axis=1).mean(axis=1)
                for group in (first, second)
            )
            total += _correlate(*halves)
        found[block] = np.maximum(total / n_splits, 0)
    # Spearman-Brown with the lengthening 1 / (size * k): 2r / (1 + r) for halves of equal numbers.
    return found / (found + size * noise_share(repeats) * (1 - found))


def _draw_groups(
    shown: np.ndarray, size: int, n_splits: int, seed: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Draw, for each split and picture, which trials form either group."""
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(n_splits):
        order = np.argsort(np.where(shown, rng.random(shown.shape), 2.0), axis=1)
        drawn.append((order[:, :size], order[:, size : 2 * size]))
    return drawn


def _blocks(trials: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Read the trials some vertices at a time, in float64, and check that they are whole."""
    absent = np.isnan(np.asarray(trials[:, :, 0]))
    for start in range(0, trials.shape[2], _BLOCK):
        block = slice(start, start + _BLOCK)
        y = np.array(trials[:, :, block], dtype=np.float64)
        if not (np.isnan(y) == absent[:, :, None]).all() or np.isinf(y).any():
            raise DataError(
                f"trials: some values are NaN or infinite at vertices {start} to "
                f"{start + y.shape[2] - 1}; expected NaN only for whole trials that there were "
                "not: leave out these vertices, or the trials"
            )
        yield block, y


def _correlate(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    a -= a.mean(axis=0)
    b -= b.mean(axis=0)
    norms = np.sqrt(np.einsum("iv,iv->v", a, a)) * np.sqrt(np.einsum("iv,iv->v", b, b))
    return np.einsum("iv,iv->v", a, b) / np.where(norms > 0, norms, 1.0)

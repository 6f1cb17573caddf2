"""Noise ceilings from repeated measurements, by NSD's variances and by split halves.

Both estimate the reliability of the average over each picture's trials: the share of its variance
over pictures that another experiment would reproduce.
"""

from collections.abc import Iterator

import numpy as np

from base import check_count, machine_memory
from challenge.ceilings.noise_ceiling import noise_share
from challenge.errors import DataError
from challenge.rounding import constant_columns

# Vertices in a block: three trials of 10,000 pictures in float64 are then 120 MB.
_BLOCK = 512
# Trials that differ by less than this share of the responses' root mean square are copies that were
# rounded (float32: 6e-8). Measured trials of a picture differ by as much as their noise.
_ROUNDING = 1e-6


def count_repeats(trials: np.ndarray) -> np.ndarray:
    """Return the number of trials of each picture, (n_images,) of int64.

    `trials` (n_images, n_trials, n_vertices) are single-trial responses of any float dtype, may be
    mapped from disk, and are NaN in all vertices for a missing trial.
    """
    if trials.ndim != 3 or trials.dtype.kind != "f" or 0 in trials.shape:
        raise DataError(
            f"trials: {trials.dtype} of shape {trials.shape}, expected floats (images, trials, "
            "vertices), NaN for a missing trial"
        )
    is_trial = ~np.isnan(np.asarray(trials[:, :, 0]))
    repeats = is_trial.sum(axis=1)
    if (repeats == 0).any():
        raise DataError(
            f"trials: picture {np.argmin(repeats)}, counting from 0, has no trial that is not NaN; "
            "expected at least one for each: leave the picture out, or fill it in"
        )
    if (repeats < 2).all():
        raise DataError(
            "trials: every picture was shown once; noise can only be separated from signal by "
            "pictures shown twice or more: give all trials, not their average"
        )
    return repeats


def variances(trials: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Estimate the signal and the noise variance (n_vertices,) of single trials, as NSD does.

    The noise variance is that of a picture's trials, averaged over pictures; the signal variance
    is the remainder of the total. NSD's total is 1, as its responses are z-scored; here it is
    estimated, without bias, as the variance of the pictures' means plus the share of the noise
    that averaging removed. The signal variance is not clipped at 0: for a vertex without signal it
    may be below by chance. `trials` are those of `count_repeats`.

    References
    ----------
    Allen et al. (2022), A massive 7T fMRI dataset to bridge cognitive neuroscience and artificial
    intelligence, Nature Neuroscience 25, "Noise ceiling estimation".
    """
    repeats = count_repeats(trials)
    share = noise_share(repeats)
    signal, noise = np.empty(trials.shape[2]), np.empty(trials.shape[2])
    for block, y in _blocks(trials, repeats):
        means, noise[block] = _means_and_noise(y, repeats)
        signal[block] = means.var(axis=0, ddof=1) - share * noise[block]
    return signal, noise


def nsd_ncsnr(trials: np.ndarray) -> np.ndarray:
    """Estimate the noise ceiling signal-to-noise ratio as NSD does.

    Parameters
    ----------
    trials : array (n_images, n_trials, n_vertices)
        Single-trial responses, as for `count_repeats`.

    Returns
    -------
    array (n_vertices,) of float64
        Standard deviation of the signal over that of a trial's noise; 0 where there is no signal.

    Examples
    --------
    >>> signal = np.arange(50.0)[:, None, None]  # pictures, trials, vertices
    >>> trials = signal + np.random.default_rng(0).normal(size=(50, 3, 1))
    >>> nsd_ncsnr(trials).round(1)
    array([15.7])
    """
    signal, noise = variances(trials)
    # Without noise, all trials of all pictures are equal, and the signal is a rounding error.
    return np.sqrt(np.maximum(signal, 0) / np.where(noise > 0, noise, np.inf))


def split_half(trials: np.ndarray, n_splits: int = 100, seed: int = 0) -> np.ndarray:
    """Estimate the reliability of the average over trials from random halves.

    Each split draws two disjoint groups of trials of each picture, of the same size for all
    pictures, and correlates the averages of the two groups over pictures. The correlation, averaged
    over splits, is extrapolated by the Spearman-Brown formula from the size of a group to all
    trials; averaging after the extrapolation would have more bias, since low chance values would
    count more than high ones. Pictures shown once affect only the mean number of trials.

    Parameters
    ----------
    trials : array (n_images, n_trials, n_vertices)
        Single-trial responses, as for `count_repeats`.
    n_splits : int
        Number of splits.
    seed : int
        Seed of the splits.

    Returns
    -------
    array (n_vertices,) of float64
        Reliability in 0..1, an estimate of the noise ceiling.

    References
    ----------
    Spearman (1910), Correlation calculated from faulty data, British Journal of Psychology 3;
    Brown (1910), Some experimental results in the correlation of mental abilities, ibid.

    Examples
    --------
    >>> signal = np.arange(50.0)[:, None, None]  # pictures, trials, vertices
    >>> trials = signal + np.random.default_rng(0).normal(size=(50, 3, 1))
    >>> split_half(trials).round(2)
    array([1.])
    """
    repeats = count_repeats(trials)
    is_repeated = repeats >= 2
    if n_splits < 1 or is_repeated.sum() < 3:
        raise DataError(
            f"split_half: {n_splits} splits of {int(is_repeated.sum())} pictures shown twice or "
            "more, expected at least one split and three such pictures"
        )
    size = int(repeats[is_repeated].min()) // 2
    # Two groups of trials of each picture, int64.
    split_bytes = 2 * 8 * size * int(is_repeated.sum())
    largest = machine_memory() // (2 * split_bytes)
    reason = f"the halves need half of the {machine_memory() / 1e9:.0f} GB of this machine"
    check_count("--splits", n_splits, largest, reason)
    groups = _draw_groups(~np.isnan(np.asarray(trials[:, :, 0]))[is_repeated], size, n_splits, seed)
    reliability = np.empty(trials.shape[2])
    for block, y in _blocks(trials, repeats):
        total = np.zeros(y.shape[2])
        for first, second in groups:
            halves = (
                np.take_along_axis(y[is_repeated], group[:, :, None], axis=1).mean(axis=1)
                for group in (first, second)
            )
            total += _correlate(*halves)
        reliability[block] = np.maximum(total / n_splits, 0)
    # Spearman-Brown with the lengthening 1 / (size * k): 2r / (1 + r) for halves of equal numbers.
    return reliability / (reliability + size * noise_share(repeats) * (1 - reliability))


def _draw_groups(
    is_trial: np.ndarray, size: int, n_splits: int, seed: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Draw the indices of the trials in both groups, for each split and picture."""
    rng = np.random.default_rng(seed)
    groups = []
    for _ in range(n_splits):
        order = np.argsort(np.where(is_trial, rng.random(is_trial.shape), 2.0), axis=1)
        groups.append((order[:, :size], order[:, size : 2 * size]))
    return groups


def _means_and_noise(y: np.ndarray, repeats: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the pictures' means, and the variance of their trials averaged over pictures."""
    means = np.nansum(y, axis=1) / repeats[:, None]  # (n_images, n_block)
    return means, np.nansum((y - means[:, None]) ** 2, axis=(0, 1)) / (repeats - 1).sum()


def _blocks(trials: np.ndarray, repeats: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield the trials of blocks of vertices, in float64, after checking that none is partial."""
    absent = np.isnan(np.asarray(trials[:, :, 0]))
    for start in range(0, trials.shape[2], _BLOCK):
        block = slice(start, start + _BLOCK)
        y = np.array(trials[:, :, block], dtype=np.float64)
        if not (np.isnan(y) == absent[:, :, None]).all() or np.isinf(y).any():
            raise DataError(
                f"trials: some values are NaN or infinite at vertices {start} to "
                f"{start + y.shape[2] - 1}; expected NaN only for missing trials, in all vertices: "
                "leave out these vertices, or the trials"
            )
        # Trials that are equal but for rounding: copies of an average, or a vertex without signal.
        means, noise = _means_and_noise(y, repeats)
        smallest = _ROUNDING * np.sqrt(np.nanmean(y**2, axis=(0, 1)))
        unchanged = np.sqrt(noise) <= smallest
        varied = means.std(axis=0) > smallest
        if n_copied := int((unchanged & varied).sum()):
            raise DataError(
                f"trials: at {n_copied} vertices all trials of a picture are the same, but for "
                f"rounding (vertices {start} to {start + y.shape[2] - 1}); expected single trials, "
                "not copies of their average"
            )
        y[..., unchanged] = np.where(absent[:, :, None], np.nan, 0.0)
        yield block, y


def _correlate(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    undefined = constant_columns(a) | constant_columns(b)
    a -= a.mean(axis=0)
    b -= b.mean(axis=0)
    norms = np.sqrt(np.einsum("iv,iv->v", a, a)) * np.sqrt(np.einsum("iv,iv->v", b, b))
    undefined |= norms == 0
    return np.where(undefined, 0.0, np.einsum("iv,iv->v", a, b) / np.where(undefined, 1.0, norms))

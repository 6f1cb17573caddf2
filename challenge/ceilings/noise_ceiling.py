"""The noise ceiling: the share of a vertex' variance that a perfect model could explain."""

from pathlib import Path

import numpy as np

from challenge.errors import DataError
from challenge.files import read_vector

SMALLEST_CEILING = 1e-6
"""Noise ceilings below this count as 0: the vertex is left out of every mean.

A ceiling is a difference of variances, as a share of the total. NSD provides it in float32, whose
rounding alone is 1e-7 of the total, so that smaller ceilings cannot be distinguished from 0. The
organisers' published script writes 1e-14 in place of 0, by which r^2 must not be divided: their
server leaves these vertices out.
"""


def has_ceiling(ceilings: np.ndarray) -> np.ndarray:
    """Return the mask of vertices whose noise ceiling is large enough to divide by.

    Parameters
    ----------
    ceilings : array (n_vertices,)
        Fractions of variance in 0..1.

    Returns
    -------
    array (n_vertices,) of bool
        False below `SMALLEST_CEILING`, and for NaN.

    Examples
    --------
    >>> has_ceiling(np.array([0.4, 0.0, 1e-14]))
    array([ True, False, False])
    """
    return np.asarray(ceilings) >= SMALLEST_CEILING


def noise_ceiling(ncsnr: np.ndarray, repeats: np.ndarray) -> np.ndarray:
    """Compute the noise ceiling of averaged trials from the signal-to-noise ratio of NSD.

    Parameters
    ----------
    ncsnr : array (n_vertices,)
        The standard deviation of the signal over that of a single trial's noise, at least 0.
    repeats : array (n_images,)
        The number of trials of each scored picture, at least 1: 1, 2 or 3 in NSD.

    Returns
    -------
    array (n_vertices,) of float64
        The ceiling, a fraction of variance in 0..1.

    Raises
    ------
    DataError
        If a ratio is negative or not finite, or a picture was shown less than once.

    References
    ----------
    Allen et al. (2022), A massive 7T fMRI dataset to bridge cognitive neuroscience and artificial
    intelligence, Nature Neuroscience 25, "Noise ceiling": NC = ncsnr^2 / (ncsnr^2 + k) with
    k = (A/3 + B/2 + C) / (A + B + C), for A, B and C pictures shown 3, 2 and 1 times.

    Examples
    --------
    >>> noise_ceiling(ncsnr=np.array([0.0, 0.5, 1.0]), repeats=np.array([3, 3, 3])).round(3)
    array([0.   , 0.429, 0.75 ])
    """
    ncsnr = np.asarray(ncsnr, dtype=np.float64)
    if not np.isfinite(ncsnr).all() or (ncsnr < 0).any():
        raise DataError(
            "ncsnr: found negative or non-finite values, expected ratios of at least 0; write 0 "
            "where there is no signal"
        )
    return ncsnr**2 / (ncsnr**2 + noise_share(repeats))


def noise_share(repeats: np.ndarray) -> float:
    """Return the share k of the noise variance that remains after averaging over repeats.

    It is the mean of 1 / repeats: 1/3 if each picture was shown three times.
    """
    counts = np.asarray(repeats)
    if counts.dtype.kind not in "iuf" or not counts.size or not np.isin(counts % 1, 0).all():
        raise DataError(f"repeats: found {counts.tolist()}, expected a whole number per picture")
    if (counts < 1).any():
        raise DataError(
            f"repeats: found {np.unique(counts).tolist()}, expected 1, 2 or 3 for each picture as "
            "in NSD, or more, and no picture that was never shown"
        )
    return float(np.mean(1.0 / counts))


def read_ceilings(file: Path, n_vertices: int | None) -> np.ndarray:
    """Read a file of noise ceilings; check their number unless `n_vertices` is None.

    They are fractions of variance in 0..1, in float64; those below `SMALLEST_CEILING` are 0.
    """
    ceilings = read_vector(file, n_vertices, "one for each vertex").astype(np.float64)
    if not ceilings.size:
        raise DataError(f"{file}: holds no values, expected one for each vertex: copy it again")
    low, high = float(ceilings.min()), float(ceilings.max())
    if low < 0 or high > 1:
        raise DataError(
            f"{file}: values from {low:g} to {high:g}, expected fractions in 0..1; "
            f"{_ceiling_fix(ceilings)}"
        )
    return np.where(has_ceiling(ceilings), ceilings, 0.0)


def _ceiling_fix(ceilings: np.ndarray) -> str:
    above = int((ceilings > 1).sum())
    if (ceilings < 0).any() or (ceilings > 100).any():
        return "these do not look like ceilings: copy the file again"
    # A ceiling of 0 is the same in percent and as a fraction.
    if 2 * above > (ceilings > 0).sum():
        return "these look like percent: divide by 100"
    first = int(np.argmax(ceilings > 1))
    return (
        f"{above} of {ceilings.size} are above 1, the first at vertex {first} "
        f"({ceilings[first]:g}), counting from 0: no model explains more than all of the variance; "
        "estimate them again, or write 1 there"
    )

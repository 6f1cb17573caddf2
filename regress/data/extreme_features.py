"""Check features for values too large for float32, or so large that all others vanish."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from base import say
from regress.errors import RegressError

# Columns that are checked at once.
COLUMNS = 2048
# In a float32 sum with a value this many times as large, another value loses all its digits.
VANISHING = 1 / float(np.finfo(np.float32).eps)


def check_extremes(space: str, values: NDArray, pictures: Sequence[str]) -> None:
    """Refuse a space (n_images, n_features) whose squares overflow; warn of single huge values."""
    starts = range(0, values.shape[1], COLUMNS)
    blocks = [np.abs(values[:, start : start + COLUMNS]) for start in starts]
    peaks = np.concatenate([block.max(axis=0) for block in blocks]).astype(np.float64)
    sums = np.concatenate([block.sum(axis=0, dtype=np.float64) for block in blocks])
    largest = (float(np.finfo(np.float32).max) / len(values)) ** 0.5
    if (peaks > largest).any():
        raise RegressError(
            f"{_describe(space, values, peaks > largest, pictures)}; expected at most "
            f"{largest:.1e}, beyond which sums of squares overflow: compute the space again, or "
            "leave it out of --spaces"
        )
    # A sparse column may be 0 elsewhere, and probabilities are uneven in all columns: neither is a
    # fault.
    rest = (sums - peaks) / max(1, len(values) - 1)
    dominated = (peaks > VANISHING * rest) & (rest > 0) & (peaks > VANISHING * np.median(peaks))
    if dominated.any():
        say(
            f"warning: {_describe(space, values, dominated, pictures)}, next to which all other "
            "values of the column vanish: compute the space again, or leave it out of --spaces"
        )


def _describe(
    space: str, values: NDArray, columns: NDArray[np.bool_], pictures: Sequence[str]
) -> str:
    numbers = np.flatnonzero(columns)
    first = values[:, numbers[0]]
    row = int(np.abs(first).argmax())
    suffix = f" (and {len(numbers) - 1} columns more)" if len(numbers) > 1 else ""
    return (
        f"feature space {space}: column {numbers[0]}{suffix} holds {first[row]:.3g} for the "
        f"picture {pictures[row]}"
    )

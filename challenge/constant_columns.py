"""Columns that hold one value but for rounding."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

# Roundings, of the largest value, that sums of another order leave between equal numbers.
ROUNDINGS = 4


def constant_columns(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which columns are the same in every row, but for rounding in their own dtype.

    Equality alone is not asked: a model whose weights are all next to 0 predicts its intercept
    with another last bit for some pictures, and what correlates then is rounding.

    Parameters
    ----------
    values : array (n_rows, n_columns)
        Responses or predictions, of any dtype of numbers.

    Returns
    -------
    array (n_columns,), bool
        True where the span of a column is at most 4 roundings of its largest value.
    """
    low, high = values.min(axis=0), values.max(axis=0)
    if values.dtype.kind != "f":
        return np.asarray(low == high)
    # In float64, as spans of float16 may overflow.
    low, high = low.astype(np.float64), high.astype(np.float64)
    largest = np.maximum(np.abs(low), np.abs(high))
    return np.asarray(high - low <= ROUNDINGS * float(np.finfo(values.dtype).eps) * largest)

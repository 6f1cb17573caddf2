"""Columns that are constant but for rounding."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

# Largest difference between equal sums in different orders, in roundings of the largest value.
ROUNDINGS = 4


def constant_columns(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Return the mask of columns that are constant but for rounding in their own dtype.

    Exact equality would not do: a model whose weights are almost 0 predicts its intercept with a
    different last bit for some pictures, and correlations of such columns are rounding errors.

    Parameters
    ----------
    values : array (n_rows, n_columns)
        Responses or predictions, of any dtype of numbers.

    Returns
    -------
    array (n_columns,), bool
        True if the range of a column is at most 4 roundings of its largest absolute value.

    Examples
    --------
    >>> constant_columns(np.array([[1.0, 0.1], [2.0, 0.1]]))
    array([False,  True])
    """
    low, high = values.min(axis=0), values.max(axis=0)
    if values.dtype.kind != "f":
        return np.asarray(low == high)
    # In float64, since ranges of float16 may overflow.
    low, high = low.astype(np.float64), high.astype(np.float64)
    largest = np.maximum(np.abs(low), np.abs(high))
    return np.asarray(high - low <= ROUNDINGS * float(np.finfo(values.dtype).eps) * largest)

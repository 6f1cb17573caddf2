"""Whether rows stand in the order of the pictures: against responses, or one hemisphere's twin.

With test responses, the matrix of row-by-row similarities tells the order: rows that belong
together lie on its diagonal. Without them the two hemispheres of a subject can still be held
against each other, as pictures that look alike to one side mostly do to the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from challenge import constant_columns

# In standard deviations of the same figure under random order. Below SEEN no order is to be seen;
# a wrong one must be seen at SURE, which chance does not reach in some hundred candidates.
RIGHT_ORDER, WRONG_ORDER = 4.0, 6.0
_VERTICES = 2000
_AS_TEXT = "sorted as text: 1, 10, 100, 2 …"
_LIKELY = ("", "reversed", "moved down by 1", "moved up by 1", _AS_TEXT)


def similarities(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.float64]:
    """Correlate every row of one array with every row of another, over vertices.

    Parameters
    ----------
    a : array (n_images, n_vertices)
        Responses or predictions.
    b : array (n_images, n_vertices)
        Others of the same vertices.

    Returns
    -------
    array (n_images, n_images), float64
        Cosines of the rows; each vertex is standardised over pictures first, and those that are
        constant are left out.
    """
    step = -(-a.shape[1] // _VERTICES)
    a, b = a[:, ::step], b[:, ::step]
    varied = ~(constant_columns(a) | constant_columns(b))
    x, y = (_standardised(z[:, varied].astype(np.float64)) for z in (a, b))
    return x @ y.T


def find_order(measured: NDArray[Any], predicted: NDArray[Any]) -> str | None:
    """Tell in which order predictions stand beside the responses that they are of.

    Parameters
    ----------
    measured : array (n_images, n_vertices)
        Responses.
    predicted : array (n_images, n_vertices)
        Predictions.

    Returns
    -------
    str or None
        "" for the same order; else the wrong one, such as "reversed"; None where the predictions
        follow the responses in none of these, be it that they stand in yet another order, are of
        something else, or bad.
    """
    similar = similarities(measured, predicted)
    similar -= similar.mean(axis=0)
    similar -= similar.mean(axis=1, keepdims=True)
    # Hoeffding (1951): the variance of a sum of similar[i, order[i]] over random orders.
    deviation = np.sqrt((similar**2).sum() / (len(similar) - 1))
    if deviation == 0:
        return None
    rows = np.arange(len(similar))
    return _clearest(
        {name: float(similar[rows, order].sum() / deviation) for name, order in _orders(len(rows))}
    )


def compare_hemispheres(left: NDArray[Any], right: NDArray[Any]) -> str | None:
    """Tell whether the two hemispheres' rows stand in the same order.

    Parameters
    ----------
    left : array (n_images, n_left)
        Predictions.
    right : array (n_images, n_right)
        Predictions of the same pictures.

    Returns
    -------
    str or None
        "" for the same order; else how right stands beside left; None where that is not to be
        seen.
    """
    # How alike two pictures are to a hemisphere does not depend on its vertices; an order moves
    # rows and columns of that matrix alike.
    a, b = (similarities(x, x) for x in (left, right))
    pairs = np.triu_indices(len(a), 1)
    reference = a[pairs] - a[pairs].mean()
    rng = np.random.default_rng(0)

    def agreement(order: NDArray[np.int64]) -> float:
        return float(reference @ b[np.ix_(order, order)][pairs])

    chance = np.array([agreement(rng.permutation(len(a))) for _ in range(50)])
    mean, deviation = chance.mean(), chance.std()
    if deviation <= 1e-12 * np.abs(chance).max(initial=0):
        return None
    likely = {name: order for name, order in _orders(len(a)) if name in _LIKELY}
    return _clearest(
        {name: (agreement(order) - mean) / deviation for name, order in likely.items()}
    )


def _clearest(z_scores: dict[str, float]) -> str | None:
    """Choose the order that stands out most, if it does; "" is the right one."""
    name = max(z_scores, key=z_scores.__getitem__)
    return name if z_scores[name] >= (WRONG_ORDER if name else RIGHT_ORDER) else None


def _orders(n: int) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """List orders by name, the right one first: for each picture, the row where it stands."""
    rows = np.arange(n)
    yield "", rows
    yield "reversed", rows[::-1]
    yield _AS_TEXT, np.argsort(np.argsort([str(row + 1) for row in rows], kind="stable"))
    for shift in range(1, n):
        down = shift <= n // 2
        yield (f"moved {'down' if down else 'up'} by {shift if down else n - shift}",
               (rows + shift) % n)  # fmt: skip


def _standardised(x: NDArray[np.float64]) -> NDArray[np.float64]:
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    lengths = np.linalg.norm(x, axis=1, keepdims=True)
    return x / np.where(lengths > 0, lengths, 1.0)

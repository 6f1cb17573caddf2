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

# In standard deviations of the same figure under random order. Below SEEN no order is to be seen;
# a wrong one must be seen at SURE, which chance does not reach in some hundred candidates.
SEEN, SURE = 4.0, 6.0
_VERTICES = 2000


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
    a, b = (x[:, ::step].astype(np.float64) for x in (a, b))
    varied = (np.ptp(a, axis=0) > 0) & (np.ptp(b, axis=0) > 0)
    x, y = (_standardised(z[:, varied]) for z in (a, b))
    return x @ y.T


def follows(measured: NDArray[Any], predicted: NDArray[Any]) -> str | None:
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
    if _z(similar, np.arange(len(similar))) >= SEEN:
        return ""
    found = {told: _z(similar, order) for told, order in _wrong(len(similar))}
    told = max(found, key=lambda name: found[name])
    return told if found[told] >= SURE else None


def sides_agree(left: NDArray[Any], right: NDArray[Any]) -> str | None:
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
    if agreement(np.arange(len(a))) - mean >= SEEN * deviation:
        return ""
    likely = {told: order for told, order in _wrong(len(a)) if told in _LIKELY}
    found = {told: (agreement(order) - mean) / deviation for told, order in likely.items()}
    told = max(found, key=lambda name: found[name], default="")
    return told if told and found[told] >= SURE else None


_LIKELY = ("reversed", "moved down by 1", "moved up by 1", "sorted as text: 1, 10, 100, 2 …")


def _wrong(n: int) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """List wrong orders by name: for each picture, the row where it then stands."""
    rows = np.arange(n)
    yield "reversed", rows[::-1]
    yield _LIKELY[-1], np.argsort(np.argsort([str(row + 1) for row in rows], kind="stable"))
    for shift in range(1, n):
        down = shift <= n // 2
        yield (f"moved {'down' if down else 'up'} by {shift if down else n - shift}",
               (rows + shift) % n)  # fmt: skip


def _standardised(x: NDArray[np.float64]) -> NDArray[np.float64]:
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    lengths = np.linalg.norm(x, axis=1, keepdims=True)
    return x / np.where(lengths > 0, lengths, 1.0)


def _z(similar: NDArray[np.float64], order: NDArray[np.int64]) -> float:
    """Standardise the sum of similar[i, order[i]] by its mean and deviation over all orders."""
    n = len(similar)
    centred = similar - similar.mean(axis=0) - similar.mean(axis=1, keepdims=True) + similar.mean()
    # Hoeffding (1951): the variance of such a sum over random permutations.
    deviation = np.sqrt((centred**2).sum() / (n - 1))
    total = centred[np.arange(n), order].sum()
    return float(total / deviation) if deviation > 0 else 0.0

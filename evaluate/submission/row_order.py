"""Detection of rows in a wrong order, from responses or from the other hemisphere.

With test responses, the matrix of similarities between rows shows the order: matching rows lie on
its diagonal. Without them, the two hemispheres of a subject can still be compared, since pictures
that are similar for one side are mostly similar for the other.
"""

from collections.abc import Iterator

import numpy as np

from challenge import constant_columns
from evaluate.arrays import Array, Floats, Indices

# Thresholds in standard deviations of the same figure under random order. The one for a wrong order
# is higher, so that chance does not reach it in some hundred candidates.
MIN_Z_RIGHT, MIN_Z_WRONG = 4.0, 6.0
_VERTICES = 2000
_AS_TEXT = "sorted as text: 1, 10, 100, 2 …"
_LIKELY = ("", "reversed", "moved down by 1", "moved up by 1", _AS_TEXT)


def similarities(a: Array, b: Array) -> Floats:
    """Return the cosines (n_images, n_images) between the rows of two arrays of the same vertices.

    Each vertex is standardised over pictures first, and constant vertices are left out.
    """
    step = -(-a.shape[1] // _VERTICES)
    a, b = a[:, ::step], b[:, ::step]
    varied = ~(constant_columns(a) | constant_columns(b))
    x, y = (_standardised(z[:, varied].astype(np.float64)) for z in (a, b))
    return x @ y.T


def find_order(measured: Array, predicted: Array) -> str | None:
    """Return the order of predictions (n_images, n_vertices) with respect to measured responses.

    "" is the same order; others are wrong, such as "reversed". It is None if the predictions follow
    the responses in none of these: the order is yet another, they are of other pictures, or bad.
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


def compare_hemispheres(left: Array, right: Array) -> str | None:
    """Return the order of the right hemisphere's rows with respect to the left one's.

    Both are arrays (n_images, n_vertices). "" is the same order; None that no order stands out.
    """
    # The similarity of two pictures does not depend on the number of vertices, so the hemispheres
    # can be compared; an order permutes rows and columns of the matrix alike.
    a, b = (similarities(x, x) for x in (left, right))
    pairs = np.triu_indices(len(a), 1)
    reference = a[pairs] - a[pairs].mean()
    rng = np.random.default_rng(0)

    def agreement(order: Indices) -> float:
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
    """Return the order of the largest z score, if it is large enough; "" is the right order."""
    name = max(z_scores, key=z_scores.__getitem__)
    return name if z_scores[name] >= (MIN_Z_WRONG if name else MIN_Z_RIGHT) else None


def _orders(n: int) -> Iterator[tuple[str, Indices]]:
    """Yield orders by name, the right one first: for each picture, the index of its row."""
    rows = np.arange(n)
    yield "", rows
    yield "reversed", rows[::-1]
    yield _AS_TEXT, np.argsort(np.argsort([str(row + 1) for row in rows], kind="stable"))
    for shift in range(1, n):
        down = shift <= n // 2
        yield (f"moved {'down' if down else 'up'} by {shift if down else n - shift}",
               (rows + shift) % n)  # fmt: skip


def _standardised(x: Floats) -> Floats:
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    lengths = np.linalg.norm(x, axis=1, keepdims=True)
    return x / np.where(lengths > 0, lengths, 1.0)

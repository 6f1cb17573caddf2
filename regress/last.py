"""What was computed for a weighting of the bands, kept for the next batch of vertices."""

from collections.abc import Callable
from typing import Any

from himalaya.backend import get_backend

from regress.moments import Array

# Bytes of the decompositions of a search that are kept for its next batch, or hemisphere.
KEPT = 1 << 29


class Last:
    """The results of the first weightings that memory has room for, and the last one.

    Plain ridge has one weighting, so that each decomposition is done once, however many batches of
    vertices follow. A search goes through the same weightings for every batch, in the same order:
    those that were kept first are the ones that it needs next.

    Parameters
    ----------
    size : int
        Bytes of one result.
    """

    def __init__(self, size: int) -> None:
        self._most = most_kept(size)
        self._values: dict[tuple[bytes, float], Any] = {}

    def get(self, of: tuple[Array, float], make: Callable[[], Any]) -> Any:
        """Return the result for a weighting.

        Parameters
        ----------
        of : (array (n_bands,), float)
            The weighting, and what else the result depends on.
        make : callable
            Makes the result, where it is not kept.

        Returns
        -------
        object
            What `make` gave.
        """
        key = (get_backend().to_numpy(of[0]).tobytes(), of[1])
        if key not in self._values:
            # Before the next is made: never are more in memory.
            if len(self._values) == self._most:
                self._values.popitem()
            self._values[key] = make()
        return self._values[key]


def most_kept(size: int) -> int:
    """Return how many results are kept.

    Parameters
    ----------
    size : int
        Bytes of one result.

    Returns
    -------
    int
        At least 1.
    """
    return max(1, KEPT // max(1, size))

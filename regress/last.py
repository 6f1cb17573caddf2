"""What was computed last for a weighting of the bands, kept for the next batch of vertices."""

from collections.abc import Callable
from typing import Any

from himalaya.backend import get_backend

from regress.moments import Array


class Last:
    """The last result, with the weighting that it belongs to.

    Plain ridge has one weighting, so that each decomposition is done once, however many batches of
    vertices follow. A search over weightings replaces it at each step: never two are in memory.
    """

    def __init__(self) -> None:
        self._key: tuple[bytes, float] | None = None
        self._value: Any = None

    def get(self, of: tuple[Array, float], make: Callable[[], Any]) -> Any:
        """Give the result for a weighting.

        Parameters
        ----------
        of : (array (n_bands,), float)
            The weighting, and what else the result depends on.
        make : callable
            Makes the result, where it is not the last.

        Returns
        -------
        object
            What `make` gave.
        """
        key = (get_backend().to_numpy(of[0]).tobytes(), of[1])
        if key != self._key:
            self._key = self._value = None
            self._value = make()
            self._key = key
        return self._value

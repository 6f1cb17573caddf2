"""Checkpoint of a search: its state, written to a file every few seconds, atomically."""

import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import joblib
from himalaya.backend import get_backend
from numpy.typing import NDArray

from cache import CacheError, read_artifact, write_artifact

log = logging.getLogger("regress")

EVERY = 5.0


class Checkpoint:
    """File in which a search keeps its state.

    Parameters
    ----------
    path : Path
        The file; it exists only if a search was interrupted.
    digest : str
        Digest of everything that the search depends on; a file with another digest is ignored.
    every : float
        Seconds between two writings.
    """

    def __init__(self, path: Path, digest: str, every: float = EVERY) -> None:
        self.path, self.digest, self.every = path, digest, every
        self._last = time.monotonic()

    @classmethod
    def for_batch(cls, path: Path, vertices: slice, dependencies: Any) -> "Checkpoint":
        """Return the checkpoint of a batch of vertices.

        Parameters
        ----------
        dependencies : object
            All that the search depends on: arrays, numbers, functions, in tuples.
        """
        batch = path.with_name(f"{path.stem}-{vertices.start}-{vertices.stop}{path.suffix}")
        return cls(batch, str(joblib.hash(_plain(dependencies))))

    def load(self) -> dict[str, NDArray[Any]] | None:
        """Load the state of an interrupted search; None if there is no state of this search."""
        if not self.path.exists():
            return None
        try:
            arrays, meta = read_artifact(self.path)
        except CacheError as error:
            log.warning("%s; the search starts again", error)
            return None
        if meta.get("belongs") != self.digest:
            log.warning("%s: of another search; this one starts again", self.path)
            return None
        return arrays

    def save(self, arrays: Callable[[], dict[str, NDArray[Any]]]) -> None:
        """Write the state, unless it was written less than `every` seconds ago."""
        if time.monotonic() - self._last >= self.every:
            write_artifact(self.path, arrays(), {"kind": "search", "belongs": self.digest})
            self._last = time.monotonic()

    def remove(self) -> None:
        """Remove the file and the temporary files of killed writers."""
        self.path.unlink(missing_ok=True)
        for temporary in self.path.parent.glob(f".{self.path.stem}-????????{self.path.suffix}"):
            temporary.unlink(missing_ok=True)


def _plain(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if callable(value):
        name = getattr(value, "__qualname__", "")
        module = sys.modules.get(getattr(value, "__module__", None) or "")
        # Only a function that can be found by its name is recognised in another process.
        return name if getattr(module, name, None) is value else uuid4().hex
    return get_backend().to_numpy(value) if hasattr(value, "dtype") else value

"""Cached moments of a subject's feature spaces and responses, for each fold.

X'X has a file per pair of spaces, X'Y a file per space and batch of vertices, so that another space
adds files and the existing ones stay valid. When responses change, so does their digest: their
moments are computed again, and the old files are removed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from himalaya.backend import get_backend
from numpy.typing import NDArray

from base import progress, provenance, say
from cache import CacheError, digest, read_artifact, write_artifact
from regress.backend import to_numpy
from regress.solvers.arguments import Splits
from regress.solvers.moments import (
    Array,
    FeatureMoments,
    ResponseMoments,
    feature_moments,
    origin,
    products,
    response_moments,
)

# Vertices in a file: with 4096 columns and 5 folds it has 168 MB.
WIDTH = 2048
Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Batch:
    """Vertices of a hemisphere that are in memory at once.

    Attributes
    ----------
    hemisphere : str
        "lh" or "rh".
    digest : str
        The sha256 of the responses' file.
    vertices : slice
        The batch's columns of the responses.
    inside : callable
        Reads the responses to the pictures that are not held out, (n_images, n_vertices).
    """

    hemisphere: str
    digest: str
    vertices: slice
    inside: Callable[[], NDArray[np.float32]]


class StoredMoments:
    """The moments of a subject's feature spaces, read from the cache or computed and saved.

    Parameters
    ----------
    folder : Path
        The folder of the files, `derivatives/moments/subj01`.
    depends : mapping
        The part of the key that all files have: pictures, held-out share, folds, seed.
    keys : sequence of str
        The digest of each space's key.
    X : array (n_images, n_features)
        Centred features of the pictures that are not held out.
    bands : array of int (n_features,)
        The space of each column.
    splits : Splits
        The folds.
    """

    def __init__(
        self,
        folder: Path,
        depends: Mapping[str, Any],
        keys: Sequence[str],
        X: Array,
        bands: NDArray[np.int64],
        splits: Splits,
    ) -> None:
        self.folder, self.keys, self.splits = folder, keys, splits
        self._depends = {"schema": 1, **depends}
        self._spaces = [
            X[:, get_backend().asarray(np.flatnonzero(bands == number))]
            for number in range(len(keys))
        ]

    def features(self, numbers: Sequence[int]) -> list[FeatureMoments]:
        """Return X'X and the column sums of some spaces, for each fold."""
        blocks = {(a, b): self._pair(a, b) for a in numbers for b in numbers if a <= b}
        asarray = get_backend().asarray
        moments = []
        for fold, rows in enumerate(self.splits.held):
            upper = {pair: block["xx"][fold] for pair, block in blocks.items()}
            products = upper | {(b, a): block.T for (a, b), block in upper.items() if a != b}
            xx = np.block([[products[a, b] for b in numbers] for a in numbers])
            x = np.concatenate([blocks[a, a]["x"][fold] for a in numbers])
            moments.append(FeatureMoments(len(rows), asarray(x), asarray(xx)))
        return moments

    def responses(
        self, batch: Batch, numbers: Sequence[int]
    ) -> tuple[list[ResponseMoments], Array]:
        """Return X'Y of some spaces and the responses' sums for each fold, and their origin.

        The origin (n_vertices,) was subtracted from the responses before they were summed.
        """
        asarray = get_backend().asarray
        parts = [self._space(batch, number) for number in numbers]
        moments = []
        for fold in range(len(self.splits.held)):
            xy = np.concatenate([part["xy"][fold] for part in parts])
            y, yy = (asarray(parts[0][name][fold]) for name in ("y", "yy"))
            moments.append(ResponseMoments(y, yy, asarray(xy)))
        return moments, asarray(parts[0]["centre"])

    def complete(self, batches: Sequence[Batch], numbers: Sequence[int], label: str) -> None:
        """Compute missing moments, reading each batch of responses once; remove stale ones."""
        hemisphere, responses = batches[0].hemisphere, batches[0].digest
        current = f"{hemisphere}-{responses[:16]}-"
        for path in self.folder.glob(f"{hemisphere}-*.h5"):
            if not path.name.startswith(current):
                say(f"{path}: computed from responses that have changed since; removed")
                path.unlink()
        missing = [(b, n) for b in batches for n in numbers if not self._path(b, n).exists()]
        if not missing:
            return
        with progress(total=len(missing), desc=f"{label} moments", unit="file") as bar:
            for batch in batches:
                numbers_of_batch = [n for b, n in missing if b is batch]
                if numbers_of_batch:
                    Y = get_backend().asarray(batch.inside())
                    for number in numbers_of_batch:
                        self._space(batch, number, Y)
                        bar.update()

    def _pair(self, a: int, b: int) -> Arrays:
        key = {**self._depends, "spaces": [self.keys[a], self.keys[b]]}
        path = self.folder / f"xx-{digest(key)}.h5"

        def make() -> Arrays:
            if a == b:
                sums = [feature_moments(self._spaces[a], rows, None) for rows in self.splits.held]
                xx = np.stack([to_numpy(moments.xx) for moments in sums])
                return {"xx": xx, "x": np.stack([to_numpy(moments.x) for moments in sums])}
            pairs = [products(self._spaces[a], self._spaces[b], rows) for rows in self.splits.held]
            return {"xx": np.stack([to_numpy(pair) for pair in pairs])}

        return _read_or(path, key, make)

    def _path(self, batch: Batch, number: int) -> Path:
        name = digest({**self._depends, "space": self.keys[number], "width": WIDTH})
        return self.folder / (
            f"{batch.hemisphere}-{batch.digest[:16]}-{name}-{batch.vertices.start}.h5"
        )

    def _space(self, batch: Batch, number: int, Y: Array = None) -> Arrays:
        def make() -> Arrays:
            return self._sum(number, get_backend().asarray(batch.inside()) if Y is None else Y)

        return _read_or(self._path(batch, number), self._about(batch, number), make)

    def _about(self, batch: Batch, number: int) -> dict[str, Any]:
        return {**self._depends, "space": self.keys[number], "responses": batch.digest}

    def _sum(self, number: int, Y: Array) -> Arrays:
        centre = origin(Y)
        X, origins = self._spaces[number], (None, centre)
        sums = [response_moments(X, Y, rows, origins) for rows in self.splits.held]
        arrays = {}
        for name in ("y", "yy", "xy"):
            arrays[name] = np.stack([to_numpy(getattr(moments, name)) for moments in sums])
        zeros = np.zeros(Y.shape[1], arrays["xy"].dtype)
        return {**arrays, "centre": zeros if centre is None else to_numpy(centre)}


def _read_or(path: Path, key: Mapping[str, Any], make: Callable[[], Arrays]) -> Arrays:
    """Read a file, or compute its arrays and write it where it is missing, damaged or stale."""
    if path.exists():
        try:
            arrays, meta = read_artifact(path)
            if meta.get("key") == key:
                return arrays
        except CacheError as error:
            say(f"{error}; it is computed again")
    arrays = make()
    write_artifact(path, arrays, {"kind": "moments", "key": key, "provenance": provenance()})
    return arrays

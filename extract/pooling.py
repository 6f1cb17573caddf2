"""From a layer's output to columns: pooling over places, then a random projection where wide.

Neither knows other pictures: a projection drawn from a seed leaks nothing of held-out data, which a
PCA fitted on all pictures would.

References
----------
Li, Hastie, Church (2006). Very sparse random projections. KDD.
"""

import hashlib
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.random_projection import SparseRandomProjection
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from extract.backbone import Activation
from extract.errors import ExtractError

# Past WIDE columns a layer is projected to NARROW, unless the space says otherwise.
WIDE, NARROW = 4096, 2048
DEFAULT_GRID = "grid4"
SEED = 0


def default_pooling(activation: Activation) -> str:
    """Choose how a layer is pooled where the space does not say.

    Parameters
    ----------
    activation : Activation
        The layer's output for one picture.

    Returns
    -------
    str
        "flatten" for a vector, "cls" where there is a class token, else a small grid.
    """
    if activation.vector is not None:
        return "flatten"
    return "cls" if activation.cls is not None else DEFAULT_GRID


def pool(activation: Activation, how: str, layer: str) -> Tensor:
    """Pool a layer's output over places.

    Parameters
    ----------
    activation : Activation
        The layer's output for a batch.
    how : str
        "cls", "mean", "max", "gridK" (means over K x K fields) or "flatten".
    layer : str
        The layer's name, for the error.

    Returns
    -------
    Tensor (n_images, n_columns)
        float32; for grids and "flatten", channels vary slowest.

    Raises
    ------
    ExtractError
        If there is no such pooling, or the layer has no class token or no places.
    """
    grid = re.fullmatch(r"grid([1-9]\d?)", how)
    if how not in ("cls", "mean", "max", "flatten") and not grid:
        raise ExtractError(
            f"unknown pooling {how!r}: choose from cls, mean, max, flatten, or grid1 to grid99"
        )
    if activation.vector is not None:
        if how not in ("flatten", "mean", "max"):
            raise ExtractError(f"layer {layer} is a vector: {how!r} needs places; use flatten")
        return activation.vector.float()
    if how == "cls":
        if activation.cls is None:
            raise ExtractError(f"layer {layer} has no class token: use mean, max, gridK or flatten")
        return activation.cls.float()
    if activation.spatial is None:
        raise ExtractError(f"layer {layer} has no square of places: use cls")
    maps = activation.spatial.float()
    if grid:
        maps = adaptive_avg_pool2d(maps, int(grid[1]))
    elif how == "mean":
        return maps.mean((2, 3))
    elif how == "max":
        return maps.amax((2, 3))
    return maps.flatten(1)


class Projection:
    """A sparse random projection with a fixed seed.

    Parameters
    ----------
    n_in, n_out : int
        Columns before and after.
    """

    def __init__(self, n_in: int, n_out: int) -> None:
        drawn = SparseRandomProjection(n_out, random_state=SEED, compute_inverse_components=False)
        drawn.fit(np.zeros((1, n_in), np.float32))
        self.matrix = drawn.components_.astype(np.float32).tocsr()
        self.matrix.sort_indices()

    @property
    def key(self) -> dict[str, Any]:
        """What of it changes the numbers; the digest holds it to the drawn values."""
        total = hashlib.sha256()
        for part in (self.matrix.indptr, self.matrix.indices, self.matrix.data):
            total.update(np.ascontiguousarray(part).tobytes())
        columns = int(self.matrix.shape[0])
        return {"columns": columns, "seed": SEED, "digest": total.hexdigest()[:16]}

    def __call__(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Project rows.

        Parameters
        ----------
        rows : array of float32 (n_images, n_in)
            Pooled features.

        Returns
        -------
        array of float32 (n_images, n_out)
            Distances between rows are kept, in expectation.
        """
        return np.ascontiguousarray((self.matrix @ rows.T).T, dtype=np.float32)


def choose_projection(n_columns: int, asked: int | None) -> Projection | None:
    """Decide whether a layer is projected.

    Parameters
    ----------
    n_columns : int
        Its columns after pooling.
    asked : int or None
        What the space says: a width, 0 for none, None for the default.

    Returns
    -------
    Projection or None
        None where the layer stays as it is; a layer is never made wider.
    """
    if asked is None:
        asked = NARROW if n_columns > WIDE else 0
    return Projection(n_columns, asked) if 0 < asked < n_columns else None

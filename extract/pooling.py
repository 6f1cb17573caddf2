"""From a layer's output to columns: pooling over places, then a random projection where wide.

Neither knows other pictures: a projection drawn from a seed leaks nothing of held-out data, which a
PCA fitted on all pictures would.

References
----------
Li, Hastie, Church (2006). Very sparse random projections. KDD.
"""

import hashlib
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.random_projection import SparseRandomProjection
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from extract.backbone import Activation
from extract.errors import ExtractError
from extract.spaces import check_pooling

# Past WIDE columns a layer is projected to NARROW, unless the space says otherwise.
WIDE, NARROW = 4096, 2048
GRID = 4
SEED = 0


def default_pooling(activation: Activation) -> str:
    """Choose how a layer is pooled where the space does not say.

    Returns
    -------
    str
        "flatten" for a vector and for maps smaller than the grid, "cls" where there is a class
        token, else a small grid.
    """
    if activation.vector is not None:
        return "flatten"
    if activation.cls is not None:
        return "cls"
    maps = activation.spatial
    return "flatten" if maps is not None and min(maps.shape[2:]) < GRID else f"grid{GRID}"


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
        float32, or uint8 where the layer is; for grids and "flatten", channels vary slowest.

    Raises
    ------
    ExtractError
        If there is no such pooling, or the layer has no class token, no places, or too few.
    """
    side = check_pooling(how)["side"]
    vector, cls, maps = activation.vector, activation.cls, activation.spatial
    if vector is not None:
        if how not in ("flatten", "mean", "max"):
            raise ExtractError(f"layer {layer} is a vector: {how!r} needs places; use flatten")
        return vector if vector.dtype == torch.uint8 else vector.float()
    if activation.empty:
        raise ExtractError(
            f"layer {layer} gives nothing to pool: it does not run in evaluation mode, or is no "
            "vector, tokens or maps; choose another"
        )
    if how == "cls":
        if cls is None:
            raise ExtractError(f"layer {layer} has no class token: use mean, max, gridK or flatten")
        return cls.float()
    if maps is None:
        raise ExtractError(f"layer {layer} has no square of places: use cls")
    return _over_places(maps.float(), how, int(side or 0), layer)


def _over_places(maps: Tensor, how: str, grid: int, layer: str) -> Tensor:
    if how == "mean":
        return maps.mean((2, 3))
    if how == "max":
        return maps.amax((2, 3))
    height, width = maps.shape[2:]
    if grid > min(height, width):
        # Fields smaller than a place would give the same column several times.
        raise ExtractError(
            f"layer {layer} has {height} x {width} places: {how} needs at least {grid} x {grid}; "
            "use a smaller grid or flatten"
        )
    return (adaptive_avg_pool2d(maps, grid) if grid else maps).flatten(1)


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


def projected_width(n_columns: int, asked: int | None, dtype: str = "float32") -> int:
    """Say how many columns a layer has in the end.

    Parameters
    ----------
    asked : int or None
        What the space says: a width, 0 for none, None for the default.
    dtype : str
        What its rows are stored as; "uint8" ones are never projected.

    Returns
    -------
    int
        `n_columns` where the layer is not projected; a layer is never made wider.
    """
    if dtype == "uint8":
        if asked:
            raise ExtractError(f"pixels are not projected: leave out ~{asked}")
        return n_columns
    if asked is None:
        asked = NARROW if n_columns > WIDE else 0
    return asked if 0 < asked < n_columns else n_columns


def choose_projection(
    n_columns: int, asked: int | None, dtype: str = "float32"
) -> Projection | None:
    """Draw the projection of a layer that has one."""
    width = projected_width(n_columns, asked, dtype)
    return Projection(n_columns, width) if width < n_columns else None

"""Pooling of a layer's output over spatial positions, and random projection of wide layers.

Neither depends on other pictures: a projection drawn from a seed leaks no held-out data, unlike a
PCA fitted on all pictures.

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

# Layers of more than WIDE columns are projected to NARROW by default.
WIDE, NARROW = 4096, 2048
GRID = 4
SEED = 0


def default_pooling(activation: Activation) -> str:
    """Return the default pooling of a layer.

    It is "flatten" for a vector and for maps smaller than the grid, "cls" for a layer with a class
    token, else a small grid.
    """
    if activation.vector is not None:
        return "flatten"
    if activation.cls is not None:
        return "cls"
    maps = activation.spatial
    return "flatten" if maps is not None and min(maps.shape[2:]) < GRID else f"grid{GRID}"


def pool(activation: Activation, pooling: str, layer: str) -> Tensor:
    """Pool a layer's output over spatial positions, (n_images, n_columns).

    The pooling is "cls", "mean", "max", "gridK" (means over K x K cells) or "flatten"; for the last
    two, channels vary slowest. The result is float32, or uint8 for pixels.
    """
    side = check_pooling(pooling)["side"]
    vector, cls, maps = activation.vector, activation.cls, activation.spatial
    if vector is not None:
        if pooling not in ("flatten", "mean", "max"):
            raise ExtractError(f"layer {layer} is a vector: {pooling!r} needs places; use flatten")
        return vector if vector.dtype == torch.uint8 else vector.float()
    if activation.empty:
        raise ExtractError(
            f"layer {layer} cannot be pooled: it does not run in evaluation mode, or its output "
            "is neither a vector, nor tokens, nor maps; choose another"
        )
    if pooling == "cls":
        if cls is None:
            raise ExtractError(f"layer {layer} has no class token: use mean, max, gridK or flatten")
        return cls.float()
    if maps is None:
        raise ExtractError(f"layer {layer} has no square of places: use cls")
    return _pool_positions(maps.float(), pooling, int(side or 0), layer)


def _pool_positions(maps: Tensor, pooling: str, grid: int, layer: str) -> Tensor:
    if pooling == "mean":
        return maps.mean((2, 3))
    if pooling == "max":
        return maps.amax((2, 3))
    height, width = maps.shape[2:]
    if grid > min(height, width):
        # Cells smaller than a position would repeat columns.
        raise ExtractError(
            f"layer {layer} has {height} x {width} places: {pooling} needs at least {grid} x "
            f"{grid}; use a smaller grid or flatten"
        )
    return (adaptive_avg_pool2d(maps, grid) if grid else maps).flatten(1)


class Projection:
    """A sparse random projection, with a fixed seed, from `n_in` to `n_out` columns."""

    def __init__(self, n_in: int, n_out: int) -> None:
        projection = SparseRandomProjection(
            n_out, random_state=SEED, compute_inverse_components=False
        )
        projection.fit(np.zeros((1, n_in), np.float32))
        self.matrix = projection.components_.astype(np.float32).tocsr()
        self.matrix.sort_indices()

    @property
    def key(self) -> dict[str, Any]:
        """The key of the projection, with a digest of its values."""
        total = hashlib.sha256()
        for part in (self.matrix.indptr, self.matrix.indices, self.matrix.data):
            total.update(np.ascontiguousarray(part).tobytes())
        columns = int(self.matrix.shape[0])
        return {"columns": columns, "seed": SEED, "digest": total.hexdigest()[:16]}

    def __call__(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Project rows (n_images, n_in) to (n_images, n_out), preserving expected distances."""
        return np.ascontiguousarray((self.matrix @ rows.T).T, dtype=np.float32)


def projected_width(n_columns: int, width: int | None, dtype: str = "float32") -> int:
    """Return the number of columns of a layer after projection, `n_columns` without projection.

    The width in the space's name is 0 for no projection, None for the default. Layers are never
    made wider, and rows stored as "uint8" are never projected.
    """
    if dtype == "uint8":
        if width:
            raise ExtractError(f"pixels are not projected: leave out ~{width}")
        return n_columns
    if width is None:
        width = NARROW if n_columns > WIDE else 0
    return width if 0 < width < n_columns else n_columns


def choose_projection(
    n_columns: int, requested: int | None, dtype: str = "float32"
) -> Projection | None:
    """Return the random projection of a layer, or None if it is not projected."""
    width = projected_width(n_columns, requested, dtype)
    return Projection(n_columns, width) if width < n_columns else None

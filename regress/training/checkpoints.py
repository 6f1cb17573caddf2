"""Lightning's checkpoints in the cache's format: arrays with checksums and JSON, no pickle."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric.plugins import CheckpointIO
from numpy.typing import NDArray
from torch import Tensor

from cache import write_artifact
from regress.solvers.checkpoint import Checkpoint

Arrays = dict[str, NDArray[Any]]


class ArtifactCheckpoints(CheckpointIO):
    """Reads and writes the checkpoints of one training; a file of another digest is ignored."""

    def __init__(self, digest: str) -> None:
        self.digest = digest

    def stored(self, path: Path) -> dict[str, Any] | None:
        """Load the checkpoint of an interrupted training; None if there is no such file."""
        arrays = Checkpoint(path, self.digest).load()
        return None if arrays is None else unpack(arrays)

    def save_checkpoint(self, checkpoint: Any, path: Any, storage_options: Any = None) -> None:
        """Write a checkpoint atomically."""
        write_artifact(Path(path), pack(checkpoint), {"kind": "search", "belongs": self.digest})

    def load_checkpoint(
        self, path: Any, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read a checkpoint."""
        return self.stored(Path(path)) or {}

    def remove_checkpoint(self, path: Any) -> None:
        """Remove a checkpoint."""
        Path(path).unlink(missing_ok=True)


def pack(tree: Any) -> Arrays:
    """Return tensors, arrays, numbers and strings in dicts and lists as arrays, and JSON."""
    arrays: Arrays = {}
    text = json.dumps(_flatten(tree, arrays))
    arrays["tree"] = np.frombuffer(text.encode(), np.uint8)
    return arrays


def unpack(arrays: Arrays) -> Any:
    """Return the nested dicts and lists that `pack` was called with."""
    return _unflatten(json.loads(arrays["tree"].tobytes().decode()), arrays)


def _flatten(value: Any, arrays: Arrays) -> Any:
    if isinstance(value, Tensor | np.ndarray):
        kind = "tensor" if isinstance(value, Tensor) else "array"
        plain = value.detach().cpu().numpy() if isinstance(value, Tensor) else value
        name = str(len(arrays))
        # A file cannot hold every array without axes or without elements.
        arrays[name] = plain.reshape(-1) if plain.size else np.zeros(1, plain.dtype)
        return {kind: name, "shape": list(plain.shape)}
    if isinstance(value, dict):
        return {"dict": [[key, _flatten(held, arrays)] for key, held in value.items()]}
    if isinstance(value, list | tuple):
        kind = "list" if isinstance(value, list) else "tuple"
        return {kind: [_flatten(held, arrays) for held in value]}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"a checkpoint cannot hold {type(value).__name__}: {value!r}")


def _unflatten(value: Any, arrays: Arrays) -> Any:
    if not isinstance(value, dict):
        return value
    if "dict" in value:
        return {key: _unflatten(held, arrays) for key, held in value["dict"]}
    if "list" in value:
        return [_unflatten(held, arrays) for held in value["list"]]
    if "tuple" in value:
        return tuple(_unflatten(held, arrays) for held in value["tuple"])
    kind = "tensor" if "tensor" in value else "array"
    flat = arrays[value[kind]]
    size = int(np.prod(value["shape"], dtype=np.int64))
    plain = flat[:size].reshape(value["shape"])
    return torch.from_numpy(plain.copy()) if kind == "tensor" else plain

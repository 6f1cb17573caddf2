"""Preparation of a feature space (network, layers, pooling), and computation of its rows."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from base import Batches, load_plugin, provenance, say
from extract import backbones
from extract.backbone import Activation, Backbone
from extract.errors import ExtractError
from extract.layer_listing import find_overwritten, largest_output
from extract.layers import check_layers
from extract.pooling import Projection, choose_projection, default_pooling, pool
from extract.spaces import Spec
from networks.weights import Request

PRECISIONS = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}
# Pictures of 224 pixels in a pass; fewer for larger pictures.
BATCH = 32
# Upper bound on the output of a network's largest layer in a pass on the CPU. glibc returns blocks
# above 32 MB to the system, which clears new pages each time: half of EfficientNet-Lite0's time.
OUTPUT_BYTES = 20 << 20
# Largest share of a layer's values in the range in which float16 loses digits.
VANISHING = 0.5


@dataclass
class Prepared:
    """A feature space ready to compute."""

    spec: Spec
    backbone: Backbone
    layers: tuple[str, ...]  # in the order of their columns
    poolings: dict[str, str]  # of each layer, as are the projections
    projections: dict[str, Projection | None]
    precision: str  # "float32", "bfloat16" or "float16" (autocast)
    dtype: str  # of the stored rows: "float32", "float16", or "uint8" for pixels
    device: torch.device
    widths: dict[str, int]  # the stored columns of each layer
    at_once: int  # pictures in a pass
    overwritten: frozenset[str] = frozenset()  # layers whose output is overwritten in the pass
    former: bool = False  # whether features are stored with the key of an earlier version

    @property
    def former_key(self) -> dict[str, Any] | None:
        """The key of an earlier version for the same numbers, if it differs."""
        weights = self.backbone.former_weights
        return {**self.key, "weights": weights()} if weights is not None else None

    @property
    def key(self) -> dict[str, Any]:
        """All settings that change the numbers."""
        layers = [
            {
                "layer": name,
                "pooling": self.poolings[name],
                "projection": p.key if (p := self.projections[name]) else None,
                # Earlier versions read these layers after they had been overwritten.
                **({"output": "before it is written over"} if name in self.overwritten else {}),
            }
            for name in self.layers
        ]
        key = {"schema": 1, **self.backbone.key, "layers": layers, "dtype": self.dtype}
        if self.former and self.backbone.former_weights is not None:
            key["weights"] = self.backbone.former_weights()
        if self.bands:
            key["bands"] = [band["columns"] for band in self.bands]
        return key if self.precision == "float32" else {**key, "autocast": self.precision}

    @property
    def bands(self) -> list[dict[str, Any]]:
        """Name and columns of each band, empty for a space of one band."""
        bands = self.spec.bands if len(self.spec.bands) > 1 else ()
        return [{"name": "+".join(b), "columns": sum(map(self.widths.get, b))} for b in bands]

    @property
    def details(self) -> dict[str, Any]:
        """Further fields of the meta that are stored with the rows."""
        return {
            "origin": self.backbone.origin,
            "spec": {
                "layers": list(self.layers),
                "columns": [self.widths[name] for name in self.layers],
                "precision": self.precision,
            },
            "bands": self.bands,
            "provenance": provenance(),
        }

    def rows(self, pooled: Mapping[str, Mapping[str, Tensor]]) -> NDArray[Any]:
        """Return the rows (n_images, n_columns) of a batch from its pooled layers."""
        parts = []
        for name in self.layers:
            columns = pooled[name][self.poolings[name]].cpu().numpy()
            projection = self.projections[name]
            parts.append(projection(columns) if projection else columns)
            if self.dtype == "float16":
                _check_half(parts[-1], self.spec.name, name)
        return np.concatenate(parts, axis=1).astype(self.dtype, copy=False)


def _check_half(rows: NDArray[np.float32], name: str, layer: str) -> None:
    half = np.finfo(np.float16)
    sizes = np.abs(rows[np.isfinite(rows) & (rows != 0)])
    largest = float(sizes.max(initial=0.0))
    if largest > float(half.max):
        raise ExtractError(
            f"--dtype float16: {name} has values up to {largest:g} in layer {layer}, and float16 "
            f"ends at {half.max:g}; use --dtype float32"
        )
    # Below the smallest normal number, float16 loses digits, and finally rounds to 0.
    lost = np.count_nonzero(sizes < half.smallest_normal)
    if lost > VANISHING * sizes.size:
        raise ExtractError(
            f"--dtype float16: {name} has values of at most {largest:g} in layer {layer}, "
            f"{lost / sizes.size:.0%} of them below {half.smallest_normal:g}, where float16 loses "
            "digits or rounds to 0; use --dtype float32"
        )


def prepare(
    spec: Spec,
    request: Request,
    device: torch.device,
    precision: str = "float32",
    dtype: str = "float32",
) -> Prepared:
    """Build a space's network with its weights, and determine its layers, pooling and columns."""
    family = load_plugin(backbones, spec.family, "network family")
    backbone: Backbone = family.load(spec, request)
    name, spec = spec.name, check_layers(spec, backbone.layers, backbone.blocks)
    if spec.name != name:
        say(f"{name} is kept as {spec.name}: use that name from here on")
    layers = spec.layers or backbone.default_layers
    shapes, overwritten = find_overwritten(backbone, layers)
    poolings = {name: spec.pooling or default_pooling(shapes[name]) for name in layers}
    pooled = {name: pool(shapes[name], poolings[name], name).shape[1] for name in layers}
    projections = {
        name: choose_projection(pooled[name], spec.columns, backbone.dtype) for name in layers
    }
    widths = {n: p.key["columns"] if (p := projections[n]) else pooled[n] for n in layers}
    backbone.module.to(device)
    if backbone.dtype != "float32":  # no network runs
        precision, dtype = "float32", backbone.dtype
    at_once = batch_limit(backbone)
    if device.type == "cpu":
        at_once = max(1, min(at_once, OUTPUT_BYTES // largest_output(backbone, layers)))
    return Prepared(
        spec=spec,
        backbone=backbone,
        layers=layers,
        poolings=poolings,
        projections=projections,
        precision=precision,
        dtype=dtype,
        device=device,
        widths=widths,
        at_once=at_once,
        overwritten=overwritten,
    )


def batch_limit(backbone: Backbone) -> int:
    """Return the number of pictures in a pass where memory does not limit it, as on a GPU."""
    return max(1, min(BATCH, int(BATCH * (224 / backbone.size) ** 2)))


def compute(spaces: Sequence[Prepared], batch: Tensor) -> list[NDArray[Any]]:
    """Run a network once over a batch; return the rows (n_images, n_columns) of each space.

    Where memory runs out, the batch is halved.
    """
    first = spaces[0]
    rows = partial(_rows, spaces, precision=first.precision)
    return run_in_batches(
        rows, batch, first.at_once, f"{first.spec.name}: out of memory with {{}} pictures"
    )


def run_in_batches(
    work: Callable[[Tensor], list[NDArray[Any]]], items: Tensor, size: int, message: str
) -> list[NDArray[Any]]:
    """Run a network over batches of `size` items; it returns arrays with a row for each item.

    The message, with {} for the number of items, is printed when batches are halved.
    """

    def report(size: int, smaller: int) -> None:
        torch.cuda.empty_cache()
        say(f"{message.format(size)}; trying {smaller}")

    parts = []
    batches = Batches(len(items), size, report)
    for rows in batches:
        with batches.attempt():
            parts.append(work(items[rows]))
    if len(parts) == 1:
        return parts[0]
    return [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]


def _rows(spaces: Sequence[Prepared], batch: Tensor, precision: str) -> list[NDArray[Any]]:
    backbone, device = spaces[0].backbone, spaces[0].device
    names = list(dict.fromkeys(name for prepared in spaces for name in prepared.layers))

    def keep(layer: str, activation: Activation) -> dict[str, Tensor]:
        # Outputs are pooled before the network overwrites them. Some poolings share memory with
        # the output, so they are cloned, which takes little memory in comparison.
        poolings = {prepared.poolings[layer] for prepared in spaces if layer in prepared.layers}
        return {pooling: pool(activation, pooling, layer).clone() for pooling in poolings}

    with inferring(device, precision):
        pooled = backbone.forward(batch.to(device), names, keep)
        return [prepared.rows(pooled) for prepared in spaces]


@contextmanager
def inferring(device: torch.device, precision: str) -> Iterator[None]:
    """Run networks without gradients, with autocast to a precision unless that is float32."""
    autocast = PRECISIONS[precision]
    enabled = autocast is not None
    with torch.inference_mode(), torch.autocast(device.type, dtype=autocast, enabled=enabled):
        yield


def compare_precisions(spaces: Sequence[Prepared], batch: Tensor) -> list[float]:
    """Return, for each space, the smallest cosine of rows in reduced precision and in float32."""
    cosines = []
    for reduced, full in zip(compute(spaces, batch), _rows(spaces, batch, "float32"), strict=True):
        a, b = reduced.astype(np.float64), full.astype(np.float64)
        norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
        cosines.append(float(((a * b).sum(1) / np.where(norms > 0, norms, 1)).min()))
    return cosines


def report_precision(space: Any, cosine: float, items: str) -> None:
    """Print the smallest cosine of a space's rows in reduced precision and in float32."""
    say(
        f"{space.spec.name}: {space.precision} beside float32, cosine {cosine:.6f} "
        f"(the least of {items})"
    )

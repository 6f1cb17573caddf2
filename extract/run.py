"""A feature space made ready: the network, its layers, their pooling; from pictures to rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from base import load_plugin, provenance, say
from extract import backbones
from extract.backbone import Activation, Backbone, check_layers
from extract.errors import ExtractError
from extract.halving import in_halves
from extract.layer_listing import find_overwritten, largest_output
from extract.pooling import Projection, choose_projection, default_pooling, pool
from extract.spaces import Spec
from networks.weights import Request

PRECISIONS = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}
# Pictures of 224 pixels that a network takes at once; of larger ones fewer.
BATCH = 32
# On the CPU a network's largest layer puts out no more at once. Beyond 32 MB glibc would give each
# output back to the system, which then clears its pages anew: half of EfficientNet-Lite0's time.
OUTPUT_BYTES = 20 << 20
# The share of a layer's values that may lie where float16 loses digits.
VANISHING = 0.5


@dataclass
class Prepared:
    """A feature space ready to compute.

    Attributes
    ----------
    spec : Spec
        What was asked for.
    backbone : Backbone
        The network, on its device.
    layers : tuple of str
        What is computed, in order.
    poolings : dict of str to str
        How each layer is pooled.
    projections : dict of str to Projection or None
        How each layer is made narrower.
    precision : str
        "float32", "bfloat16" or "float16" (autocast).
    dtype : str
        Of the rows: "float32", "float16", or "uint8" for pixels.
    device : torch.device
        Where it runs.
    widths : dict of str to int
        The columns of each layer, as they are stored.
    at_once : int
        How many pictures the network takes at once.
    overwritten : frozenset of str
        Layers whose output the network writes over once it has used it.
    former : bool
        Whether its features are kept under the key of an earlier version.
    """

    spec: Spec
    backbone: Backbone
    layers: tuple[str, ...]
    poolings: dict[str, str]
    projections: dict[str, Projection | None]
    precision: str
    dtype: str
    device: torch.device
    widths: dict[str, int]
    at_once: int
    overwritten: frozenset[str] = frozenset()
    former: bool = False

    @property
    def former_key(self) -> dict[str, Any] | None:
        """The key of an earlier version for the same numbers, if there was another."""
        weights = self.backbone.former_weights
        return {**self.key, "weights": weights()} if weights is not None else None

    @property
    def key(self) -> dict[str, Any]:
        """All that changes the numbers."""
        layers = [
            {
                "layer": name,
                "pooling": self.poolings[name],
                "projection": p.key if (p := self.projections[name]) else None,
                # Only where it is: these were once read after the network had written over them.
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
        """Name and columns of each band, where the space has several."""
        if len(self.spec.bands) < 2:
            return []
        return [
            {"name": "+".join(band), "columns": sum(self.widths[name] for name in band)}
            for band in self.spec.bands
        ]

    @property
    def about(self) -> dict[str, Any]:
        """What else is kept with the rows."""
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
        """Project what the network gave for a batch.

        Returns
        -------
        array of `dtype` (n_images, n_columns)
            The layers side by side.
        """
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
    # Below the smallest normal number digits are lost, and in the end the whole value.
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
    """Build a space's network, with its weights, and settle its layers."""
    family = load_plugin(backbones, spec.family, "network family")
    backbone: Backbone = family.load(spec, request)
    named = check_layers(spec, backbone.layers, backbone.blocks)
    if named.name != spec.name:
        say(f"{spec.name} is kept as {named.name}: use that name from here on")
    spec = named
    layers = spec.layers or backbone.default_layers
    shapes, overwritten = find_overwritten(backbone, layers)
    poolings = {name: spec.pooling or default_pooling(shapes[name]) for name in layers}
    pooled = {name: pool(shapes[name], poolings[name], name).shape[1] for name in layers}
    projections = {
        name: choose_projection(pooled[name], spec.columns, backbone.dtype) for name in layers
    }
    widths = {n: p.key["columns"] if (p := projections[n]) else pooled[n] for n in layers}
    backbone.module.to(device)
    own = dtype if backbone.dtype == "float32" else backbone.dtype
    if backbone.dtype != "float32":  # no network runs
        precision = "float32"
    return Prepared(
        spec=spec,
        backbone=backbone,
        layers=layers,
        poolings=poolings,
        projections=projections,
        precision=precision,
        dtype=own,
        device=device,
        widths=widths,
        at_once=_at_once(backbone, layers, device),
        overwritten=overwritten,
    )


def _at_once(backbone: Backbone, layers: Sequence[str], device: torch.device) -> int:
    most = max(1, min(BATCH, int(BATCH * (224 / backbone.size) ** 2)))
    if device.type != "cpu":
        return most
    return max(1, min(most, OUTPUT_BYTES // largest_output(backbone, layers)))


def compute(same: Sequence[Prepared], batch: Tensor) -> list[NDArray[Any]]:
    """Run a network once over a batch, for all spaces that are layers of it.

    Returns
    -------
    list of array (n_images, n_columns)
        The rows of each space. Where memory runs out, half as many pictures are taken at once.
    """
    first = same[0]
    rows = partial(_rows, same, precision=first.precision)
    what = f"{first.spec.name}: out of memory with {{}} pictures"
    size = first.at_once
    pieces = [batch[start : start + size] for start in range(0, len(batch), size)]
    parts = [in_halves(rows, piece, what) for piece in pieces]
    if len(parts) == 1:
        return parts[0]
    return [np.concatenate(found) for found in zip(*parts, strict=True)]


def _rows(same: Sequence[Prepared], batch: Tensor, precision: str) -> list[NDArray[Any]]:
    backbone, device = same[0].backbone, same[0].device
    names = list(dict.fromkeys(name for prepared in same for name in prepared.layers))
    autocast = PRECISIONS[precision]

    def keep(layer: str, activation: Activation) -> dict[str, Tensor]:
        # Pooled at once: what the network writes over is not needed whole any more. The clone is of
        # poolings that share memory with the output, and is small beside the others.
        poolings = {prepared.poolings[layer] for prepared in same if layer in prepared.layers}
        return {how: pool(activation, how, layer).clone() for how in poolings}

    with (
        torch.inference_mode(),
        torch.autocast(device.type, dtype=autocast, enabled=autocast is not None),
    ):
        pooled = backbone.forward(batch.to(device), names, keep)
        return [prepared.rows(pooled) for prepared in same]


def compare_precisions(same: Sequence[Prepared], batch: Tensor) -> list[float]:
    """Compare rows of reduced precision with those of float32.

    Returns
    -------
    list of float
        For each space the least cosine between the two rows of a picture.
    """
    found = []
    for reduced, full in zip(compute(same, batch), _rows(same, batch, "float32"), strict=True):
        a, b = reduced.astype(np.float64), full.astype(np.float64)
        norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
        found.append(float(((a * b).sum(1) / np.where(norms > 0, norms, 1)).min()))
    return found

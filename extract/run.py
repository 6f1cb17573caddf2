"""From a name to rows in the cache: build the network, find what is missing, compute it."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from base import load_plugin, progress, provenance, say
from cache import FeatureStore
from challenge import load_rgb
from extract import backbones
from extract.backbone import Activation, Backbone
from extract.pooling import Projection, choose_projection, default_pooling, pool
from extract.spaces import Spec
from extract.weights import Request

PRECISIONS = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}
# Pictures of 224 pixels in a batch; larger inputs get fewer.
BATCH = 32


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
    device : torch.device
        Where it runs.
    """

    spec: Spec
    backbone: Backbone
    layers: tuple[str, ...]
    poolings: dict[str, str]
    projections: dict[str, Projection | None]
    precision: str
    device: torch.device

    @property
    def key(self) -> dict[str, Any]:
        """All that changes the numbers."""
        layers = [
            {
                "layer": name,
                "pooling": self.poolings[name],
                "projection": p.key if (p := self.projections[name]) else None,
            }
            for name in self.layers
        ]
        key = {"schema": 1, **self.backbone.key, "layers": layers, "dtype": "float32"}
        return key if self.precision == "float32" else {**key, "autocast": self.precision}

    def rows(self, batch: Tensor) -> NDArray[np.float32]:
        """Compute the features of a batch.

        Parameters
        ----------
        batch : Tensor (n_images, 3, size, size)
            Preprocessed pictures.

        Returns
        -------
        array of float32 (n_images, n_columns)
            The layers side by side.
        """
        autocast = PRECISIONS[self.precision]
        with (
            torch.inference_mode(),
            torch.autocast(self.device.type, dtype=autocast, enabled=autocast is not None),
        ):
            given = self.backbone.forward(batch.to(self.device), self.layers)
            pooled = {
                name: pool(given[name], self.poolings[name], name).cpu().numpy()
                for name in self.layers
            }
        parts = []
        for name in self.layers:
            projection = self.projections[name]
            parts.append(projection(pooled[name]) if projection else pooled[name])
        return np.concatenate(parts, axis=1)


def prepare(
    spec: Spec, request: Request, device: torch.device, precision: str = "float32"
) -> Prepared:
    """Build a space's network, with its weights, and settle its layers.

    Parameters
    ----------
    spec : Spec
        The space.
    request : Request
        Where its weights may come from.
    device : torch.device
        Where to run.
    precision : str
        A name in `PRECISIONS`.

    Returns
    -------
    Prepared
        Ready to compute.
    """
    family = load_plugin(backbones, spec.family, "network family")
    backbone: Backbone = family.load(spec, request)
    layers = spec.layers or backbone.default_layers
    shapes = _dry_run(backbone, layers)
    poolings = {name: spec.pooling or default_pooling(shapes[name]) for name in layers}
    widths = {name: pool(shapes[name], poolings[name], name).shape[1] for name in layers}
    projections = {name: choose_projection(widths[name], spec.columns) for name in layers}
    backbone.module.to(device)
    return Prepared(spec, backbone, layers, poolings, projections, precision, device)


def _dry_run(backbone: Backbone, layers: Sequence[str]) -> dict[str, Activation]:
    """Learn the layers' shapes without computing: SAM takes 11 s a picture on two cores."""
    with FakeTensorMode(allow_non_fake_inputs=True), torch.no_grad():
        return backbone.forward(torch.empty(1, 3, backbone.size, backbone.size), layers)


def extract_space(
    prepared: Prepared, pictures: Sequence[tuple[str, Path]], store: FeatureStore
) -> int:
    """Compute the rows that a space lacks, and store them.

    Parameters
    ----------
    prepared : Prepared
        The space.
    pictures : sequence of (str, Path)
        The sha256 and the file of each picture, each once.
    store : FeatureStore
        Where to.

    Returns
    -------
    int
        How many pictures were computed; the others had a row already.
    """
    name, key = prepared.spec.name, prepared.key
    about = {
        "origin": prepared.backbone.origin,
        "spec": {"layers": list(prepared.layers), "precision": prepared.precision},
        "provenance": provenance(),
    }
    with store.writer(name, key, about) as writer:
        stored = writer.stored()
        missing = [picture for picture in pictures if picture[0] not in stored]
        if not missing:
            return 0
        size = max(1, min(BATCH, int(BATCH * (224 / prepared.backbone.size) ** 2)))
        with progress(total=len(missing), desc=name, unit="picture") as bar:
            for digests, batch in _read_ahead(missing, prepared.backbone, size):
                writer.add(digests, _compute(prepared, batch))
                bar.update(len(digests))
    return len(missing)


def _compute(prepared: Prepared, batch: Tensor) -> NDArray[np.float32]:
    """Compute a batch, in halves where it does not fit on the device."""
    try:
        return prepared.rows(batch)
    except torch.OutOfMemoryError:
        if len(batch) == 1:
            raise
        torch.cuda.empty_cache()
        half = len(batch) // 2
        say(f"{prepared.spec.name}: out of memory with {len(batch)} pictures; trying {half}")
        return np.concatenate([_compute(prepared, batch[:half]), _compute(prepared, batch[half:])])


def _read_ahead(
    pictures: Sequence[tuple[str, Path]], backbone: Backbone, size: int
) -> Iterator[tuple[list[str], Tensor]]:
    """Decode the next batches in threads while the network works on this one."""

    def read(path: Path) -> Tensor:
        return backbone.preprocess(load_rgb(path))

    batches = [pictures[start : start + size] for start in range(0, len(pictures), size)]
    with ThreadPoolExecutor(max_workers=4) as pool_of_threads:
        waiting: list[list[Future[Tensor]]] = []
        try:
            for number in range(len(batches) + 2):
                if number < len(batches):
                    waiting.append([pool_of_threads.submit(read, p) for _, p in batches[number]])
                if number >= 2:
                    ready = torch.stack([future.result() for future in waiting.pop(0)])
                    yield [name for name, _ in batches[number - 2]], ready
        finally:
            pool_of_threads.shutdown(cancel_futures=True)

"""Features of any pictures: rows of the cache, or computed as the fit's features were."""

import hashlib
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from base import nearest
from cache import Entry, FeatureStore, digest
from cache.feature_table import row_names
from cache.key import differences
from extract.naming import use_former_keys
from extract.pipeline.shared_passes import share_networks
from extract.run import Prepared, compute, prepare
from extract.spaces import TEXT_FAMILIES, resolve
from networks.weights import Request
from predict.errors import PredictError

Rows = NDArray[Any]


def picture_digest(content: bytes) -> str:
    """Return the sha256 of a picture's file, by which the cache knows it."""
    return hashlib.sha256(content).hexdigest()


@dataclass
class FeatureReader:
    """Features of some spaces: those in the cache are read, others computed.

    Attributes
    ----------
    store : FeatureStore, optional
        The cache.
    digests : mapping of str to str
        The digest of the key of each space, by its name.
    keys : mapping of str to dict
        The keys themselves, where the cache does not have the space.
    weights : sequence of str
        `SPACE=FILE` for weights that no hub or package here has.
    device : torch.device
        Where networks run.
    """

    store: FeatureStore | None
    digests: Mapping[str, str]
    keys: Mapping[str, dict[str, Any]]
    weights: Sequence[str]
    device: torch.device

    def __post_init__(self) -> None:
        self.entries = {name: self._entry(name) for name in self.digests}
        self._stored = {
            name: frozenset(n.decode() for n in row_names(entry.path)) if entry else frozenset()
            for name, entry in self.entries.items()
        }
        self._prepared: dict[str, Prepared] = {}
        self._lock = threading.Lock()

    def _entry(self, name: str) -> Entry | None:
        entries = self.store.entries_named(name) if self.store else []
        return next((entry for entry in entries if entry.digest == self.digests[name]), None)

    def is_stored(self, name: str) -> bool:
        """Return whether the cache has a picture in all spaces, by the sha256 of its file."""
        return all(name in stored for stored in self._stored.values())

    def read(self, names: Sequence[str]) -> dict[str, Rows]:
        """Read the rows of stored pictures, by space."""
        assert self.store is not None  # as `is_stored` said
        entries = {name: entry for name, entry in self.entries.items() if entry is not None}
        return {n: self.store.read(e, names, as_stored=True) for n, e in entries.items()}

    def prepare(self) -> None:
        """Build the networks with their weights, once; threads may call it at the same time."""
        with self._lock:
            if not self._prepared:
                prepared = {name: self._prepare(name) for name in self.digests}
                share_networks(list(prepared.values()))
                self._prepared = prepared

    @property
    def networks(self) -> list[Prepared]:
        """One prepared space of each distinct network, ready to run."""
        self.prepare()
        return list({id(p.backbone): p for p in self._prepared.values()}.values())

    def preprocess(self, picture: Image.Image) -> list[torch.Tensor]:
        """Preprocess a square RGB picture for each network."""
        return [network.backbone.preprocess(picture) for network in self.networks]

    def compute(self, inputs: Sequence[Sequence[torch.Tensor]]) -> dict[str, Rows]:
        """Compute the rows of pictures, by space, from what `preprocess` returned for each."""
        rows: dict[str, Rows] = {}
        for number, network in enumerate(self.networks):
            names = [n for n, p in self._prepared.items() if p.backbone is network.backbone]
            batch = torch.stack([picture[number] for picture in inputs])
            group = [self._prepared[name] for name in names]
            rows.update(zip(names, compute(group, batch), strict=True))
        return rows

    def _prepare(self, name: str) -> Prepared:
        entry = self.entries[name]
        key = entry.meta["key"] if entry else self.keys.get(name, {})
        if "imported" in key:
            raise PredictError(
                f"the fit reads {name}, which was imported: its features of other pictures cannot "
                "be computed here; import rows for these pictures too, or name other fits"
            )
        spec = resolve(name)
        if spec.family in TEXT_FAMILIES:
            raise PredictError(
                f"the fit reads {name}, which is computed from captions: a picture alone has none; "
                "name fits without it"
            )
        value = _weights_of(name, self.weights) or key.get("weights", {}).get("untrained")
        precision, dtype = key.get("autocast", "float32"), key.get("dtype", "float32")
        prepared = prepare(spec, Request(name, value), self.device, precision, dtype)
        use_former_keys([prepared], {self.digests[name]: [name]})
        if digest(prepared.key) != self.digests[name]:
            different = ", ".join(differences(key, prepared.key)) if key else "unknown"
            raise PredictError(
                f"{name}: the features computed here are not those of the fit (different: "
                f"{different}): give the weights with --weights {name}=FILE, or fit again on "
                "features of this version"
            )
        return prepared


def check_weights(weights: Sequence[str], spaces: Sequence[str]) -> None:
    """Raise if an item is not `SPACE=FILE` of one of the spaces."""
    for item in weights:
        name, separator, value = item.partition("=")
        if not separator or not value or name not in spaces:
            raise PredictError(
                f"--weights {item}: expected SPACE=FILE with a space from {', '.join(spaces)}"
                f"{nearest(name, spaces)}"
            )


def _weights_of(name: str, weights: Sequence[str]) -> str | None:
    pairs = (item.partition("=") for item in weights)
    return next((value for space, _, value in pairs if space == name), None)


def stack_columns(rows: Mapping[str, Rows], spaces: Sequence[str]) -> Rows:
    """Stack the columns of spaces as fits take them: float32, or bytes where all are bytes."""
    parts = [rows[name] for name in spaces]
    dtype = np.uint8 if all(part.dtype == np.uint8 for part in parts) else np.float32
    if len(parts) == 1:
        return parts[0].astype(dtype, copy=False)
    stacked = np.empty((len(parts[0]), sum(part.shape[1] for part in parts)), dtype)
    return np.concatenate(parts, axis=1, out=stacked, casting="unsafe")

"""Feature spaces of captions: the mean of a picture's caption embeddings by a CLIP text tower.

Each caption's embedding is normalised to length 1, as in the training of CLIP; their mean is not,
so that its length measures the agreement of a picture's captions.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import open_clip
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from base import progress, provenance, say
from cache import FeatureStore
from extract.backbone import freeze
from extract.backbones.open_clip import PACKAGE, build, load_weights
from extract.pooling import Projection, choose_projection
from extract.run import inferring, report_precision, run_in_batches
from extract.spaces import Spec
from extract.text.captions import Captions
from extract.text.text_tower import (
    FAMILY,
    LAYER,
    TextTower,
    check_text,
    count_cut,
    model_config,
    tokenizer_key,
)
from networks.weights import Request, weights_key

POOLING = "mean of normalised, not normalised again"
# Captions in a batch, and pictures whose rows are written at once.
BATCH, CHUNK = 64, 128


@dataclass
class PreparedText:
    """A feature space of captions, ready to compute."""

    spec: Spec
    tower: TextTower
    tokenizer: Any  # open_clip's SimpleTokenizer
    key: dict[str, Any]
    origin: str  # of the weights
    projection: Projection | None
    precision: str  # "float32", "bfloat16" or "float16" (autocast)
    device: torch.device
    files: tuple[str, ...]  # names of the files of captions

    @property
    def details(self) -> dict[str, Any]:
        """Further fields of the meta that are stored with the rows."""
        return {
            "origin": self.origin,
            "captions": list(self.files),
            "spec": {"layers": [LAYER], "precision": self.precision},
            "provenance": provenance(),
        }

    def embed(self, tokens: Tensor) -> NDArray[np.float32]:
        """Return normalised embeddings (n_captions, n_columns) of tokenised captions."""
        with inferring(self.device, self.precision):
            embeddings = self.tower.embed(tokens.to(self.device))
        return normalize(embeddings.float(), dim=-1).cpu().numpy()


def prepare_text(
    spec: Spec,
    request: Request,
    captions: Captions,
    device: torch.device,
    precision: str = "float32",
    dtype: str = "float32",
) -> PreparedText:
    """Build a text tower; the sources in `request` have the weights of both towers."""
    check_text(spec)
    clip = build(spec, request)
    origin = load_weights(clip, request)
    tower = TextTower(freeze(clip.module))
    tokenizer = open_clip.get_tokenizer(spec.model)
    projection = choose_projection(model_config(spec)["embed_dim"], spec.columns)
    key = {
        "schema": 1,
        "family": FAMILY,
        "model": spec.model,
        "quick_gelu": clip.quick_gelu,
        "weights": weights_key(tower, request.seed, PACKAGE),
        "tokenizer": tokenizer_key(spec, tokenizer),
        "context_length": tokenizer.context_length,
        "pooling": POOLING,
        "projection": projection.key if projection else None,
        "captions": captions.digest,
        "dtype": dtype,
    }
    if precision != "float32":
        key["autocast"] = precision
    tower.to(device)
    files = tuple(path.name for path in captions.files)
    return PreparedText(spec, tower, tokenizer, key, origin, projection, precision, device, files)


def extract_text(
    prepared: PreparedText, captions: Mapping[str, Sequence[str]], store: FeatureStore
) -> int:
    """Compute and store the missing rows of a space of captions; return their number.

    `captions` has the captions of each picture, by its sha256.
    """
    name = prepared.spec.name
    with store.writer(name, prepared.key, prepared.details) as writer:
        stored = writer.stored_digests()
        missing = {d: texts for d, texts in captions.items() if d not in stored}
        if not missing:
            return 0
        with progress(total=len(missing), desc=name, unit="picture") as bar:
            for digests, rows in _rows(prepared, missing):
                writer.add(digests, rows.astype(prepared.key["dtype"], copy=False))
                bar.update(len(digests))
    return len(missing)


def _rows(
    prepared: PreparedText, captions: Mapping[str, Sequence[str]]
) -> Iterator[tuple[list[str], NDArray[np.float32]]]:
    """Yield mean embeddings of each picture's captions, encoding each distinct caption once."""
    remaining = Counter(text for texts in captions.values() for text in set(texts))
    distinct, n_cut = len(remaining), 0
    embeddings: dict[str, NDArray[np.float32]] = {}
    names = list(captions)
    message = f"{prepared.spec.name}: out of memory with {{}} captions"
    for start in range(0, len(names), CHUNK):
        chunk = names[start : start + CHUNK]
        new = {text for name in chunk for text in captions[name]} - embeddings.keys()
        # Captions of similar length share a batch, which is as long as its longest caption.
        ordered = sorted(new, key=lambda text: (len(text), text))
        for first in range(0, len(ordered), BATCH):
            batch = ordered[first : first + BATCH]
            tokens = prepared.tokenizer(batch)
            if start == first == 0 and prepared.precision != "float32":
                _report_precision(prepared, tokens[:4])
            n_cut += count_cut(prepared.tokenizer, batch, tokens)
            # Copied, since a view of a row would keep the whole batch in memory.
            (rows_of_batch,) = run_in_batches(
                lambda part: [prepared.embed(part)], tokens, len(tokens), message
            )
            embeddings.update(zip(batch, map(np.copy, rows_of_batch), strict=True))
        rows = np.stack([np.mean([embeddings[t] for t in captions[n]], axis=0) for n in chunk])
        yield chunk, prepared.projection(rows) if prepared.projection else rows
        for text in (text for name in chunk for text in set(captions[name])):
            remaining[text] -= 1
            if not remaining[text]:  # bounds the memory
                del embeddings[text]
    if n_cut:
        limit = prepared.tokenizer.context_length
        say(f"{prepared.spec.name}: {n_cut} of {distinct} captions are cut at {limit} tokens")


def _report_precision(prepared: PreparedText, tokens: Tensor) -> None:
    exact = replace(prepared, precision="float32").embed(tokens)
    cosine = float((exact * prepared.embed(tokens)).sum(axis=1).min())
    report_precision(prepared, cosine, f"{len(tokens)} captions")

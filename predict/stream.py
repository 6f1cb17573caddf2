"""The features of a stream of pictures, computed or from the cache, a chunk in memory at a time."""

import io
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from base import progress
from base.memory import release
from predict.encoder import BATCH, CHUNK
from predict.errors import PredictError
from predict.features import FeatureReader, picture_digest
from predict.pictures import Picture, Source, decode

# Seconds after which a chunk is predicted, however few pictures it has: a kill loses no more.
CHUNK_SECONDS = 20.0


class Item(NamedTuple):
    """A picture of the stream, ready for the networks."""

    name: str
    digest: str
    inputs: list[torch.Tensor] | None = None  # by network; None where nothing is computed
    thumbnail: bytes = b""
    fault: str = ""


@dataclass
class Chunk:
    """Some pictures, and the features of those that are needed.

    Attributes
    ----------
    names : dict of str to str
        The sha256 of each picture by its name.
    rows : dict of str to array (n_images, n_columns)
        By space, the features of the needed pictures, each once.
    digests : list of str
        The sha256 of each row.
    thumbnails : dict of str to bytes
        Small JPEGs by sha256, where they were asked for.
    faults : list of str
        What is wrong with damaged pictures, which are in none of the others.
    """

    names: dict[str, str] = field(default_factory=dict)
    rows: dict[str, NDArray[Any]] = field(default_factory=dict)
    digests: list[str] = field(default_factory=list)
    thumbnails: dict[str, bytes] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


@dataclass
class PictureStream:
    """The pictures of a source with their features; threads decode ahead of the networks.

    Attributes
    ----------
    source : Source
        The pictures.
    reader : FeatureReader
        Their features.
    is_needed : callable
        Returns whether the features of a picture are needed, by its sha256.
    skip_damaged : bool
        Whether damaged pictures are listed in the chunks' `faults`; else they raise an error.
    side : int
        Width and height of thumbnails in pixels; 0 for none.
    """

    source: Source
    reader: FeatureReader
    is_needed: Callable[[str], bool]
    skip_damaged: bool = False
    side: int = 0

    def chunks(self, title: str) -> Iterator[Chunk]:
        """Yield all pictures, some hundreds at a time, and show the progress."""
        chunk, start = Chunk(), time.monotonic()
        computed: dict[str, dict[str, NDArray[Any]]] = {}
        with progress(total=len(self.source.names), desc=title, unit="picture") as bar:
            try:
                for items in self._batches():
                    self._add(chunk, computed, items)
                    bar.update(len(items))
                    is_due = time.monotonic() - start > CHUNK_SECONDS
                    if len(chunk.digests) >= CHUNK or (chunk.digests and is_due):
                        yield self._finish(chunk, computed)
                        chunk, computed, start = Chunk(), {}, time.monotonic()
                        release()
            except (PredictError, KeyboardInterrupt):
                # What was computed before a damaged picture, or Ctrl-C, is kept.
                yield self._finish(chunk, computed)
                raise
            if chunk.names or chunk.faults:
                yield self._finish(chunk, computed)

    def _add(
        self, chunk: Chunk, computed: dict[str, dict[str, NDArray[Any]]], items: list[Item]
    ) -> None:
        """Add a batch of pictures, and compute the features that the cache lacks."""
        faults = [item.fault for item in items if item.fault]
        if faults and not self.skip_damaged:
            hint = "--skip-damaged leaves out pictures that cannot be read"
            raise PredictError("\n".join([*faults, hint]))
        chunk.faults += faults
        readable = [item for item in items if not item.fault]
        new = {
            item.digest: item
            for item in readable
            if item.digest not in chunk.digests and self.is_needed(item.digest)
        }
        inputs = {name: item.inputs for name, item in new.items() if item.inputs is not None}
        if inputs:
            rows = self.reader.compute(list(inputs.values()))
            for number, name in enumerate(inputs):
                computed[name] = {space: values[number] for space, values in rows.items()}
        # Only now, so that an interrupted chunk holds nothing without its features.
        chunk.digests += new
        chunk.thumbnails |= {n: item.thumbnail for n, item in new.items() if item.thumbnail}
        chunk.names |= {item.name: item.digest for item in readable}

    def _finish(self, chunk: Chunk, computed: dict[str, dict[str, NDArray[Any]]]) -> Chunk:
        """Put the computed rows and those of the cache in the order of the pictures."""
        stored = [name for name in chunk.digests if name not in computed]
        read = self.reader.read(stored) if stored else {}
        for number, name in enumerate(stored):
            computed[name] = {space: values[number] for space, values in read.items()}
        if chunk.digests:
            for space in self.reader.digests:
                chunk.rows[space] = np.stack([computed[name][space] for name in chunk.digests])
        return chunk

    def _batches(self) -> Iterator[list[Item]]:
        threads = max(1, min(8, torch.get_num_threads()))
        with ThreadPoolExecutor(threads) as pool:
            batch: list[Item] = []
            for item in _ahead(pool, self._load, self.source.read(), 2 * BATCH):
                batch.append(item)
                if len(batch) == BATCH:
                    yield batch
                    batch = []
            if batch:
                yield batch

    def _load(self, picture: Picture) -> Item:
        name = picture_digest(picture.content)
        item = Item(picture.name, name)
        if not self.is_needed(name) or (self.reader.is_stored(name) and not self.side):
            return item
        if not self.reader.is_stored(name):
            self.reader.prepare()
        try:
            square = decode(picture)
        except PredictError as error:
            return item._replace(fault=str(error))
        if not self.reader.is_stored(name):
            item = item._replace(inputs=self.reader.preprocess(square))
        return item._replace(thumbnail=_thumbnail(square, self.side)) if self.side else item


def _thumbnail(picture: Image.Image, side: int) -> bytes:
    content = io.BytesIO()
    picture.resize((side, side), Image.Resampling.BICUBIC).save(content, "JPEG", quality=80)
    return content.getvalue()


def _ahead(
    pool: ThreadPoolExecutor,
    work: Callable[[Picture], Item],
    pictures: Iterable[Picture],
    n_ahead: int,
) -> Iterator[Item]:
    """Yield the results of work in order, with some in the making."""
    pending: deque[Future[Item]] = deque()
    try:
        for picture in pictures:
            pending.append(pool.submit(work, picture))
            if len(pending) > n_ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()

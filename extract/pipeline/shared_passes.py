"""Computation of several spaces at once, decoding each picture once and running each network once.

Spaces of the same network and weights share it. Rows are published while others are computed, so
that an interrupted run does not compute them again.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from torch import Tensor

from base import progress
from base.memory import release
from cache import FeatureStore, canonical
from cache.feature_writer import ShardWriter
from extract.picture_reader import batch_size, read_batches
from extract.run import Prepared, compare_precisions, compute, report_precision

# Number of batches after which freed memory is returned to the system.
TRIM = 4
Picture = tuple[str, Path]
# Indices of spaces, and the pictures without a row in all of these spaces.
Work = tuple[tuple[int, ...], list[Picture]]


@dataclass
class RunStats:
    """Statistics of a run."""

    computed: list[int]  # pictures, for each space
    network_seconds: float = 0.0
    # The `id` of networks whose reduced precision was compared with float32.
    compared: set[int] = field(default_factory=set)


Writer = TypeVar("Writer", bound=ShardWriter)
# Computes the rows of work, and yields numbers of computed pictures.
Spread = Callable[[Sequence[Work], RunStats], Iterator[int]]


def share_networks(ready: Sequence[Prepared]) -> None:
    """Share one network between spaces of equal networks and weights; free the others."""
    first: dict[str, Prepared] = {}
    for prepared in ready:
        original = first.setdefault(canonical(prepared.backbone.key), prepared)
        prepared.backbone = original.backbone


def extract_spaces(
    ready: Sequence[Prepared],
    pictures: Sequence[Picture],
    store: FeatureStore,
    workers: int = 0,
    spread: Spread | None = None,
) -> RunStats:
    """Compute and store the missing rows of distinct pictures; `spread` does so elsewhere."""
    share_networks(ready)
    with ExitStack() as stack:
        writers = open_writers(ready, store.writer, stack)
        names = {digest for digest, _ in pictures}
        missing = [names - writer.stored_digests() for writer in writers]
        stats = RunStats([len(names) for names in missing])
        work = _divide(pictures, missing)
        count = sum(len(group) for _, group in work)
        if count:
            labels = [p.spec.name for p, left in zip(ready, missing, strict=True) if left]
            if spread is None:
                spread = partial(compute_rows, ready, writers, workers)
            with progress(total=count, desc=" + ".join(labels), unit="picture") as bar:
                for n_images in spread(work, stats):
                    bar.update(n_images)
    return stats


def open_writers(
    ready: Sequence[Prepared], make_writer: Callable[..., Writer], stack: ExitStack
) -> list[Writer]:
    """Open the writer of each space, in an order that avoids a deadlock of two processes."""
    writers = [make_writer(p.spec.name, p.key, p.details) for p in ready]
    for writer in sorted(writers, key=lambda writer: writer.path):
        stack.enter_context(writer)
    return writers


def _divide(pictures: Sequence[Picture], missing: Sequence[set[str]]) -> list[Work]:
    """Group the pictures by the spaces in which they have no row."""
    groups: dict[tuple[int, ...], list[Picture]] = defaultdict(list)
    for picture in pictures:
        spaces = tuple(n for n, names in enumerate(missing) if picture[0] in names)
        if spaces:
            groups[spaces].append(picture)
    return list(groups.items())


def compute_rows(
    ready: Sequence[Prepared],
    writers: Sequence[ShardWriter],
    workers: int,
    work: Sequence[Work],
    stats: RunStats,
) -> Iterator[int]:
    """Compute and add rows, yielding the number of pictures of each batch; update `stats`."""
    for spaces, pictures in work:
        # Numbers of spaces, by their network.
        networks: dict[int, list[int]] = defaultdict(list)
        for number in spaces:
            networks[id(ready[number].backbone)].append(number)
        backbones = [ready[numbers[0]].backbone for numbers in networks.values()]
        size = batch_size([backbone.size for backbone in backbones])
        digests, paths = zip(*pictures, strict=True)
        batches = read_batches(paths, [b.preprocess for b in backbones], size, workers)
        for start, batch in zip(range(0, len(pictures), size), batches, strict=True):
            names = digests[start : start + size]
            for (network, numbers), tensor in zip(networks.items(), batch, strict=True):
                group = [ready[number] for number in numbers]
                if network not in stats.compared:
                    stats.compared.add(network)
                    _report_precision(group, tensor)
                start_time = time.perf_counter()
                rows = compute(group, tensor)
                stats.network_seconds += time.perf_counter() - start_time
                for number, features in zip(numbers, rows, strict=True):
                    writers[number].add(names, features)
            if start // size % TRIM == 0:
                release()
            yield len(names)


def _report_precision(spaces: Sequence[Prepared], batch: Tensor) -> None:
    if spaces[0].precision != "float32":
        batch = batch[:4]
        for prepared, cosine in zip(spaces, compare_precisions(spaces, batch), strict=True):
            report_precision(prepared, cosine, f"{len(batch)} pictures")

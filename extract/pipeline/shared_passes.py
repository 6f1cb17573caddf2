"""Computation of several spaces at once, decoding each picture once and running each network once.

Spaces of the same network and weights share it. Rows are published while others are computed, so
that an interrupted run does not compute them again.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from base import progress, say
from base.memory import release
from cache import FeatureStore, canonical
from cache.feature_writer import FeatureWriter, ShardWriter
from extract.picture_reader import batch_size, read_batches
from extract.run import Prepared, compare_precisions, compute

# Number of batches after which freed memory is returned to the system.
TRIM = 4
Picture = tuple[str, Path]
# Indices of spaces, and the pictures without a row in all of these spaces.
Work = tuple[tuple[int, ...], list[Picture]]


@dataclass
class RunStats:
    """Statistics of a run.

    Attributes
    ----------
    computed : list of int
        The number of computed pictures of each space.
    network_seconds : float
        The time in which a network was running.
    compared : set of int
        The `id` of networks whose reduced precision was compared with float32.
    """

    computed: list[int]
    network_seconds: float = field(default=0.0)
    compared: set[int] = field(default_factory=set)


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
    """Compute and store the missing rows of spaces.

    Parameters
    ----------
    pictures : sequence of (str, Path)
        The sha256 and the file of each distinct picture.
    spread : callable, optional
        Computes the rows in other processes or jobs, in place of `compute_rows`.
    """
    share_networks(ready)
    with ExitStack() as stack:
        writers = open_writers(ready, store, stack)
        missing = [_missing(writer, pictures) for writer in writers]
        stats = RunStats([len(names) for names in missing])
        work = _divide(pictures, missing)
        count = sum(len(group) for _, group in work)
        if count:
            label = " + ".join(
                p.spec.name for p, names in zip(ready, missing, strict=True) if names
            )
            computing = (
                spread(work, stats)
                if spread
                else compute_rows(ready, writers, work, workers, stats)
            )
            with progress(total=count, desc=label, unit="picture") as bar:
                for n_images in computing:
                    bar.update(n_images)
    return stats


def open_writers(
    ready: Sequence[Prepared], store: FeatureStore, stack: ExitStack
) -> list[FeatureWriter]:
    """Open the writer of each space, in an order that avoids a deadlock of two processes."""
    writers = [store.writer(p.spec.name, p.key, p.details) for p in ready]
    for writer in sorted(writers, key=lambda writer: writer.path):
        stack.enter_context(writer)
    return writers


def _missing(writer: FeatureWriter, pictures: Sequence[Picture]) -> set[str]:
    stored = writer.stored_digests()
    return {digest for digest, _ in pictures if digest not in stored}


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
    work: Sequence[Work],
    workers: int,
    stats: RunStats,
) -> Iterator[int]:
    """Compute and add rows, yielding the number of pictures of each batch; update `stats`."""
    for spaces, pictures in work:
        networks = _group_by_network([ready[number] for number in spaces])
        backbones = [network[0].backbone for network in networks]
        size = batch_size([backbone.size for backbone in backbones])
        paths = [path for _, path in pictures]
        digests = [digest for digest, _ in pictures]
        batches = read_batches(paths, [b.preprocess for b in backbones], size, workers)
        for start, batch in zip(range(0, len(pictures), size), batches, strict=True):
            names = digests[start : start + size]
            for network, tensor in zip(networks, batch, strict=True):
                if id(network[0].backbone) not in stats.compared:
                    stats.compared.add(id(network[0].backbone))
                    _report_precision(network, tensor)
                start_time = time.perf_counter()
                rows = compute(network, tensor)
                stats.network_seconds += time.perf_counter() - start_time
                for prepared, features in zip(network, rows, strict=True):
                    writers[_index(ready, prepared)].add(names, features)
            if start // size % TRIM == 0:
                release()
            yield len(names)


def _group_by_network(spaces: Sequence[Prepared]) -> list[list[Prepared]]:
    """Group spaces by their network."""
    groups: dict[int, list[Prepared]] = defaultdict(list)
    for prepared in spaces:
        groups[id(prepared.backbone)].append(prepared)
    return list(groups.values())


def _index(ready: Sequence[Prepared], prepared: Prepared) -> int:
    return next(number for number, space in enumerate(ready) if space is prepared)


def _report_precision(spaces: Sequence[Prepared], tensor: Tensor) -> None:
    if spaces[0].precision != "float32":
        for prepared, cosine in zip(spaces, compare_precisions(spaces, tensor[:4]), strict=True):
            say(
                f"{prepared.spec.name}: {prepared.precision} beside float32, cosine {cosine:.6f} "
                f"(the least of {len(tensor[:4])} pictures)"
            )

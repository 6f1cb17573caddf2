"""Several spaces at once: each picture is decoded once, each network runs once for all its layers.

Spaces of the same network and weights share it. Rows are published while others are computed; what
an interrupted run has left is not computed again.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from base import progress, release, say
from cache import FeatureStore, FeatureWriter, ShardWriter, canonical
from extract.picture_reader import batch_size, read_batches
from extract.run import Prepared, compare_precisions, compute

# So many batches apart, freed memory is given back.
TRIM = 4
Picture = tuple[str, Path]
# Spaces, by number, and the pictures that all of them lack.
Work = tuple[tuple[int, ...], list[Picture]]


@dataclass
class Done:
    """What a run did.

    Attributes
    ----------
    computed : list of int
        How many pictures each space lacked.
    network_seconds : float
        Time in which a network was running.
    compared : set of int
        The networks, by `id`, of which the cosine of reduced precision needs no telling any more.
    """

    computed: list[int]
    network_seconds: float = field(default=0.0)
    compared: set[int] = field(default_factory=set)


Spread = Callable[[Sequence[Work], Done], Iterator[int]]


def share_networks(ready: Sequence[Prepared]) -> None:
    """Let spaces of equal networks and weights use one of them; the others are freed."""
    first: dict[str, Prepared] = {}
    for prepared in ready:
        same = first.setdefault(canonical(prepared.backbone.key), prepared)
        prepared.backbone = same.backbone


def extract_spaces(
    ready: Sequence[Prepared],
    pictures: Sequence[Picture],
    store: FeatureStore,
    workers: int = 0,
    spread: Spread | None = None,
) -> Done:
    """Compute the rows that spaces lack, and store them.

    Parameters
    ----------
    pictures : sequence of (str, Path)
        The sha256 and the file of each picture, each once.
    spread : callable, optional
        Computes the rows elsewhere, on several devices; as `compute_rows` gives them.

    Returns
    -------
    Done
        How many pictures each space lacked; the others had a row already.
    """
    share_networks(ready)
    with ExitStack() as stack:
        writers = open_writers(ready, store, stack)
        lacking = [_lacking(writer, pictures) for writer in writers]
        done = Done([len(names) for names in lacking])
        work = _divide(pictures, lacking)
        count = sum(len(group) for _, group in work)
        if count:
            label = " + ".join(
                p.spec.name for p, names in zip(ready, lacking, strict=True) if names
            )
            computing = (
                spread(work, done) if spread else compute_rows(ready, writers, work, workers, done)
            )
            with progress(total=count, desc=label, unit="picture") as bar:
                for n_images in computing:
                    bar.update(n_images)
    return done


def open_writers(
    ready: Sequence[Prepared], store: FeatureStore, stack: ExitStack
) -> list[FeatureWriter]:
    """Open the writer of each space, in an order that keeps two processes from a deadlock."""
    writers = [store.writer(p.spec.name, p.key, p.about) for p in ready]
    for writer in sorted(writers, key=lambda writer: writer.path):
        stack.enter_context(writer)
    return writers


def _lacking(writer: FeatureWriter, pictures: Sequence[Picture]) -> set[str]:
    stored = writer.stored_digests()
    return {digest for digest, _ in pictures if digest not in stored}


def _divide(pictures: Sequence[Picture], lacking: Sequence[set[str]]) -> list[Work]:
    """Group the pictures by the spaces that lack them."""
    groups: dict[tuple[int, ...], list[Picture]] = defaultdict(list)
    for picture in pictures:
        spaces = tuple(n for n, names in enumerate(lacking) if picture[0] in names)
        if spaces:
            groups[spaces].append(picture)
    return list(groups.items())


def compute_rows(
    ready: Sequence[Prepared],
    writers: Sequence[ShardWriter],
    work: Sequence[Work],
    workers: int,
    done: Done,
) -> Iterator[int]:
    """Compute and add rows, a batch at a time.

    Parameters
    ----------
    done : Done
        To which the time of the networks is added, and what was told.
    """
    for spaces, pictures in work:
        networks = _networks([ready[number] for number in spaces])
        backbones = [same[0].backbone for same in networks]
        size = batch_size([backbone.size for backbone in backbones])
        paths = [path for _, path in pictures]
        digests = [digest for digest, _ in pictures]
        batches = read_batches(paths, [b.preprocess for b in backbones], size, workers)
        for start, batch in zip(range(0, len(pictures), size), batches, strict=True):
            names = digests[start : start + size]
            for same, tensor in zip(networks, batch, strict=True):
                if id(same[0].backbone) not in done.compared:
                    done.compared.add(id(same[0].backbone))
                    _tell_precision(same, tensor)
                began = time.perf_counter()
                rows = compute(same, tensor)
                done.network_seconds += time.perf_counter() - began
                for prepared, found in zip(same, rows, strict=True):
                    writers[_place(ready, prepared)].add(names, found)
            if start // size % TRIM == 0:
                release()
            yield len(names)


def _networks(spaces: Sequence[Prepared]) -> list[list[Prepared]]:
    """Bring the spaces of one network together."""
    found: dict[int, list[Prepared]] = defaultdict(list)
    for prepared in spaces:
        found[id(prepared.backbone)].append(prepared)
    return list(found.values())


def _place(ready: Sequence[Prepared], prepared: Prepared) -> int:
    return next(number for number, one in enumerate(ready) if one is prepared)


def _tell_precision(same: Sequence[Prepared], tensor: Tensor) -> None:
    if same[0].precision != "float32":
        for prepared, cosine in zip(same, compare_precisions(same, tensor[:4]), strict=True):
            say(
                f"{prepared.spec.name}: {prepared.precision} beside float32, cosine {cosine:.6f} "
                f"(the least of {len(tensor[:4])} pictures)"
            )

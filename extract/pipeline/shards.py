"""Extraction in jobs of a cluster, each of which computes some of the pictures in own shards."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from base import read_json, replacing
from cache import digest
from challenge import Subject
from execute import ALONE, Cost, Executor, Run, share
from execute.work import take_all
from extract.naming import unify_names
from extract.pipeline.devices import (
    PIECE,
    Recipe,
    choose_devices,
    choose_workers,
    compute_in_shards,
    compute_on,
)
from extract.pipeline.shared_passes import Picture, RunStats, Work
from extract.spaces import Spec
from extract.text.captions import read_captions
from extract.text.text_space import extract_text, prepare_text


def share_pictures(
    executor: Executor,
    device: str,
    recipe: Recipe,
    pictures: Sequence[Picture],
    run: Run,
    work: Sequence[Work],
    _stats: RunStats,
) -> Iterator[int]:
    """Compute rows in jobs, and yield the number of computed pictures.

    `pictures` are all requested ones, including those with rows, so that a command that is run
    again finds its jobs while their rows appear. The caller holds the writers of the spaces, which
    merge the shards. The time of the networks is unknown.
    """
    missing = {name: spaces for spaces, group in work for name, _ in group}
    starts = range(0, len(pictures), PIECE)
    pieces = [_group_by_spaces(pictures[start : start + PIECE], missing) for start in starts]
    path = run.folder / "pieces.json"
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(pieces, default=str))
    unfinished = tuple(map(bool, pieces))
    if run.costs:
        total = run.costs[0][0]
        cost = replace(total, seconds=total.seconds / max(1, sum(unfinished)))
        run = replace(run, costs=[[cost if is_left else Cost() for is_left in unfinished]])
    units = [f"pictures {start + 1} to {min(start + PIECE, len(pictures))}" for start in starts]
    task = _Pieces(recipe, device, path.absolute(), unfinished)
    counts: list[int] = []
    share(executor, ALONE, run, [units], task, lambda _, results: counts.extend(results))
    yield sum(counts)


def make_run(out: Path, specs: Sequence[Spec], request: Mapping[str, Sequence[str]]) -> Run:
    """Return the record of a run, the same for the same spaces of the same pictures."""
    label = " + ".join(spec.name for spec in specs)
    return Run(out / "runs" / f"features-{digest(request)}", "features", label, sys.orig_argv)


def _group_by_spaces(
    pictures: Sequence[Picture], missing: dict[str, tuple[int, ...]]
) -> list[Work]:
    groups: dict[tuple[int, ...], list[Picture]] = {}
    for name, path in pictures:
        if name in missing:
            groups.setdefault(missing[name], []).append((name, path.absolute()))
    return list(groups.items())


@dataclass(frozen=True)
class _Pieces:
    """Task of a job: compute the rows of some pictures."""

    recipe: Recipe
    device: str
    path: Path
    unfinished: tuple[bool, ...]

    def existing_result(self, _: int, unit: int) -> int | None:
        """Return 0 computed pictures for a finished piece, None for an unfinished one."""
        return None if self.unfinished[unit] else 0

    def __call__(self, _: int, units: Iterator[int]) -> int:
        """Compute pieces, and return the number of pictures."""
        devices = choose_devices(self.device)
        workers = choose_workers(self.recipe.workers, len(devices))
        recipe, stats = replace(self.recipe, workers=workers), RunStats([])
        if len(devices) == 1:
            ready = recipe.prepare(devices[0])
            pieces = map(self._piece, units)
            return sum(compute_in_shards(recipe, ready, piece, stats) for piece in pieces)
        # Processes take long to start, so they are started once for all pieces.
        every = [part for unit in take_all(units) for part in self._piece(unit)]
        return sum(compute_on(devices, recipe, every, stats))

    def _piece(self, unit: int) -> list[Work]:
        piece = read_json(self.path, list)[unit]
        return [(tuple(spaces), [(n, Path(p)) for n, p in pictures]) for spaces, pictures in piece]


@dataclass(frozen=True)
class Texts:
    """Task of a job: compute the spaces of captions of a recipe."""

    recipe: Recipe
    captions: list[str]
    subjects: Sequence[Subject]
    device: str

    def __call__(self, number: int, units: Iterator[int]) -> int:
        """Compute a space, and return the number of computed pictures."""
        recipe, captions = self.recipe, read_captions(self.captions)
        text = prepare_text(
            recipe.specs[number],
            recipe.requests[number],
            captions,
            choose_devices(self.device)[0],
            recipe.precision,
            recipe.dtype,
        )
        unify_names([text], recipe.stored_names)
        texts = captions.for_subjects(self.subjects)
        return sum(extract_text(text, texts, recipe.store) for _ in units)

"""Extraction in jobs of a cluster, each of which computes some of the pictures in own shards."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from base import read_json, replacing
from cache import digest
from challenge import Subject
from execute import ALONE, Cost, Executor, Run, share
from execute.work import Work as Share
from execute.work import take_all
from extract.naming import unify_names
from extract.pipeline.devices import PIECE, Recipe, choose_devices, choose_workers, compute_on
from extract.pipeline.shared_passes import Picture, RunStats, Work, compute_rows
from extract.run import Prepared
from extract.spaces import Spec
from extract.text.captions import read_captions
from extract.text.text_space import extract_text, prepare_text
from networks.weights import Request


@dataclass(frozen=True)
class FeatureRequest:
    """A request to compute features.

    Attributes
    ----------
    executor : Executor
        The executor of the jobs.
    device : str
        The user's choice of devices.
    recipe : Recipe
        The spaces.
    pictures : sequence of (str, Path)
        All requested pictures, including those with rows, so that a command that is run again finds
        its jobs while their rows appear.
    run : Run
        The record of the run.
    """

    executor: Executor
    device: str
    recipe: Recipe
    pictures: Sequence[Picture]
    run: Run

    def share(self, work: Sequence[Work], stats: RunStats) -> Iterator[int]:
        """Compute rows in jobs, and yield the number of computed pictures.

        The caller holds the writers of the spaces, which merge the shards. `stats` does not change,
        since the time of the networks is unknown.
        """
        run = self.run
        missing = {name: spaces for spaces, pictures in work for name, _ in pictures}
        starts = range(0, len(self.pictures), PIECE)
        pieces = [_group_by_spaces(self.pictures[s : s + PIECE], missing) for s in starts]
        path = run.folder / "pieces.json"
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(pieces, default=str))
        units = [f"pictures {s + 1} to {min(s + PIECE, len(self.pictures))}" for s in starts]
        counts: list[int] = []
        unfinished = tuple(bool(piece) for piece in pieces)
        if run.costs:
            total = run.costs[0][0]
            piece_cost = replace(total, seconds=total.seconds / max(1, sum(unfinished)))
            run = replace(
                run,
                costs=[[piece_cost if is_unfinished else Cost() for is_unfinished in unfinished]],
            )
        task = _Pieces(self.recipe, self.device, path.absolute(), unfinished)
        share(self.executor, ALONE, run, [units], task, lambda _, results: counts.extend(results))
        yield sum(counts)


def make_run(
    out: Path, specs: Sequence[Spec], keys: Sequence[str], pictures: Sequence[Picture]
) -> Run:
    """Return the record of a run, the same for the same spaces of the same pictures."""
    identifier = digest({"spaces": list(keys), "pictures": [name for name, _ in pictures]})
    label = " + ".join(spec.name for spec in specs)
    return Run(out / "runs" / f"features-{identifier}", "features", label, sys.orig_argv)


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
        recipe = replace(self.recipe, workers=workers)
        if len(devices) == 1:
            ready = recipe.prepare(devices[0])
            return sum(_compute_on_one(recipe, ready, work) for work in map(self._piece, units))
        # Processes take long to start, so they are started once for all pieces.
        every = [part for unit in take_all(units) for part in self._piece(unit)]
        return sum(compute_on(devices, recipe, every, RunStats([])))

    def _piece(self, unit: int) -> list[Work]:
        piece = read_json(self.path, list)[unit]
        return [(tuple(spaces), [(n, Path(p)) for n, p in pictures]) for spaces, pictures in piece]


def _compute_on_one(recipe: Recipe, ready: Sequence[Prepared], work: Sequence[Work]) -> int:
    with ExitStack() as stack:
        writers = [
            stack.enter_context(recipe.store.shard_writer(p.spec.name, p.key, p.details))
            for p in ready
        ]
        return sum(compute_rows(ready, writers, work, recipe.workers, RunStats([])))


@dataclass(frozen=True)
class Texts:
    """Task of a job: compute a space of captions.

    Attributes
    ----------
    recipe : Recipe
        The spaces of captions.
    captions : list of str
        The files of captions.
    subjects : sequence of Subject
        The subjects whose pictures get rows.
    device : str
        The device of the jobs.
    """

    recipe: Recipe
    captions: list[str]
    subjects: Sequence[Subject]
    device: str

    def share(
        self, executor: Executor, out: Path, keys: Sequence[str], local_work: Share | None = None
    ) -> list[int]:
        """Compute the spaces, and return the number of computed pictures of each.

        Parameters
        ----------
        executor : Executor
            The executor of the jobs.
        out : Path
            The output folder.
        keys : sequence of str
            The digest of each space's key.
        local_work : callable, optional
            Computes a space in this process, whose networks are prepared already.
        """
        names = [spec.name for spec in self.recipe.specs]
        identifier = digest(
            {"spaces": list(keys), "subjects": [subject.name for subject in self.subjects]}
        )
        run = Run(
            out / "runs" / f"features-{identifier}", "features", " + ".join(names), sys.orig_argv
        )
        counts = [0] * len(names)

        def report(number: int, results: list[int]) -> None:
            (counts[number],) = results

        share(executor, ALONE, run, [[n] for n in names], local_work or self, report)
        return counts

    def __call__(self, number: int, units: Iterator[int]) -> int:
        """Compute a space, and return the number of computed pictures."""
        spec: Spec = self.recipe.specs[number]
        request: Request = self.recipe.requests[number]
        captions = read_captions(self.captions)
        device: torch.device = choose_devices(self.device)[0]
        precision = (self.recipe.precision, self.recipe.dtype)
        (text,) = unify_names(
            [prepare_text(spec, request, captions, device, *precision)], self.recipe.stored_names
        )
        texts = captions.for_subjects(self.subjects)
        return sum(extract_text(text, texts, self.recipe.store) for _ in units)

"""Extraction in jobs of a cluster: each computes some of the pictures, in shards of its own."""

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
from extract.naming import name_once
from extract.pipeline.devices import PIECE, Recipe, choose_devices, choose_workers, compute_on
from extract.pipeline.shared_passes import Done, Picture, Work, compute_rows
from extract.run import Prepared
from extract.spaces import Spec
from extract.text.captions import read_captions
from extract.text.text_space import extract_text, prepare_text
from networks.weights import Request


@dataclass(frozen=True)
class Asking:
    """What is asked of the stage, for who computes it.

    Attributes
    ----------
    executor : Executor
        Where.
    device : str
        In the user's words.
    recipe : Recipe
        The spaces.
    pictures : sequence of (str, Path)
        All that was asked for, those that have rows too: so that a command finds its jobs again
        while their rows appear.
    run : Run
        Where it is recorded.
    """

    executor: Executor
    device: str
    recipe: Recipe
    pictures: Sequence[Picture]
    run: Run

    def share(self, work: Sequence[Work], done: Done) -> Iterator[int]:
        """Have rows computed in jobs; the caller holds the spaces' writers, and merges.

        Parameters
        ----------
        work : sequence of (tuple of int, list of pictures)
            Which spaces lack which pictures.
        done : Done
            The time of the networks is not known here.

        Yields
        ------
        int
            How many pictures were computed.
        """
        run = self.run
        lacking = {name: spaces for spaces, pictures in work for name, _ in pictures}
        starts = range(0, len(self.pictures), PIECE)
        pieces = [_by_spaces(self.pictures[s : s + PIECE], lacking) for s in starts]
        path = run.folder / "pieces.json"
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(pieces, default=str))
        units = [f"pictures {s + 1} to {min(s + PIECE, len(self.pictures))}" for s in starts]
        counts: list[int] = []
        unfinished = tuple(bool(piece) for piece in pieces)
        if run.costs:
            whole = run.costs[0][0]
            each = replace(whole, seconds=whole.seconds / max(1, sum(unfinished)))
            run = replace(run, costs=[[each if todo else Cost() for todo in unfinished]])
        asking = _Pieces(self.recipe, self.device, path.absolute(), unfinished)
        share(self.executor, ALONE, run, [units], asking, lambda _, found: counts.extend(found))
        yield sum(counts)


def run_of(
    out: Path, specs: Sequence[Spec], keys: Sequence[str], pictures: Sequence[Picture]
) -> Run:
    """Say what is asked, for those who look on.

    Returns
    -------
    Run
        The same for the same spaces of the same pictures.
    """
    asked = digest({"spaces": list(keys), "pictures": [name for name, _ in pictures]})
    label = " + ".join(spec.name for spec in specs)
    return Run(out / "runs" / f"features-{asked}", "features", label, sys.orig_argv)


def _by_spaces(pictures: Sequence[Picture], lacking: dict[str, tuple[int, ...]]) -> list[Work]:
    groups: dict[tuple[int, ...], list[Picture]] = {}
    for name, path in pictures:
        if name in lacking:
            groups.setdefault(lacking[name], []).append((name, path.absolute()))
    return list(groups.items())


@dataclass(frozen=True)
class _Pieces:
    """Rows of some pictures, computed on a node."""

    recipe: Recipe
    device: str
    path: Path
    unfinished: tuple[bool, ...]

    def there(self, _: int, unit: int) -> int | None:
        """Say that nothing of a piece was computed, if nothing of it is lacking."""
        return None if self.unfinished[unit] else 0

    def __call__(self, _: int, units: Iterator[int]) -> int:
        """Compute pieces; give how many pictures there were."""
        devices = choose_devices(self.device)
        workers = choose_workers(self.recipe.workers, len(devices))
        recipe = replace(self.recipe, workers=workers)
        if len(devices) == 1:
            ready = recipe.prepare(devices[0])
            return sum(_alone(recipe, ready, work) for work in map(self._piece, units))
        # Processes take long to start: they get all pieces at once.
        every = [part for unit in take_all(units) for part in self._piece(unit)]
        return sum(compute_on(devices, recipe, every, Done([])))

    def _piece(self, unit: int) -> list[Work]:
        piece = read_json(self.path, list)[unit]
        return [(tuple(spaces), [(n, Path(p)) for n, p in own]) for spaces, own in piece]


def _alone(recipe: Recipe, ready: Sequence[Prepared], work: Sequence[Work]) -> int:
    with ExitStack() as stack:
        writers = [
            stack.enter_context(recipe.store.shard_writer(p.spec.name, p.key, p.about))
            for p in ready
        ]
        return sum(compute_rows(ready, writers, work, recipe.workers, Done([])))


@dataclass(frozen=True)
class Texts:
    """Spaces of captions, each computed on a node.

    Attributes
    ----------
    recipe : Recipe
        Of the spaces of captions.
    captions : list of str
        The files.
    subjects : sequence of Subject
        Whose pictures.
    device : str
        What the nodes compute on.
    """

    recipe: Recipe
    captions: list[str]
    subjects: Sequence[Subject]
    device: str

    def share(
        self, executor: Executor, out: Path, keys: Sequence[str], here: Share | None = None
    ) -> list[int]:
        """Have the spaces computed.

        Parameters
        ----------
        executor : Executor
            The cluster.
        out : Path
            The folder of everything that is made.
        keys : sequence of str
            The digest of each space's key.
        here : callable, optional
            Does the work in this process, whose networks are made already.

        Returns
        -------
        list of int
            Of how many pictures rows were computed, for each space.
        """
        names = [spec.name for spec in self.recipe.specs]
        asked = digest({"spaces": list(keys), "subjects": [one.name for one in self.subjects]})
        run = Run(out / "runs" / f"features-{asked}", "features", " + ".join(names), sys.orig_argv)
        counts = [0] * len(names)

        def report(number: int, found: list[int]) -> None:
            (counts[number],) = found

        share(executor, ALONE, run, [[n] for n in names], here or self, report)
        return counts

    def __call__(self, number: int, units: Iterator[int]) -> int:
        """Compute a space; give how many pictures lacked it."""
        spec: Spec = self.recipe.specs[number]
        request: Request = self.recipe.requests[number]
        captions = read_captions(self.captions)
        device: torch.device = choose_devices(self.device)[0]
        precision = (self.recipe.precision, self.recipe.dtype)
        (text,) = name_once(
            [prepare_text(spec, request, captions, device, *precision)], self.recipe.kept
        )
        said = captions.of(self.subjects)
        return sum(extract_text(text, said, self.recipe.store) for _ in units)

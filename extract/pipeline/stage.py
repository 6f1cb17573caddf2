"""Stage 1 as a whole: every space of every picture, each computed once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from base import plural, say
from cache import FeatureStore, digest
from cache.commands.explain import explain
from cache.feature_store import Entry
from challenge import Subject, SubjectChoice, find_subjects
from challenge.inputs import check_pictures
from execute import ALONE, Cost, choose_executor, planned, share
from execute.forecast.cost import in_turn
from execute.forecast.rates import Rates
from extract.costs.units import extract_costs, plan_space, start_cost
from extract.errors import ExtractError
from extract.naming import name_once, names_by_digest, refuse_imported
from extract.pipeline.devices import Recipe, choose_devices, choose_workers, compute_on
from extract.pipeline.shards import Asking, Texts, run_of
from extract.pipeline.shared_passes import Spread, extract_spaces
from extract.run import Prepared
from extract.spaces import TEXT_FAMILIES, Spec, resolve
from extract.text.captions import Captions, read_captions
from extract.text.text_space import extract_text, prepare_text
from networks.weights import Request


@dataclass(frozen=True)
class Options:
    """How features are computed.

    Attributes
    ----------
    device : str
        A device, or several with commas between.
    precision : str
        float32, or autocast in bfloat16 or float16.
    dtype : str
        How rows are stored: float32 or float16.
    workers : int
        Processes that decode pictures ahead of each device; -1 to choose by the processors.
    captions : list of str
        Files of captions, for spaces that read them.
    executor : str
        local or slurm.
    cluster : Path, optional
        What jobs ask for.
    """

    device: str = "auto"
    precision: str = "float32"
    dtype: str = "float32"
    workers: int = -1
    captions: list[str] = field(default_factory=list)
    executor: str = "local"
    cluster: Path | None = None


def compute_features(
    data: Path,
    out: Path,
    subject: SubjectChoice,
    spaces: Sequence[str],
    weights: Sequence[str],
    options: Options,
) -> None:
    """Compute the feature spaces of all pictures, training and test, that have none yet.

    Parameters
    ----------
    data, out, subject, spaces, weights
        As for `python -m extract`.
    options : Options
        The others.

    Raises
    ------
    ExtractError
        If no space is named, or one cannot be computed.
    """
    if not spaces:
        raise ExtractError("--spaces: none given; for example --spaces clip alexnet")
    executor = choose_executor(options.executor, options.cluster, "features", data)
    specs = [resolve(name) for name in dict.fromkeys(spaces)]
    requests = _requests(specs, weights)
    subjects = find_subjects(data, subject)
    check_pictures(subjects)
    # Those of another machine are chosen there; this one only says what is to be computed.
    devices = choose_devices(options.device if executor.is_local else "cpu")
    pictures = _pictures(subjects)
    names = ", ".join(str(device) for device in devices)
    where = names if executor.is_local else "nodes of Slurm"
    say(f"{plural(len(pictures), 'picture')} of {plural(len(subjects), 'subject')} on {where}")
    store = FeatureStore(out / "features")
    entries = store.readable_entries()
    refuse_imported(specs, entries)
    seen = [spec for spec in specs if spec.family not in TEXT_FAMILIES]
    read = [spec for spec in specs if spec.family in TEXT_FAMILIES]
    captions = _captions(read, options.captions)
    workers = choose_workers(options.workers, len(devices))
    asked = [requests[spec.name] for spec in seen]
    kept = names_by_digest([*entries, *store.interrupted()])
    # A node counts its own processors.
    own = workers if executor.is_local else options.workers
    recipe = Recipe(seen, asked, options.precision, options.dtype, store, own, kept)
    # All networks first: weights that cannot be had are known before hours of work, not after.
    ready = recipe.prepare(devices[0] if len(devices) == 1 else torch.device("cpu"))
    for prepared in ready:
        say(f"{prepared.spec.name}: weights from {prepared.backbone.origin}")
    texts, said = [], {}
    if captions is not None:
        said = captions.of(subjects)
        precision = (options.precision, options.dtype)
        texts = [prepare_text(s, requests[s.name], captions, devices[0], *precision) for s in read]
        texts = name_once(texts, kept)
    for text in texts:
        say(f"{text.spec.name}: weights from {text.origin}")
    keys = [(p.spec.name, p.key) for p in ready] + [(t.spec.name, t.key) for t in texts]
    _tell_misses(store, keys, entries)
    digests = [digest(key) for _, key in keys]
    computed = []
    if ready:
        plan = planned(out / "rates", partial(_costs, store, seen, subjects, options))
        run = run_of(out, seen, digests[: len(ready)], pictures)
        asking = Asking(executor, options.device, recipe, pictures, replace(run, costs=plan))
        computed += _compute(asking, ready, devices)
    if texts:
        written = replace(recipe, specs=read, requests=[requests[spec.name] for spec in read])
        of_texts = Texts(written, options.captions, subjects, options.device)

        def embed(number: int, units: Iterator[int]) -> int:
            return sum(extract_text(texts[number], said, store) for _ in units)

        here = embed if executor.is_local else None
        computed += of_texts.share(executor, out, digests[len(ready) :], here)
    for (name, key), count in zip(keys, computed, strict=True):
        path = store.path(name, key)
        say(f"{name}: {count} pictures computed, {len(pictures) - count} there already -> {path}")


def _compute(
    asking: Asking, ready: Sequence[Prepared], devices: Sequence[torch.device]
) -> list[int]:
    """Compute what is lacking, here or on a cluster; count the pictures of each space."""
    recipe, computed = asking.recipe, list[int]()
    if not asking.executor.is_local:
        spread: Spread | None = asking.share
        return extract_spaces(ready, asking.pictures, recipe.store, 0, spread).computed
    spread = None if len(devices) == 1 else partial(compute_on, devices, recipe)

    def work(_: int, units: Iterator[int]) -> list[int]:
        (_unit,) = units
        how = (recipe.workers, spread)
        return extract_spaces(ready, asking.pictures, recipe.store, *how).computed

    every = [["all pictures"]]
    share(asking.executor, ALONE, asking.run, every, work, lambda _, got: computed.extend(*got))
    return computed


def _costs(
    store: FeatureStore,
    specs: Sequence[Spec],
    subjects: Sequence[Subject],
    options: Options,
    rates: Rates,
) -> list[list[Cost]]:
    """Say what all pictures take, in one process."""
    spaces = [plan_space(spec.name, store, subjects, options.dtype) for spec in specs]
    networks = extract_costs(spaces, subjects, rates, precision=options.precision)
    memory = start_cost(rates).memory + sum(network.cost.memory for network in networks)
    return [[replace(in_turn(network.cost for network in networks), memory=memory)]]


def _tell_misses(
    store: FeatureStore, keys: Sequence[tuple[str, dict[str, Any]]], entries: Sequence[Entry]
) -> None:
    """Say why features of a name that is there already are computed anew."""
    for name, key in keys:
        same = [entry for entry in entries if entry.name == name]
        if same and not store.path(name, key).exists():
            say(f"{name}: kept with another key, so it is computed as a space of its own:")
            for line in explain(key, same, name):
                say(f"  {line}")


def _captions(specs: Sequence[Spec], files: Sequence[str]) -> Captions | None:
    if specs:
        return read_captions(files)
    if files:
        raise ExtractError(
            "--captions: no space that reads captions is asked for: add clip_text to --spaces"
        )
    return None


def _requests(specs: Sequence[Spec], weights: Sequence[str]) -> dict[str, Request]:
    given = {}
    for item in weights:
        name, separator, value = item.partition("=")
        fitting = [spec.name for spec in specs if name in (spec.name, spec.network, spec.model)]
        if not separator or not value or not fitting:
            raise ExtractError(
                f"--weights {item}: expected SPACE=FILE or SPACE=random:SEED with a space from "
                f"{', '.join(spec.name for spec in specs)}"
            )
        given.update(dict.fromkeys(fitting, value))
    return {spec.name: Request(spec.name, given.get(spec.name)) for spec in specs}


def _pictures(subjects: Sequence[Subject]) -> list[tuple[str, Path]]:
    """List each picture once, however many subjects saw it."""
    once: dict[str, Path] = {}
    for subject in subjects:
        for split in ("train", "test"):
            digests = subject.picture_digests(split)
            for name, path in zip(digests, subject.pictures(split), strict=True):
                once.setdefault(name, path)
    return list(once.items())

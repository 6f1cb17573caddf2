"""Stage 1: compute all spaces of all pictures."""

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
from challenge.dataset import check_pictures
from execute import ALONE, Cost, Executor, Run, choose_executor, share
from execute.forecast.rates import Rates, planned_costs
from extract.cost import extract_costs, plan_space
from extract.errors import ExtractError
from extract.naming import check_not_imported, names_by_digest, unify_names
from extract.pipeline.devices import Recipe, choose_devices, choose_workers, compute_on
from extract.pipeline.shards import Texts, make_run, share_pictures
from extract.pipeline.shared_passes import Picture, extract_spaces
from extract.run import Prepared
from extract.spaces import TEXT_FAMILIES, Spec, resolve
from extract.text.captions import Captions, read_captions
from extract.text.text_space import PreparedText, extract_text, prepare_text
from networks.weights import Request


@dataclass(frozen=True)
class Options:
    """Arguments of `python -m extract` that do not choose the data and the spaces."""

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
    """Compute what is not stored yet of feature spaces; see `python -m extract`."""
    if not spaces:
        raise ExtractError("--spaces: none given; for example --spaces clip alexnet")
    executor = choose_executor(options.executor, options.cluster, "features", data)
    specs = [resolve(name) for name in dict.fromkeys(spaces)]
    requests = _requests(specs, weights)
    subjects = find_subjects(data, subject)
    check_pictures(subjects)
    # In jobs of a cluster, each node chooses its devices; here the CPU is enough.
    devices = choose_devices(options.device if executor.is_local else "cpu")
    pictures = _pictures(subjects)
    location = ", ".join(map(str, devices)) if executor.is_local else "nodes of Slurm"
    say(f"{plural(len(pictures), 'picture')} of {plural(len(subjects), 'subject')} on {location}")
    store = FeatureStore(out / "features")
    entries = store.readable_entries()
    check_not_imported(specs, entries)
    picture_specs = [spec for spec in specs if spec.family not in TEXT_FAMILIES]
    text_specs = [spec for spec in specs if spec.family in TEXT_FAMILIES]
    captions = _captions(text_specs, options.captions)
    workers = choose_workers(options.workers, len(devices))
    recipe = Recipe(
        specs=picture_specs,
        requests=[requests[spec.name] for spec in picture_specs],
        precision=options.precision,
        dtype=options.dtype,
        store=store,
        # In jobs, the number of workers depends on the processors of the node.
        workers=workers if executor.is_local else options.workers,
        stored_names=names_by_digest([*entries, *store.interrupted()]),
    )
    # All networks are prepared first, so that missing weights are reported before hours of work.
    ready = recipe.prepare(devices[0] if len(devices) == 1 else torch.device("cpu"))
    texts: list[PreparedText] = []
    picture_captions = {}
    if captions is not None:
        picture_captions = captions.for_subjects(subjects)
        precision = (options.precision, options.dtype)
        texts = [
            prepare_text(s, requests[s.name], captions, devices[0], *precision) for s in text_specs
        ]
        texts = unify_names(texts, recipe.stored_names)
    prepared_spaces: list[Prepared | PreparedText] = [*ready, *texts]
    origins = [prepared.backbone.origin for prepared in ready] + [text.origin for text in texts]
    for prepared, origin in zip(prepared_spaces, origins, strict=True):
        say(f"{prepared.spec.name}: weights from {origin}")
    keys = [(prepared.spec.name, prepared.key) for prepared in prepared_spaces]
    _explain_misses(store, keys, entries)
    digests = [digest(key) for _, key in keys]
    computed = []
    if ready:
        content = {"spaces": digests[: len(ready)], "pictures": [name for name, _ in pictures]}
        plan = planned_costs(
            out / "rates", partial(_costs, store, picture_specs, subjects, options)
        )
        run = replace(make_run(out, picture_specs, content), costs=plan)
        if executor.is_local:
            computed += _compute_here(devices, recipe, ready, pictures, run)
        else:
            spread = partial(share_pictures, executor, options.device, recipe, pictures, run)
            computed += extract_spaces(ready, pictures, store, spread=spread).computed
    if texts:
        content = {"spaces": digests[len(ready) :], "subjects": [s.name for s in subjects]}
        run = make_run(out, text_specs, content)

        def embed(number: int, units: Iterator[int]) -> int:
            return sum(extract_text(texts[number], picture_captions, store) for _ in units)

        text_recipe = replace(
            recipe, specs=text_specs, requests=[requests[spec.name] for spec in text_specs]
        )
        jobs = Texts(text_recipe, options.captions, subjects, options.device)
        work, groups = embed if executor.is_local else jobs, [[s.name] for s in text_specs]
        counts: dict[int, int] = {}
        share(executor, ALONE, run, groups, work, lambda n, results: counts.update({n: results[0]}))
        computed += [counts[number] for number in range(len(text_specs))]
    for (name, key), count in zip(keys, computed, strict=True):
        path = store.path(name, key)
        say(f"{name}: {count} pictures computed, {len(pictures) - count} there already -> {path}")


def _compute_here(
    devices: Sequence[torch.device],
    recipe: Recipe,
    ready: Sequence[Prepared],
    pictures: Sequence[Picture],
    run: Run,
) -> list[int]:
    """Compute missing rows on this machine; return the number of pictures of each space."""
    spread = None if len(devices) == 1 else partial(compute_on, devices, recipe)

    def work(_: int, units: Iterator[int]) -> list[int]:
        (_unit,) = units
        return extract_spaces(ready, pictures, recipe.store, recipe.workers, spread).computed

    computed: list[int] = []
    groups = [["all pictures"]]
    share(Executor(), ALONE, run, groups, work, lambda _, results: computed.extend(*results))
    return computed


def _costs(
    store: FeatureStore,
    specs: Sequence[Spec],
    subjects: list[Subject],
    options: Options,
    rates: Rates,
) -> list[list[Cost]]:
    """Return the cost of all pictures in one process."""
    spaces = [plan_space(spec.name, store, subjects, options.dtype) for spec in specs]
    _, total = extract_costs(spaces, subjects, rates, options.precision)
    return [[total]]


def _explain_misses(
    store: FeatureStore, keys: Sequence[tuple[str, dict[str, Any]]], entries: Sequence[Entry]
) -> None:
    """Print why features are computed although others of the same name are stored."""
    for name, key in keys:
        same_name = [entry for entry in entries if entry.name == name]
        if same_name and not store.path(name, key).exists():
            say(f"{name}: kept with another key, so it is computed as a space of its own:")
            for line in explain(key, same_name, name):
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
    sources = {}
    for item in weights:
        name, separator, value = item.partition("=")
        matches = [spec.name for spec in specs if name in (spec.name, spec.network, spec.model)]
        if not separator or not value or not matches:
            raise ExtractError(
                f"--weights {item}: expected SPACE=FILE or SPACE=random:SEED with a space from "
                f"{', '.join(spec.name for spec in specs)}"
            )
        sources.update(dict.fromkeys(matches, value))
    return {spec.name: Request(spec.name, sources.get(spec.name)) for spec in specs}


def _pictures(subjects: Sequence[Subject]) -> list[tuple[str, Path]]:
    """Return the sha256 and file of each distinct picture of the subjects."""
    paths: dict[str, Path] = {}
    for subject in subjects:
        for split in ("train", "test"):
            digests = subject.picture_digests(split)
            for name, path in zip(digests, subject.pictures(split), strict=True):
                paths.setdefault(name, path)
    return list(paths.items())

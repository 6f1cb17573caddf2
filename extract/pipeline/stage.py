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
from challenge.inputs import check_pictures
from execute import ALONE, Cost, choose_executor, planned_costs, share
from execute.forecast.rates import Rates
from extract.costs.units import extract_costs, plan_space, total_cost
from extract.errors import ExtractError
from extract.naming import check_not_imported, names_by_digest, unify_names
from extract.pipeline.devices import Recipe, choose_devices, choose_workers, compute_on
from extract.pipeline.shards import FeatureRequest, Texts, make_run
from extract.pipeline.shared_passes import Spread, extract_spaces
from extract.run import Prepared
from extract.spaces import TEXT_FAMILIES, Spec, resolve
from extract.text.captions import Captions, read_captions
from extract.text.text_space import extract_text, prepare_text
from networks.weights import Request


@dataclass(frozen=True)
class Options:
    """Options of the computation of features.

    Attributes
    ----------
    device : str
        A device, or several separated by commas.
    precision : str
        float32, or autocast in bfloat16 or float16.
    dtype : str
        Type of the stored rows: float32 or float16.
    workers : int
        Number of processes that decode pictures ahead of each device; -1 to choose automatically.
    captions : list of str
        Files of captions, for spaces of captions.
    executor : str
        local or slurm.
    cluster : Path, optional
        The file of settings of the cluster.
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
    """Compute the feature spaces of all training and test pictures that are not stored yet.

    Parameters
    ----------
    data, out, subject, spaces, weights
        The arguments of `python -m extract`.
    options : Options
        Its other arguments.

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
    # In jobs of a cluster, each node chooses its devices; here the CPU is enough.
    devices = choose_devices(options.device if executor.is_local else "cpu")
    pictures = _pictures(subjects)
    names = ", ".join(str(device) for device in devices)
    location = names if executor.is_local else "nodes of Slurm"
    say(f"{plural(len(pictures), 'picture')} of {plural(len(subjects), 'subject')} on {location}")
    store = FeatureStore(out / "features")
    entries = store.readable_entries()
    check_not_imported(specs, entries)
    picture_specs = [spec for spec in specs if spec.family not in TEXT_FAMILIES]
    text_specs = [spec for spec in specs if spec.family in TEXT_FAMILIES]
    captions = _captions(text_specs, options.captions)
    workers = choose_workers(options.workers, len(devices))
    picture_requests = [requests[spec.name] for spec in picture_specs]
    stored_names = names_by_digest([*entries, *store.interrupted()])
    # In jobs, the number of workers depends on the processors of the node.
    job_workers = workers if executor.is_local else options.workers
    recipe = Recipe(
        picture_specs,
        picture_requests,
        options.precision,
        options.dtype,
        store,
        job_workers,
        stored_names,
    )
    # All networks are prepared first, so that missing weights are reported before hours of work.
    ready = recipe.prepare(devices[0] if len(devices) == 1 else torch.device("cpu"))
    for prepared in ready:
        say(f"{prepared.spec.name}: weights from {prepared.backbone.origin}")
    texts, picture_captions = [], {}
    if captions is not None:
        picture_captions = captions.for_subjects(subjects)
        precision = (options.precision, options.dtype)
        texts = [
            prepare_text(s, requests[s.name], captions, devices[0], *precision) for s in text_specs
        ]
        texts = unify_names(texts, stored_names)
    for text in texts:
        say(f"{text.spec.name}: weights from {text.origin}")
    keys = [(p.spec.name, p.key) for p in ready] + [(t.spec.name, t.key) for t in texts]
    _explain_misses(store, keys, entries)
    digests = [digest(key) for _, key in keys]
    computed = []
    if ready:
        plan = planned_costs(
            out / "rates", partial(_costs, store, picture_specs, subjects, options)
        )
        run = make_run(out, picture_specs, digests[: len(ready)], pictures)
        request = FeatureRequest(
            executor, options.device, recipe, pictures, replace(run, costs=plan)
        )
        computed += _compute(request, ready, devices)
    if texts:
        text_recipe = replace(
            recipe, specs=text_specs, requests=[requests[spec.name] for spec in text_specs]
        )
        text_jobs = Texts(text_recipe, options.captions, subjects, options.device)

        def embed(number: int, units: Iterator[int]) -> int:
            return sum(extract_text(texts[number], picture_captions, store) for _ in units)

        local_work = embed if executor.is_local else None
        computed += text_jobs.share(executor, out, digests[len(ready) :], local_work)
    for (name, key), count in zip(keys, computed, strict=True):
        path = store.path(name, key)
        say(f"{name}: {count} pictures computed, {len(pictures) - count} there already -> {path}")


def _compute(
    request: FeatureRequest, ready: Sequence[Prepared], devices: Sequence[torch.device]
) -> list[int]:
    """Compute missing rows, here or on a cluster; return the number of pictures of each space."""
    recipe, computed = request.recipe, list[int]()
    if not request.executor.is_local:
        spread: Spread | None = request.share
        return extract_spaces(ready, request.pictures, recipe.store, 0, spread).computed
    spread = None if len(devices) == 1 else partial(compute_on, devices, recipe)

    def work(_: int, units: Iterator[int]) -> list[int]:
        (_unit,) = units
        arguments = (recipe.workers, spread)
        return extract_spaces(ready, request.pictures, recipe.store, *arguments).computed

    groups = [["all pictures"]]
    share(
        request.executor,
        ALONE,
        request.run,
        groups,
        work,
        lambda _, results: computed.extend(*results),
    )
    return computed


def _costs(
    store: FeatureStore,
    specs: Sequence[Spec],
    subjects: Sequence[Subject],
    options: Options,
    rates: Rates,
) -> list[list[Cost]]:
    """Return the cost of all pictures in one process."""
    spaces = [plan_space(spec.name, store, subjects, options.dtype) for spec in specs]
    networks = extract_costs(spaces, subjects, rates, precision=options.precision)
    return [[total_cost(networks, rates)]]


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

"""Forecast of the costs of features, from a trial of each network on a few pictures."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from base import sha256_files
from cache import Entry, FeatureStore, digest
from cache.feature_table import row_names
from challenge import Subject, load_rgb
from execute.forecast.cost import CUDA, Cost
from execute.forecast.measure import Values, measure_process, minimum_time, peak_memory
from execute.forecast.rates import Rates
from extract.backbone import freeze
from extract.backbones.open_clip import build
from extract.errors import ExtractError
from extract.layer_listing import describe_space, largest_output
from extract.picture_reader import BATCH, batch_size
from extract.run import PRECISIONS, batch_limit, compute, prepare
from extract.spaces import TEXT_FAMILIES, Spec, resolve
from extract.text.text_space import BATCH as CAPTIONS
from extract.text.text_tower import TextTower
from networks.weights import Request

IMPORTS = ("extract.__main__", "extract.pipeline.stage")
# Number of pictures in a trial, and of pictures of each subject to look up in the cache.
N_TRIED, N_SAMPLED = 16, 50
# Captions of a picture, as NSD's have; a network's largest outputs that are in memory at once.
CAPTIONS_A_PICTURE, OUTPUTS = 5, 4


@dataclass(frozen=True)
class PlannedSpace:
    """A feature space: stored, or described from shapes; `missing` is the share without a row."""

    entry: Entry
    spec: Spec
    missing: float


def plan_space(
    name: str, store: FeatureStore, subjects: Sequence[Subject], dtype: str
) -> PlannedSpace:
    """Describe a space by the stored space of its name, or else by the shapes of its network."""
    if not store.entries_named(name):
        spec, meta = describe_space(name, dtype)
        return PlannedSpace(Entry(store.path(spec.name, meta["key"]), spec.name, meta), spec, 1.0)
    entry = store.find(name)
    try:
        spec = resolve(name)
    except ExtractError:  # imported, or of another version
        spec = Spec(name, "imported", name, None, (), None, None)
    stored = set(row_names(entry.path).tolist()) if entry.path.exists() else set()
    files = [subject.pictures("train") + subject.pictures("test") for subject in subjects]
    sample = [file for part in files for file in part[:: max(1, len(part) // N_SAMPLED)]]
    absent = [name for name in sha256_files(sample) if name.encode() not in stored]
    return PlannedSpace(entry, spec, len(absent) / max(1, len(sample)))


def count_pictures(subjects: Sequence[Subject]) -> int:
    """Count the distinct pictures of subjects, by the NSD ids in their names."""
    ids = [subject.nsd_ids(split) for subject in subjects for split in ("train", "test")]
    return len({int(nsd_id) for of_subject in ids for nsd_id in of_subject})


def extract_costs(
    planned: list[PlannedSpace], subjects: list[Subject], rates: Rates, precision: str = "float32"
) -> tuple[list[tuple[int, Cost | None]], Cost]:
    """Return pictures in a pass and cost of each space, and the total after a process's start.

    A network runs once for all spaces that are its layers: its cost is that of the first, and None
    of the others. A space that is stored costs nothing, and passes no pictures. All networks are in
    memory at once.
    """
    networks: dict[tuple, list[PlannedSpace]] = {}
    for space in planned:
        if space.missing > 0:
            network = space.spec.family, space.spec.model, space.spec.weights
            networks.setdefault(network, []).append(space)
    costs: dict[Path, tuple[int, Cost | None]] = {}
    total = Cost(memory=rates.start(*IMPORTS).memory)
    for spaces in networks.values():
        at_once, cost = _network_cost(spaces, subjects, rates, precision)
        costs |= {space.entry.path: (at_once, None) for space in spaces}
        costs[spaces[0].entry.path], total = (at_once, cost), total & cost
    return [costs.get(space.entry.path, (0, Cost())) for space in planned], total


def _network_cost(
    spaces: Sequence[PlannedSpace], subjects: Sequence[Subject], rates: Rates, precision: str
) -> tuple[int, Cost]:
    """Return the pictures in a pass of a network, and the cost of those that its spaces lack."""
    files, specs = subjects[0].pictures("train"), [space.spec for space in spaces]
    files = files[:: max(1, len(files) // N_TRIED)][:N_TRIED]
    size = max(file.stat().st_size for file in files)
    depends = digest({"specs": [repr(s) for s in specs], "precision": precision, "size": size})
    work = partial(measure_process, try_network, specs, list(map(str, files)), precision)
    trial = rates.get_or_measure(f"trial of {specs[0].network} {depends}", work)
    count = round(count_pictures(subjects) * max(space.missing for space in spaces))
    columns = sum(int(space.entry.meta["columns"]) for space in spaces)
    width = columns * (1 if spaces[0].entry.meta["dtype"] == "uint8" else 4)
    seconds = count * (trial["forward"] + trial["read"] / rates.threads)
    memory = max(0, int(trial["memory"]) - rates.start(*IMPORTS).memory)
    memory += min(64 << 20, 2 * 256 * width)
    return int(trial["at_once"]), Cost(
        seconds, memory, int(trial["gpu_memory"]), count * (width + 64 + 4)
    )


def try_network(specs: Sequence[Spec], files: Sequence[str], precision: str) -> Values:
    """Run a network with random weights on some pictures, or a text tower on random tokens.

    Returned are `read` and `forward`, seconds per picture; `at_once`, pictures in a pass;
    `gpu_memory`, estimated bytes on a GPU; `memory`, bytes.
    """
    requests, device = [Request(spec.name, "random:0") for spec in specs], torch.device("cpu")
    if specs[0].family in TEXT_FAMILIES:
        tower = TextTower(freeze(build(specs[0], requests[0]).module))
        tokens = torch.randint(1, 1000, (CAPTIONS, 16))
        with torch.inference_mode():
            forward = CAPTIONS_A_PICTURE * minimum_time(lambda: tower.embed(tokens)) / CAPTIONS
        gpu_memory = CUDA + 2 * sum(weight.nbytes for weight in tower.parameters())
        return {"read": 0.0, "forward": forward, "at_once": CAPTIONS, "gpu_memory": gpu_memory}
    spaces = [prepare(*pair, device, precision) for pair in zip(specs, requests, strict=True)]
    backbone, at_once = spaces[0].backbone, spaces[0].at_once
    for space in spaces[1:]:
        space.backbone = backbone
    size = min(batch_size([backbone.size]), at_once)

    def read() -> list[torch.Tensor]:
        return [backbone.preprocess(load_rgb(Path(file))) for file in files]

    pictures = read()
    batch = torch.stack([pictures[n % len(pictures)] for n in range(size)])
    forward = minimum_time(lambda: compute(spaces, batch)) / size
    weights = sum(weight.nbytes for weight in backbone.module.parameters())
    outputs = batch_limit(backbone) * largest_output(backbone, spaces[0].layers)
    gpu_memory = CUDA + weights + OUTPUTS * outputs // (1 if PRECISIONS[precision] is None else 2)
    memory = peak_memory() + (BATCH - size) * batch[0].nbytes
    return {"read": minimum_time(read) / len(files), "forward": forward, "at_once": at_once,
            "gpu_memory": gpu_memory, "memory": memory}  # fmt: skip

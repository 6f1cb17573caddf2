"""Forecast of the costs of features, from the speed and memory of each network in a trial."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from base import sha256_files
from cache import Entry, FeatureStore, digest
from cache.feature_table import row_names
from challenge import Subject
from execute.forecast.cost import Cost
from execute.forecast.measure import measure_process
from execute.forecast.rates import Rates
from extract.costs.trials import try_network
from extract.errors import ExtractError
from extract.layer_listing import describe_space
from extract.spaces import Spec, resolve

IMPORTS = ("extract.__main__", "extract.pipeline.stage")
# Number of pictures in a trial, and of pictures of each subject to look up in the cache.
N_TRIED, N_SAMPLED = 16, 50


@dataclass(frozen=True)
class PlannedSpace:
    """A feature space: stored, or described from shapes; `missing` is the share without a row."""

    entry: Entry
    spec: Spec
    missing: float


@dataclass(frozen=True)
class NetworkCost:
    """The cost of a network, without its process, for all `spaces` that are layers of it."""

    spaces: tuple[PlannedSpace, ...]
    at_once: int
    cost: Cost


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
    sample = []
    for subject in subjects:
        files = [*subject.pictures("train"), *subject.pictures("test")]
        sample += files[:: max(1, len(files) // N_SAMPLED)]
    absent = [name for name in sha256_files(sample) if name.encode() not in stored]
    return PlannedSpace(entry, spec, len(absent) / max(1, len(sample)))


def count_pictures(subjects: Sequence[Subject]) -> int:
    """Count the distinct pictures of subjects, by the NSD ids in their names."""
    ids = [subject.nsd_ids(split) for subject in subjects for split in ("train", "test")]
    return len({int(nsd_id) for of_subject in ids for nsd_id in of_subject})


def extract_costs(
    planned: Sequence[PlannedSpace],
    subjects: Sequence[Subject],
    rates: Rates,
    device: str = "cpu",
    precision: str = "float32",
) -> list[NetworkCost]:
    """Return the cost of each network with pictures to compute.

    Pictures are digested once for all networks; the cost of the first network includes this.
    GPU memory is included for the device "cuda", with or without a number.
    """
    networks: dict[tuple, list[PlannedSpace]] = {}
    for space in planned:
        if space.missing > 0:
            network = space.spec.family, space.spec.model, space.spec.weights
            networks.setdefault(network, []).append(space)
    costs = [_network_cost(spaces, subjects, rates, precision) for spaces in networks.values()]
    if costs:
        digested = costs[0].cost + Cost(rates.picture_digests(subjects))
        costs[0] = replace(costs[0], cost=digested)
    if device.startswith("cuda"):
        return costs
    return [replace(network, cost=replace(network.cost, gpu_memory=0)) for network in costs]


def _network_cost(
    spaces: Sequence[PlannedSpace], subjects: Sequence[Subject], rates: Rates, precision: str
) -> NetworkCost:
    """Return the cost of the pictures that the spaces of a network lack."""
    files, specs = subjects[0].pictures("train"), [space.spec for space in spaces]
    files = files[:: max(1, len(files) // N_TRIED)][:N_TRIED]
    size, paths = max(file.stat().st_size for file in files), [str(file) for file in files]
    depends = digest({"specs": [repr(s) for s in specs], "precision": precision, "size": size})
    work = partial(measure_process, try_network, specs, paths, precision)
    trial = rates.get_or_measure(f"trial of {specs[0].network} {depends}", work)
    count = round(count_pictures(subjects) * max(space.missing for space in spaces))
    columns = sum(int(space.entry.meta["columns"]) for space in spaces)
    width = columns * (1 if spaces[0].entry.meta["dtype"] == "uint8" else 4)
    disk = count * (width + 64 + 4)
    # Rows are written as shards, then once more when shards are merged.
    seconds = trial["prepare"] + count * (trial["forward"] + trial["read"] / rates.threads)
    seconds += rates.writes(2 * disk, 2 + count // 256)
    memory = max(0, int(trial["memory"]) - rates.start(*IMPORTS).memory)
    memory += min(64 << 20, 2 * 256 * width)
    cost = Cost(seconds, memory, int(trial["gpu_memory"]), disk)
    return NetworkCost(tuple(spaces), int(trial["at_once"]), cost)


def total_cost(networks: Sequence[NetworkCost], rates: Rates) -> Cost:
    """Return the cost of a process with all networks in memory at once, without its start."""
    costs = [network.cost for network in networks]
    return Cost(
        sum(cost.seconds for cost in costs),
        rates.start(*IMPORTS).memory + sum(cost.memory for cost in costs),
        sum(cost.gpu_memory for cost in costs),
        sum(cost.disk for cost in costs),
    )

"""Forecast of the costs of features, from the speed and memory of each network in a trial."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from base import sha256_files
from cache import Entry, FeatureStore, digest
from cache.feature_table import row_names
from challenge import Subject
from execute.forecast.cost import Cost
from execute.forecast.measure import measure_process
from execute.forecast.rates import Rates
from extract.costs.trials import try_network, try_text
from extract.errors import ExtractError
from extract.layer_listing import describe, sketch
from extract.pooling import projected_width
from extract.spaces import TEXT_FAMILIES, Spec, resolve
from extract.text.text_tower import model_config

IMPORTS = ("extract.__main__", "extract.pipeline.stage")
# Number of pictures in a trial, and of pictures of each subject to look up in the cache.
N_TRIED, N_SAMPLED = 16, 50


@dataclass(frozen=True)
class PlannedSpace:
    """A requested feature space.

    Attributes
    ----------
    entry : Entry
        The stored space, or a description of the space to compute.
    spec : Spec
        Its specification.
    missing : float
        The share of the pictures without a row.
    """

    entry: Entry
    spec: Spec
    missing: float


def plan_space(
    name: str, store: FeatureStore, subjects: Sequence[Subject], dtype: str
) -> PlannedSpace:
    """Describe a space by the stored space of its name, or else by the shapes of its network."""
    if store.entries_named(name):
        entry = store.find(name)
        return PlannedSpace(entry, _spec_of(name), _missing(entry, subjects))
    spec, columns, bands, layers, dtype = _shapes(name, dtype)
    key = {"planned": spec.name, "family": spec.family, "layers": layers, "weights": {}}
    meta = {"name": spec.name, "key": key, "columns": columns, "dtype": dtype, "bands": bands}
    return PlannedSpace(Entry(store.path(spec.name, key), spec.name, meta), spec, 1.0)


def _spec_of(name: str) -> Spec:
    try:
        return resolve(name)
    except ExtractError:  # imported, or of another version
        return Spec(name, "imported", name, None, (), None, None)


def _shapes(name: str, dtype: str) -> tuple[Spec, int, list[dict], list[dict], str]:
    """Return the specification, columns, bands, layers and dtype of a space, without weights."""
    spec = resolve(name)
    if spec.family in TEXT_FAMILIES:
        columns = projected_width(model_config(spec)["embed_dim"], spec.columns)
        return spec, columns, [], [], dtype
    spec, backbone = sketch(name)
    lines = [line for line in describe(spec, backbone) if line.band is not None]
    bands = [
        {"name": "+".join(band), "columns": sum(x.columns for x in lines if x.band == number)}
        for number, band in enumerate(spec.bands, 1)
    ]
    layers = [
        {
            "layer": entry.layer,
            "pooling": entry.pooling,
            "projection": entry.columns < entry.pooled or None,
        }
        for entry in lines
    ]
    row_dtype = dtype if backbone.dtype == "float32" else backbone.dtype
    columns = sum(entry.columns for entry in lines)
    return spec, columns, bands if len(bands) > 1 else [], layers, row_dtype


def _missing(entry: Entry, subjects: Sequence[Subject]) -> float:
    """Estimate the share of pictures without a row from some pictures of each subject."""
    stored = set(row_names(entry.path).tolist()) if entry.path.exists() else set()
    sample: list[Path] = []
    for subject in subjects:
        files = [*subject.pictures("train"), *subject.pictures("test")]
        sample += files[:: max(1, len(files) // N_SAMPLED)]
    names = [name.encode() for name in sha256_files(sample)]
    return sum(name not in stored for name in names) / max(1, len(names))


def count_pictures(subjects: Sequence[Subject]) -> int:
    """Count the distinct pictures of subjects, by the NSD ids in their names."""
    return len(
        {
            int(nsd_id)
            for s in subjects
            for split in ("train", "test")
            for nsd_id in s.nsd_ids(split)
        }
    )


def sample_pictures(subjects: Sequence[Subject]) -> list[Path]:
    """Return a few training pictures at regular intervals."""
    files = subjects[0].pictures("train")
    return files[:: max(1, len(files) // N_TRIED)][:N_TRIED]


@dataclass(frozen=True)
class NetworkCost:
    """The cost of a network, for all spaces that are layers of it.

    Attributes
    ----------
    name : str
        The name of the network, such as "alexnet".
    spaces : tuple of PlannedSpace
        The spaces without rows for some pictures.
    n_pictures : int
        The number of pictures to run it on.
    at_once : int
        The number of pictures in a pass.
    cost : Cost
        The cost, without that of starting the process.
    """

    name: str
    spaces: tuple[PlannedSpace, ...]
    n_pictures: int
    at_once: int
    cost: Cost


def start_cost(rates: Rates) -> Cost:
    """Return the cost of starting a process of this stage."""
    rate = rates.start(*IMPORTS)
    return Cost(rate["seconds"], int(rate["memory"]))


def extract_costs(
    planned: Sequence[PlannedSpace],
    subjects: Sequence[Subject],
    rates: Rates,
    device: str = "cpu",
    precision: str = "float32",
) -> list[NetworkCost]:
    """Return the cost of each network with pictures to compute.

    Pictures are decoded once for all networks; the cost of the first network includes this.

    Parameters
    ----------
    rates : Rates
        The rates of this machine's processor, whatever the device.
    device : str
        "cpu", or "cuda" with or without a number, for which GPU memory is included.
    """
    n_pictures, files = count_pictures(subjects), sample_pictures(subjects)
    start = start_cost(rates)
    networks: dict[tuple, list[PlannedSpace]] = {}
    for space in planned:
        if space.missing > 0:
            network = (space.spec.family, space.spec.model, space.spec.weights)
            networks.setdefault(network, []).append(space)
    costs: list[NetworkCost] = []
    for spaces in networks.values():
        specs = [space.spec for space in spaces]
        text = specs[0].family in TEXT_FAMILIES
        size = max(file.stat().st_size for file in files)
        depends = digest({"specs": [repr(s) for s in specs], "precision": precision, "size": size})
        paths = [str(file) for file in files]
        work = partial(measure_process, try_network, specs, paths, precision)
        if text:
            work = partial(measure_process, try_text, specs[0])
        trial = rates.get_or_measure(f"network {specs[0].network} {depends}", work)
        count = round(n_pictures * max(space.missing for space in spaces))
        picture_seconds = trial["forward"] + (
            trial["decode"] * (not costs) + trial["preprocess"]
        ) / max(1, rates.threads)
        columns = sum(int(space.entry.meta["columns"]) for space in spaces)
        width = columns * (1 if spaces[0].entry.meta["dtype"] == "uint8" else 4)
        disk = count * (width + 64 + 4)
        # Rows are written as shards, then once more when shards are merged.
        seconds = (
            trial["prepare"] + count * picture_seconds + rates.writes(2 * disk, 2 + count // 256)
        )
        if not costs:
            seconds += _digest_seconds(rates, subjects)
        memory = max(0, int(trial["memory"]) - start.memory)
        gpu = int(trial["gpu_memory"]) if device.startswith("cuda") else 0
        cost = Cost(seconds, memory + min(64 << 20, 2 * 256 * width), gpu, disk)
        costs.append(
            NetworkCost(specs[0].network, tuple(spaces), count, int(trial["at_once"]), cost)
        )
    return costs


def _digest_seconds(rates: Rates, subjects: Sequence[Subject]) -> float:
    """Estimate the seconds to digest all pictures in parallel."""
    files = sample_pictures(subjects)
    file_bytes = sum(file.stat().st_size for file in files) / len(files) + 50e3
    n_files = sum(len(s.pictures(split)) for s in subjects for split in ("train", "test"))
    return rates.digests(n_files * file_bytes) / rates.threads

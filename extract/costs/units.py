"""What features take: of each network its speed and memory, tried on a few of the pictures."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from base import sha256_files
from cache import Entry, FeatureStore, digest
from cache.feature_table import row_names
from challenge import Subject
from execute.forecast.cost import Cost
from execute.forecast.measure import measured
from execute.forecast.rates import Rates
from extract.costs.trials import try_network, try_text
from extract.errors import ExtractError
from extract.layer_listing import describe, sketch
from extract.pooling import projected_width
from extract.spaces import TEXT_FAMILIES, Spec, resolve
from extract.text.text_tower import model_config

IMPORTS = ("extract.__main__", "extract.pipeline.stage")
# Pictures that are tried, and of each subject those that are looked for in the cache.
TRIED, LOOKED_FOR = 16, 50


@dataclass(frozen=True)
class Planned:
    """A feature space that is asked for.

    Attributes
    ----------
    entry : Entry
        What it is, or will be.
    spec : Spec
        The same, spelled out.
    missing : float
        The share of the pictures that it lacks.
    """

    entry: Entry
    spec: Spec
    missing: float


def plan_space(name: str, store: FeatureStore, subjects: Sequence[Subject], dtype: str) -> Planned:
    """Say what a space is, from the cache or else from its network's shapes.

    Returns
    -------
    Planned
        A space that is there under this name is taken for the one that is meant.
    """
    if store.entries_named(name):
        entry = store.find(name)
        return Planned(entry, _spec_of(name), _missing(entry, subjects))
    spec, columns, bands, layers, dtype = _shapes(name, dtype)
    key = {"planned": spec.name, "family": spec.family, "layers": layers, "weights": {}}
    meta = {"name": spec.name, "key": key, "columns": columns, "dtype": dtype, "bands": bands}
    return Planned(Entry(store.path(spec.name, key), spec.name, meta), spec, 1.0)


def _spec_of(name: str) -> Spec:
    try:
        return resolve(name)
    except ExtractError:  # imported, or of another version
        return Spec(name, "imported", name, None, (), None, None)


def _shapes(name: str, dtype: str) -> tuple[Spec, int, list[dict], list[dict], str]:
    """Give a space's columns, bands and layers, without its weights."""
    spec = resolve(name)
    if spec.family in TEXT_FAMILIES:
        columns = projected_width(model_config(spec)["embed_dim"], spec.columns)
        return spec, columns, [], [], dtype
    spec, backbone = sketch(name)
    lines = [line for line in describe(spec, backbone) if line.band is not None]
    bands = [
        {"name": "+".join(band), "columns": sum(one.columns for one in lines if one.band == number)}
        for number, band in enumerate(spec.bands, 1)
    ]
    layers = [
        {"layer": one.layer, "pooling": one.pooling, "projection": one.columns < one.pooled or None}
        for one in lines
    ]
    own = dtype if backbone.dtype == "float32" else backbone.dtype
    columns = sum(one.columns for one in lines)
    return spec, columns, bands if len(bands) > 1 else [], layers, own


def _missing(entry: Entry, subjects: Sequence[Subject]) -> float:
    """Look for some pictures of each subject among those that a space has."""
    there = set(row_names(entry.path).tolist()) if entry.path.exists() else set()
    some: list[Path] = []
    for subject in subjects:
        files = [*subject.pictures("train"), *subject.pictures("test")]
        some += files[:: max(1, len(files) // LOOKED_FOR)]
    wanted = [name.encode() for name in sha256_files(some)]
    return sum(name not in there for name in wanted) / max(1, len(wanted))


def count_pictures(subjects: Sequence[Subject]) -> int:
    """Count the different pictures of subjects, by the numbers in their files' names."""
    return len(
        {int(one) for s in subjects for split in ("train", "test") for one in s.nsd_ids(split)}
    )


def some_pictures(subjects: Sequence[Subject]) -> list[Path]:
    """Take a few of the pictures, from all over."""
    files = subjects[0].pictures("train")
    return files[:: max(1, len(files) // TRIED)][:TRIED]


@dataclass(frozen=True)
class NetworkCost:
    """What a network takes, for all spaces that are layers of it.

    Attributes
    ----------
    name : str
        The network's: "alexnet".
    spaces : tuple of Planned
        Those that lack pictures.
    n_pictures : int
        That it is run on.
    at_once : int
        How many pictures it takes at once.
    cost : Cost
        Beside the start of the process.
    """

    name: str
    spaces: tuple[Planned, ...]
    n_pictures: int
    at_once: int
    cost: Cost


def start_cost(rates: Rates) -> Cost:
    """Say what a process of this stage takes before it does anything."""
    found = rates.start(*IMPORTS)
    return Cost(found["seconds"], int(found["memory"]))


def extract_costs(
    planned: Sequence[Planned],
    subjects: Sequence[Subject],
    rates: Rates,
    device: str = "cpu",
    precision: str = "float32",
) -> list[NetworkCost]:
    """Say what each network takes that has anything to do.

    Parameters
    ----------
    rates : Rates
        Of the machine; they are of the processor, whatever the device.
    device : str
        Whether GPU memory is asked for: "cpu", or "cuda" with or without a number.

    Returns
    -------
    list of NetworkCost
        Pictures are decoded for all networks at once: the first has what that takes.
    """
    n_pictures, files = count_pictures(subjects), some_pictures(subjects)
    start = start_cost(rates)
    networks: dict[tuple, list[Planned]] = {}
    for one in planned:
        if one.missing > 0:
            of = (one.spec.family, one.spec.model, one.spec.weights)
            networks.setdefault(of, []).append(one)
    found: list[NetworkCost] = []
    for spaces in networks.values():
        specs = [one.spec for one in spaces]
        text = specs[0].family in TEXT_FAMILIES
        size = max(file.stat().st_size for file in files)
        depends = digest({"specs": [repr(s) for s in specs], "precision": precision, "size": size})
        work = partial(measured, try_text, specs[0]) if text else partial(
            measured, try_network, specs, [str(file) for file in files], precision)  # fmt: skip
        trial = rates.of(f"network {specs[0].network} {depends}", work)
        count = round(n_pictures * max(one.missing for one in spaces))
        each = trial["forward"] + (trial["decode"] * (not found) + trial["preprocess"]) / max(
            1, rates.threads
        )
        columns = sum(int(one.entry.meta["columns"]) for one in spaces)
        width = columns * (1 if spaces[0].entry.meta["dtype"] == "uint8" else 4)
        disk = count * (width + 64 + 4)
        # Rows are written as shards, then once more as a whole.
        seconds = trial["prepare"] + count * each + rates.writes(2 * disk, 2 + count // 256)
        if not found:
            seconds += _digesting(rates, subjects)
        own = max(0, int(trial["memory"]) - start.memory)
        gpu = int(trial["gpu_memory"]) if device.startswith("cuda") else 0
        cost = Cost(seconds, own + min(64 << 20, 2 * 256 * width), gpu, disk)
        found.append(
            NetworkCost(specs[0].network, tuple(spaces), count, int(trial["at_once"]), cost)
        )
    return found


def _digesting(rates: Rates, subjects: Sequence[Subject]) -> float:
    """Say how long the pictures take to be digested, side by side."""
    files = some_pictures(subjects)
    each = sum(file.stat().st_size for file in files) / len(files) + 50e3
    n_files = sum(len(s.pictures(split)) for s in subjects for split in ("train", "test"))
    return rates.digests(n_files * each) / rates.threads

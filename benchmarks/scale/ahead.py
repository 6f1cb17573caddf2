"""What follows from the measurements for work that is far larger; every figure is computed here."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.scale.data import Size
from benchmarks.scale.model import Model

# Of the challenge's subjects: training pictures, test pictures, vertices.
SUBJECTS = (
    (9841, 159, 39548),
    (9841, 159, 39548),
    (9082, 293, 39548),
    (8779, 395, 39548),
    (9841, 159, 39548),
    (9082, 293, 39198),
    (9841, 159, 39548),
    (8779, 395, 39511),
)
NSD = 73_000
SCREENED = 100_000_000
# Twenty feature spaces, by the networks whose one pass gives them.
SPACES = {
    "alexnet": 5,
    "vgg16": 3,
    "clip": 4,
    "clip_l14": 3,
    "dinov2": 2,
    "efficientnet_lite0": 1,
    "sam": 2,
}
WIDTH = 512
ROIS = 28
DAY = 86_400.0
# What a GPU is taken to do with float32 networks; none was measured.
GPU = 1e13


@dataclass(frozen=True)
class Measured:
    """What the extrapolation rests on.

    Attributes
    ----------
    ridge, evaluate, report : Model
        Of the stages.
    weighting : float
        What one weighting of bands takes, in ridge fits of the same size.
    decoding : float
        Seconds that one picture more takes to be decoded, and all else but a slow network.
    networks : mapping
        Seconds and operations of a picture, by space.
    prediction : mapping
        As `measure_prediction` gives it.
    """

    ridge: Model
    evaluate: Model
    report: Model
    weighting: float
    decoding: float
    networks: Mapping[str, Mapping[str, float]]
    prediction: Mapping[str, Any]

    @property
    def reading(self) -> float:
        """Bytes of features read from disk in a second, checksums verified."""
        found = self.prediction
        return float(4.0 * found["rows"] * found["columns"] / found["reading_disk"])

    @property
    def product(self) -> float:
        """Operations in a second of streamed predictions of all vertices."""
        found = self.prediction
        operations = 2.0 * found["few"] * found["columns"] * found["vertices"]
        return float(operations / found["vertices_of_few"])

    def network(self, name: str) -> float:
        """Give the seconds of a picture, decoded and passed through a network."""
        return max(self.decoding, self.networks[name]["seconds"])


def challenge(found: Measured) -> list[list[str]]:
    """Work out the eight subjects with 20 feature spaces.

    Parameters
    ----------
    found : Measured
        The measurements.

    Returns
    -------
    list of list of str
        Rows: work, time on this machine, machines for a day, disk.
    """
    columns = WIDTH * sum(SPACES.values())
    vertices = sum(v for _, _, v in SUBJECTS)
    tests = sum(4.0 * m * v for _, m, v in SUBJECTS)

    def fits(width: int) -> float:
        return sum(found.ridge.seconds(Size(n, m, 0, width, 1, v, 1, ROIS)) for n, m, v in SUBJECTS)

    forwards = sum(NSD * found.network(name) for name in SPACES)
    scored = [Size(0, m, 0, 0, 1, v, 1, ROIS) for _, m, v in SUBJECTS]
    n_fits = sum(SPACES.values()) + 1
    # The command's own share once, the subjects' shares of each.
    scoring = _together(found.evaluate, scored, n_fits)
    reporting = _together(found.report, scored, n_fits)
    heldout = sum(0.4 * n * v for n, _, v in SUBJECTS)
    one, joined = 4.0 * vertices * WIDTH, 4.0 * vertices * columns
    beside = tests + heldout
    return [
        _row(f"features of {NSD:,} pictures, 7 networks", forwards, 4.0 * NSD * columns),
        _row(f"20 ridge fits on {WIDTH} columns each", 20 * fits(WIDTH), 20 * (one + beside)),
        _row(f"ridge on all {columns:,} columns (dual form)", fits(columns), joined + beside),
        _row("banded ridge on all, 20 weightings", 20 * found.weighting * fits(columns),
             joined + beside),
        _row(f"scores of {n_fits} fits", scoring, 0.0),
        _row(f"report of {n_fits} fits, scored before", reporting, 0.0),
    ]  # fmt: skip


def _together(model: Model, sizes: list[Size], fits: int) -> float:
    own = model.factors["command"]
    return own + sum(model.seconds(size, fits) - own for size in sizes)


def pictures(found: Measured, count: int) -> list[list[str]]:
    """Work out the prediction of many pictures by one fit of all eight subjects.

    Parameters
    ----------
    found : Measured
        The measurements.
    count : int
        How many pictures.

    Returns
    -------
    list of list of str
        Rows as of `challenge`.
    """
    vertices, n_rois = sum(v for _, _, v in SUBJECTS), 2 * ROIS * len(SUBJECTS)
    features, responses = 4.0 * count * WIDTH, 4.0 * count * vertices
    writing = found.prediction["writing"] / found.prediction["written"]
    forming = found.prediction["vertices_of_few"] / found.prediction["few"]
    disk = max(0.0, writing - forming) / (4.0 * found.prediction["vertices"])
    product = 2.0 * count * WIDTH * vertices / found.product
    return [
        _row("AlexNet features, decoded from 425 x 425 PNGs", count * found.network("alexnet"),
             features),
        _row("CLIP ViT-B/32 features", count * found.network("clip"), features),
        _row("SAM features", count * found.network("sam"), features),
        _row(f"reading {WIDTH} columns from disk", features / found.reading, 0.0),
        _row("responses of all vertices, formed and forgotten", product, 0.0),
        _row("responses of all vertices, written", product + responses * disk, responses),
        _row(f"means of {n_rois} ROIs", _means(found, count, n_rois), 4.0 * count * n_rois),
    ]  # fmt: skip


def _means(found: Measured, count: int, n_rois: int) -> float:
    # Measured with the ROIs of one subject: what reading does not take grows with their number.
    own = found.prediction
    product = max(0.0, own["means"] - own["reading"]) * n_rois / own["n_rois"]
    return float((own["reading_disk"] + product) * count / own["rows"])


def limits(found: Measured, count: int) -> list[list[str]]:
    """Work out what of the memory a cache of many pictures takes.

    Parameters
    ----------
    found : Measured
        The measurements.
    count : int
        How many pictures.

    Returns
    -------
    list of list of str
        What, and how much.
    """
    name = sys.getsizeof("0" * 64) + 8
    coefficients = 4.0 * WIDTH * sum(v for _, _, v in SUBJECTS)
    return [
        ["names of the pictures in a feature file", _bytes(64.0 * count)],
        ["names that `FeatureStore.read` is asked for, as Python has them", _bytes(name * count)],
        ["rows that it gives at once", _bytes(4.0 * count * WIDTH)],
        [f"files of shards, 256 rows each, {WIDTH} columns", f"{count / 256:,.0f}"],
        ["coefficients of eight subjects, in memory all the time", _bytes(coefficients)],
        [f"a GPU at {GPU:.0e} operations/s (assumed): CLIP ViT-B/32 of all",
         _time(count * found.networks["clip"]["operations"] / GPU)],
        ["the same: responses of all vertices of eight subjects",
         _time(2.0 * count * coefficients / 4.0 / GPU)],
    ]  # fmt: skip


def _row(what: str, seconds: float, n_bytes: float) -> list[str]:
    nodes = seconds / DAY
    needed = f"{nodes:,.0f}" if nodes >= 10 else f"{nodes:.1f}" if nodes >= 1 else "1"
    return [what, _time(seconds), needed, _bytes(n_bytes) if n_bytes else ""]


def _time(seconds: float) -> str:
    for size, unit in ((365.25 * DAY, "years"), (DAY, "days"), (3600.0, "h"), (60.0, "min")):
        if seconds >= (1.5 if unit == "years" else 1.0) * size:
            return f"{_short(seconds / size)} {unit}"
    return f"{_short(seconds)} s"


def _bytes(count: float) -> str:
    for power, unit in ((5, "PB"), (4, "TB"), (3, "GB"), (2, "MB")):
        if count >= 1000**power:
            return f"{_short(count / 1000**power)} {unit}"
    return f"{count / 1000:.0f} kB"


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2g}"

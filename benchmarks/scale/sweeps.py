"""What is doubled, and what it takes: each size a process of its own, and an exponent of each."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.scale.data import Size

FIT = Size(2000, 100, 16, 512, 1, 4000, 1, 8)
SCORED = Size(200, 160, 32, 32, 1, 8000, 1, 8)
ABLATED = Size(2000, 100, 16, 256, 2, 4000, 1, 8)
EXTRACTED = Size(256, 5, 425, 0, 0, 40, 1, 1)
RIDGE = {"model": "ridge"}
NETWORK = {"spaces": ["alexnet"]}


@dataclass(frozen=True)
class Point:
    """A piece of work, and what it took.

    Attributes
    ----------
    stage : str
        Which.
    size : Size
        How much of everything.
    options : dict
        Of the stage.
    seconds, gigabytes : float
        Time, without that of imports; peak memory, with theirs.
    """

    stage: str
    size: Size
    options: dict[str, Any]
    seconds: float = 0.0
    gigabytes: float = 0.0

    @property
    def name(self) -> str:
        """What tells it from others."""
        return json.dumps([self.stage, asdict(self.size), self.options], sort_keys=True)


@dataclass(frozen=True)
class Sweep:
    """A stage of which one size is varied, all others as they are.

    Attributes
    ----------
    title : str
        The stage, for people.
    what : str
        What is varied.
    values : sequence of int
        How much of it.
    points : sequence of Point
        One for each.
    """

    title: str
    what: str
    values: Sequence[int]
    points: Sequence[Point] = field(repr=False)

    @property
    def exponent(self) -> float:
        """By which power of the size the seconds grow, over all points, least squares."""
        seconds = [point.seconds for point in self.points]
        return float(np.polyfit(np.log(self.values), np.log(seconds), 1)[0])

    @property
    def last(self) -> float:
        """The same between the two largest."""
        (a, b), (s, t) = self.values[-2:], (p.seconds for p in self.points[-2:])
        return float(np.log(t / s) / np.log(b / a))


def all_sweeps(divisor: int = 1) -> list[Sweep]:
    """List the sweeps.

    Parameters
    ----------
    divisor : int
        Of the pictures and vertices, to try it quickly.

    Returns
    -------
    list of Sweep
        Not yet measured.
    """
    return [_smaller(sweep, divisor) for sweep in _sweeps()]


def _sweeps() -> Iterator[Sweep]:
    yield _of("extract", "pictures", EXTRACTED, NETWORK, train=[128, 256, 512, 1024])
    columns = [256, 1024, 4096]
    wide = [{"spaces": [f"alexnet@conv5~{n}"]} for n in columns]
    yield _by_options("extract", "columns", EXTRACTED, columns, wide)
    layers = [{"spaces": [f"alexnet_conv{k}" for k in range(1, n + 1)]} for n in (1, 2, 4)]
    yield _by_options("extract", "spaces of a network", EXTRACTED, [1, 2, 4], layers)
    yield _of("fit", "pictures", FIT, RIDGE, train=[1000, 2000, 4000, 8000])
    yield _of("fit", "columns", FIT, RIDGE, columns=[256, 512, 1024])
    yield _of("fit", "vertices", FIT, RIDGE, vertices=[2000, 4000, 8000, 16000])
    yield _of("fit", "subjects", FIT, RIDGE, subjects=[1, 2, 4])
    yield _of("fit", "ROIs", FIT, RIDGE, rois=[2, 8, 28])
    both = [(1000, 2000), (2000, 4000), (4000, 8000), (8000, 16000)]
    grown = [Point("fit", replace(FIT, train=n, vertices=v), RIDGE) for n, v in both]
    yield Sweep("fit", "pictures, with twice as many vertices", [n for n, _ in both], grown)
    dual = replace(FIT, columns=4096)
    yield _of("fit, dual form", "pictures", dual, RIDGE, train=[500, 1000, 2000])
    dual = replace(dual, train=1000)
    yield _of("fit, dual form", "columns", dual, RIDGE, columns=[2048, 4096, 8192])
    bands = replace(FIT, spaces=4)
    drawn = [{"model": "banded_ridge", "params": {"n_iter": n}} for n in (10, 20, 40)]
    yield _by_options("fit, 4 bands", "weightings", bands, [10, 20, 40], drawn)
    yield _of("ablate", "vertices", ABLATED, {}, vertices=[2000, 4000, 8000])
    widths = [256, 512, 1024]
    yield _of("ablate", "columns of 2 spaces", ABLATED, {}, columns=widths)
    sizes = [replace(ABLATED, spaces=n, columns=128 * n) for n in (1, 2, 3, 4)]
    subsets = [Point("ablate", size, {}) for size in sizes]
    yield Sweep("ablate", "subsets", [1, 3, 7, 15], subsets)
    one = {"fits": 1}
    yield _of("evaluate", "test pictures", SCORED, one, test=[80, 160, 320, 640])
    yield _of("evaluate", "vertices", SCORED, one, vertices=[4000, 8000, 16000, 32000])
    yield _of("evaluate", "subjects", SCORED, one, subjects=[1, 2, 4])
    yield _of("evaluate", "ROIs", SCORED, one, rois=[2, 8, 28])
    fits = [{"fits": n} for n in (1, 2, 4)]
    yield _by_options("evaluate", "fits", SCORED, [1, 2, 4], fits)
    yield _of("report", "vertices", SCORED, one, vertices=[4000, 8000, 16000])
    yield _of("report", "subjects", SCORED, one, subjects=[1, 2, 4])
    yield _by_options("report", "fits", SCORED, [1, 2, 4], fits)


def _of(title: str, what: str, size: Size, options: dict[str, Any], **varied: list[int]) -> Sweep:
    ((name, values),) = varied.items()
    stage = title.partition(",")[0]
    points = [Point(stage, replace(size, **{name: value}), options) for value in values]
    return Sweep(title, what, values, points)


def _by_options(
    title: str, what: str, size: Size, values: list[int], options: Sequence[dict[str, Any]]
) -> Sweep:
    stage = title.partition(",")[0]
    return Sweep(title, what, values, [Point(stage, size, own) for own in options])


def _smaller(sweep: Sweep, divisor: int) -> Sweep:
    points = [
        replace(
            point,
            size=replace(
                point.size,
                train=max(point.size.train // divisor, 40),
                test=max(point.size.test // divisor, 20),
                vertices=max(point.size.vertices // divisor, 40),
            ),
        )
        for point in sweep.points
    ]
    return replace(sweep, points=points)


def measure(sweeps: Sequence[Sweep], folder: Path) -> list[Sweep]:
    """Do all the work, what is in several sweeps once.

    Parameters
    ----------
    sweeps : sequence of Sweep
        What.
    folder : Path
        Where to work.

    Returns
    -------
    list of Sweep
        With what they took.
    """
    done: dict[str, Point] = {}
    for sweep in sweeps:
        for point in sweep.points:
            if point.name not in done:
                done[point.name] = measure_point(point, folder)
    return [replace(s, points=[done[point.name] for point in s.points]) for s in sweeps]


def measure_point(point: Point, folder: Path) -> Point:
    """Do a piece of work in a process of its own.

    Parameters
    ----------
    point : Point
        What.
    folder : Path
        Where to work.

    Returns
    -------
    Point
        With what it took.
    """
    found = run_child(
        "benchmarks.scale.work",
        {"stage": point.stage, "size": asdict(point.size), "options": point.options},
        folder,
    )
    print(f"{point.name}: {found['seconds']:.2f} s", file=sys.stderr, flush=True)
    return replace(point, seconds=found["seconds"], gigabytes=found["gigabytes"])


def run_child(module: str, asked: dict[str, Any], folder: Path) -> Any:
    """Run a module in a process of its own.

    Parameters
    ----------
    module : str
        It takes JSON, and prints JSON in its last line.
    asked : dict
        What it is to do.
    folder : Path
        Where to work.

    Returns
    -------
    object
        What it printed.

    Raises
    ------
    RuntimeError
        If it failed, with the last that it said.
    """
    command = [sys.executable, "-m", module, json.dumps({**asked, "folder": str(folder)})]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{module} {asked}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])

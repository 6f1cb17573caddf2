"""Growth of every stage, and what follows, as Markdown: `python -m benchmarks.scale`.

About a quarter of an hour on 2 processors that do nothing else. `--quick` is for trying it: its
figures mean nothing. `docs/scale.md` holds what it printed.
"""

import argparse
import os
import platform
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import joblib

from benchmarks.scale.ahead import NSD, SCREENED, SPACES, Measured, challenge, limits, pictures
from benchmarks.scale.data import Size
from benchmarks.scale.model import Model, fit_model, ridge_terms, scoring_terms
from benchmarks.scale.sweeps import (
    RIDGE,
    Point,
    Sweep,
    all_sweeps,
    measure,
    measure_point,
    run_child,
)

FULL = Size(9841, 159, 16, 512, 1, 39548, 1, 28)
PREDICTED = Size(1000, 20, 16, 512, 1, 39548, 1, 28)
STREAMED = 200_000
# Pictures in the batch that a network's rate is taken from.
BATCHES = {"alexnet": 32, "vgg16": 8, "clip": 32, "clip_l14": 4, "dinov2": 2,
           "efficientnet_lite0": 32, "sam": 1}  # fmt: skip
PRODUCTS = {
    "pictures": ([2500, 5000, 10_000], lambda n: (512, 20_000, n)),
    "columns": ([256, 512, 1024], lambda p: (p, 20_000, 5000)),
    "vertices": ([10_000, 20_000, 40_000], lambda v: (512, v, 5000)),
}


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="an eighth of the sizes")
    parser.add_argument("--folder", type=Path, help="where to work; a temporary folder otherwise")
    arguments = parser.parse_args()
    divisor = 8 if arguments.quick else 1
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        sweeps = measure(all_sweeps(divisor), folder)
        show_growth(sweeps)
        show_products(folder)
        full = replace(
            FULL, train=FULL.train // divisor, vertices=FULL.vertices // divisor // 2 * 2
        )
        whole = measure_point(Point("fit", full, RIDGE), folder)
        subject = replace(PREDICTED, vertices=full.vertices)
        found = _measured(sweeps, subject, STREAMED // divisor, folder)
    show_models(found, whole)
    show_networks(found)
    show_prediction(found.prediction, found)
    head = ["work", "this machine", "such machines, for a day", "disk"]
    title("Eight subjects, 20 feature spaces")
    table(head, challenge(found))
    title(f"All {NSD:,} pictures of NSD, predicted for eight subjects")
    table(head, pictures(found, NSD))
    title(f"{SCREENED:,} pictures, predicted for eight subjects")
    table(head, pictures(found, SCREENED))
    title(f"What {SCREENED:,} pictures take")
    table(["what", ""], limits(found, SCREENED))


def show_growth(sweeps: Sequence[Sweep]) -> None:
    """Print a table of each stage."""
    print(f"{platform.processor() or platform.machine()}, {joblib.cpu_count()} processors, "
          f"OMP_NUM_THREADS={os.environ.get('OMP_NUM_THREADS', 'unset')}")  # fmt: skip
    for stage in dict.fromkeys(sweep.title for sweep in sweeps):
        own = [sweep for sweep in sweeps if sweep.title == stage]
        title(f"{stage}: {_base([point for sweep in own for point in sweep.points])}")
        rows = [_growth(sweep) for sweep in own]
        table(["varied", "sizes", "seconds", "GB", "exponent", "of the last step"], rows)


def _base(points: Sequence[Point]) -> str:
    """Say what is not varied: the size that most of them have."""
    sizes = [point.size for point in points]
    point = max(points, key=lambda point: sizes.count(point.size))
    size = point.size
    if point.stage == "extract":
        return f"{size.train} pictures of {size.side} x {size.side}, AlexNet"
    parts = [f"{size.columns} columns", f"{size.vertices} vertices", f"{size.subjects} subject"]
    parts += [f"{size.rois} ROIs a hemisphere"]
    if point.stage in ("evaluate", "report"):
        return ", ".join([f"{size.test} test pictures", *parts[1:], "1 fit"])
    return ", ".join([f"{size.train} pictures", *parts])


def _growth(sweep: Sweep) -> list[str]:
    values = " · ".join(f"{value:,}" for value in sweep.values)
    seconds = " · ".join(f"{point.seconds:.2f}" for point in sweep.points)
    memory = " · ".join(f"{point.gigabytes:.2f}" for point in sweep.points)
    return [sweep.what, values, seconds, memory, f"{sweep.exponent:.2f}", f"{sweep.last:.2f}"]


def show_products(folder: Path) -> None:
    """Print how the product of a prediction grows."""
    title("Prediction, the product alone: 5,000 pictures x 512 columns x 20,000 vertices")
    rows = []
    for what, (values, shape) in PRODUCTS.items():
        asked = {"shapes": [shape(value) for value in values]}
        seconds = run_child("benchmarks.scale.prediction", asked, folder)
        points = [Point("", FULL, {}, seconds=s) for s in seconds]
        rows.append(_growth(Sweep("", what, values, points)))
    table(
        ["varied", "sizes", "seconds", "exponent", "of the last step"],
        [r[:3] + r[4:] for r in rows],
    )


def _measured(sweeps: Sequence[Sweep], subject: Size, rows: int, folder: Path) -> Measured:
    once = {point.name: point for sweep in sweeps for point in sweep.points}
    asked = {"size": asdict(subject), "rows": rows}
    ridge = _of(once, "fit", "ridge")
    banded = sorted(_of(once, "fit", "banded_ridge"), key=lambda p: p.options["params"]["n_iter"])
    first, last = (point.options["params"]["n_iter"] for point in (banded[0], banded[-1]))
    each = (banded[-1].seconds - banded[0].seconds) / (last - first)
    alone = next(p for p in ridge if p.size == replace(banded[0].size, spaces=1))
    extracted = next(sweep for sweep in sweeps if sweep.title == "extract").points
    more = extracted[-1].size.train - extracted[-2].size.train
    return Measured(
        ridge=fit_model(ridge_terms, ridge),
        evaluate=fit_model(scoring_terms, _of(once, "evaluate")),
        report=fit_model(scoring_terms, _of(once, "report")),
        weighting=each / alone.seconds,
        decoding=(extracted[-1].seconds - extracted[-2].seconds) / more,
        networks=run_child("benchmarks.scale.networks", {"networks": BATCHES}, folder),
        prediction=run_child("benchmarks.scale.prediction", asked, folder),
    )


def _of(once: dict[str, Point], stage: str, model: str = "") -> list[Point]:
    points = [point for point in once.values() if point.stage == stage]
    return [point for point in points if point.options.get("model", "") == model]


def show_models(found: Measured, whole: Point) -> None:
    """Print what the extrapolation is worth, and the terms it is made of."""
    title("Seconds as sums of terms, fitted to the tables above")
    models: dict[str, Model] = {
        "ridge": found.ridge, "evaluate": found.evaluate, "report": found.report,
    }  # fmt: skip
    rows = []
    for name, model in models.items():
        terms = [f"{v:.1e} {term}" for term, v in model.factors.items() if v]
        rows.append([name, f"{model.typical:.0%}", f"{model.worst:.0%}", " + ".join(terms)])
    table(["", "median error", "largest", "terms"], rows)
    size, expected = whole.size, found.ridge.seconds(whole.size)
    print(
        f"\nA fit that none of it knew: {size.train:,} pictures x {size.columns} columns x "
        f"{size.vertices:,} vertices, {size.rois} ROIs a hemisphere: expected {expected:.0f} s, "
        f"took {whole.seconds:.0f} s and {whole.gigabytes:.1f} GB. A weighting of 4 bands takes "
        f"{found.weighting:.2f} of a ridge fit."
    )


def show_networks(found: Measured) -> None:
    """Print the rates of the networks."""
    title("Networks, random weights, a batch in memory")
    rows = []
    for name, own in found.networks.items():
        rate = own["operations"] / own["seconds"]
        cells = [
            f"{1e3 * own['seconds']:.0f}",
            f"{own['operations'] / 1e9:.1f}",
            f"{rate / 1e9:.0f}",
        ]
        rows.append([name, str(SPACES[name]), *cells])
    table(["network", "spaces", "ms a picture", "Gop a picture", "Gop/s"], rows)
    print(f"\nAlexNet's whole extraction: {1e3 * found.decoding:.0f} ms for a picture more.")


def show_prediction(own: Any, found: Measured) -> None:
    """Print the streamed prediction."""
    title("Prediction, streamed from the cache")
    some = f"{own['columns']} columns, {own['vertices']:,} vertices, one subject"
    features = 4e-9 * own["rows"] * own["columns"]
    lines = [
        ["loading the models", "", f"{own['loading']:.2f}", f"{own['n_rois']} files"],
        ["reading features in memory, checksums verified", f"{own['rows']:,}",
         f"{own['reading']:.2f}", f"{features / own['reading']:.2f} GB/s"],
        ["the same from disk", f"{own['rows']:,}", f"{own['reading_disk']:.2f}",
         f"{features / own['reading_disk']:.2f} GB/s"],
        ["responses of all vertices, forgotten", f"{own['few']:,}", f"{own['vertices_of_few']:.2f}",
         f"{found.product / 1e9:.0f} Gflop/s, {found.product / own['flops']:.0%} of what a product "
         f"of 3000 x 3000 reaches"],
        ["responses of all vertices, written", f"{own['written']:,}", f"{own['writing']:.2f}",
         f"{4e-9 * own['written'] * own['vertices'] / own['writing']:.2f} GB/s"],
        [f"means of {own['n_rois']} ROIs", f"{own['rows']:,}", f"{own['means']:.2f}",
         f"{own['rows'] / own['means']:,.0f} pictures/s"],
    ]  # fmt: skip
    print(f"{some}\n")
    table(["", "pictures", "seconds", "rate"], lines)


def title(text: str) -> None:
    """Print a heading."""
    print(f"\n### {text}\n", flush=True)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table in Markdown."""
    for cells in (head, ["---"] * len(head), *rows):
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()

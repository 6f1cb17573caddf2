"""Time and memory of `python -m regress --model ridge` at the challenge's full size.

`python -m benchmarks.full_size` simulates subject 1 of the challenge (9841 + 159 small pictures,
19004 + 20544 vertices), writes features for them, runs the real command, and prints
its time and peak memory. The features are random numbers: the time does not depend on their
meaning. Nothing is kept but the printed figures.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from base import say
from cache import FeatureStore
from challenge import find_subjects
from challenge.simulator import simulate


def main() -> None:
    """Simulate, fit, and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=9841)
    parser.add_argument("--vertices", type=int, nargs=2, default=[19004, 20544])
    parser.add_argument("--columns", type=int, default=512, help="of the features")
    parser.add_argument("--folder", type=Path, help="where to work; a temporary folder otherwise")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        data, out = Path(folder) / "data", Path(folder) / "out"
        simulate(data, 1, arguments.images, 159, arguments.vertices, 0, "builtin", 64)
        _write_features(data, out, arguments.columns)
        seconds, gigabytes = _fit(data, out)
    say(
        f"{arguments.images} pictures x {sum(arguments.vertices)} vertices x "
        f"{arguments.columns} columns: {seconds / 60:.1f} minutes, {gigabytes:.1f} GB at most"
    )


def _write_features(data: Path, out: Path, columns: int) -> None:
    (subject,) = find_subjects(data)
    pictures = [*subject.picture_digests("train"), *subject.picture_digests("test")]
    rows = np.random.default_rng(0).standard_normal((len(pictures), columns), dtype=np.float32)
    store = FeatureStore(out / "features")
    with store.writer(
        "random", {"made by": "benchmarks.full_size"}, {"origin": "random"}
    ) as writer:
        writer.add(pictures, rows)


def _fit(data: Path, out: Path) -> tuple[float, float]:
    command = [sys.executable, "-m", "regress", "--data", str(data), "--out", str(out)]
    command += ["--subject", "01", "--model", "ridge", "--spaces", "random"]
    start = time.perf_counter()
    subprocess.run(command, check=True)
    seconds = time.perf_counter() - start
    # The largest child of this process was the fit; the simulation ran in this process itself.
    return seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6


if __name__ == "__main__":
    main()

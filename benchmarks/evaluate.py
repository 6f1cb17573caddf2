"""Scores of a whole subject: time and memory, beside a plain loop over resamples.

`python -m benchmarks.evaluate` makes random responses and predictions of the size of subject 1 of
the challenge (159 test pictures, 39,548 vertices) with 60 ROIs that overlap, and runs each piece of
work in a process of its own. The plain loop takes the rows of one resample after another; it runs
a few, and its time for all is extrapolated, which the table says.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

from evaluate.resampling import draw_orders, permute, picture_weights, resample, significance
from evaluate.resampling.intervals import intervals
from evaluate.scoring.vertex_scores import score_vertices

PICTURES, VERTICES, ROIS, LOOPED = 159, 39_548, 60, 20
Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, list[np.ndarray], np.ndarray]


def arrays() -> Arrays:
    """Make responses, predictions, ceilings, ROIs and the names of the pictures."""
    rng = np.random.default_rng(0)
    y = rng.standard_normal((PICTURES, VERTICES), dtype=np.float32)
    p = 0.5 * y + rng.standard_normal((PICTURES, VERTICES), dtype=np.float32)
    rois = [np.sort(rng.choice(VERTICES, 1200, replace=False)) for _ in range(ROIS)]
    names = np.array([b"%064d" % i for i in range(PICTURES)])
    return y, p, rng.uniform(0.1, 0.8, VERTICES), [*rois, np.arange(VERTICES)], names


def official(made: Arrays, _: int) -> None:
    """Score every vertex, by every metric, and average over ROIs."""
    y, p, ceiling, rois, _names = made
    values = score_vertices(y, p, ceiling)
    for roi in rois:
        values.tally(roi)


def bootstrap(made: Arrays, resamples: int) -> None:
    """Give every mean its intervals."""
    y, p, ceiling, rois, names = made
    for draws in resample(y, p, ceiling, picture_weights(names, resamples), rois):
        intervals(draws)


def loop(made: Arrays, resamples: int) -> None:
    """Resample in a plain loop."""
    y, p, ceiling, rois, _names = made
    rng = np.random.default_rng(0)
    for _ in range(resamples):
        rows = rng.integers(0, PICTURES, PICTURES)
        a, b = y[rows], p[rows]
        a, b = a - a.mean(axis=0), b - b.mean(axis=0)
        r = (a * b).sum(axis=0) / np.sqrt((a * a).sum(axis=0) * (b * b).sum(axis=0))
        score = np.minimum(np.maximum(r, 0) ** 2 / ceiling, 1)
        for roi in rois:
            score[roi].mean()


def permutation(made: Arrays, permutations: int) -> None:
    """Test every vertex."""
    y, p, _ceiling, _rois, names = made
    significance(permute(y, [p], draw_orders(names, permutations)))


WORK: dict[str, tuple[Callable[[Arrays, int], None], int, int]] = {
    "score every vertex and ROI": (official, 1, 1),
    "2000 resamples, intervals of 61 means": (bootstrap, 2000, 2000),
    "2000 resamples, plain numpy loop, no intervals": (loop, LOOPED, 2000),
    "1000 permutations, p, q and max-statistic": (permutation, 1000, 1000),
}


def main() -> None:
    """Run all, or one in this process, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=WORK)
    only = parser.parse_args().only
    if only:
        work, done, _ = WORK[only]
        made = arrays()
        before = time.perf_counter()
        work(made, done)
        seconds = time.perf_counter() - before
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(json.dumps({"seconds": seconds, "peak": peak}))
        return
    print(f"{PICTURES} pictures x {VERTICES} vertices, {ROIS} ROIs of 1200 and all vertices")
    for name, (_, done, wanted) in WORK.items():
        command = [sys.executable, "-m", "benchmarks.evaluate", "--only", name]
        found = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        seconds = found["seconds"] * wanted / done
        told = f"  (extrapolated from {done})" if done != wanted else ""
        print(f"{name:<48}{seconds:8.2f} s{found['peak']:6.1f} GB{told}")


if __name__ == "__main__":
    main()

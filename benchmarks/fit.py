"""Fits beside himalaya's and scikit-learn's: time, memory, agreement, growth.

`python -m benchmarks.fit` makes random features and responses with a linear part, runs every
contender in a process of its own on the same arrays, and prints a table: seconds, the ratio to
ours, the multiple of the one-pass floor (forming X'X and X'Y once, timed in the same run), peak
memory, and how far the answers agree. `--quick` runs small sizes in a minute.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
import matplotlib.pyplot as plt

ALPHAS = np.logspace(-1, 5, 13).tolist()


def main() -> None:
    """Run all comparisons and print them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small sizes, about a minute")
    parser.add_argument("--plot", type=Path, default=Path("derivatives/bench_fit.png"))
    arguments = parser.parse_args()
    n = 1000 if arguments.quick else 9841
    t = 400 if arguments.quick else 4000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print(f"{n} x 512, {t} vertices in 10 ROIs, 13 alphas, 5 folds, float32")
        make(folder, n, 512, t, {"alphas": ALPHAS, "folds": 5})
        compare(folder, ["ours", "ours_by_roi", "himalaya_once", "himalaya_by_roi", "scikit_learn"])
        print(f"\n{n} x (512 + 256 + 256), {t // 2} vertices, 20 weightings, 11 alphas, 5 folds")
        bands = {"bands": [512, 256, 256], "weightings": 20, "alphas": ALPHAS[:11], "folds": 5}
        make(folder, n, 1024, t // 2, bands)
        compare(folder, ["banded_ours", "banded_himalaya"])
        print(
            f"\n{n // 5} x {n // 2}, {t // 2} vertices: more columns than pictures, the dual form"
        )
        make(folder, n // 5, n // 2, t // 2, {"alphas": ALPHAS, "folds": 5})
        compare(folder, ["ours", "dual_himalaya"])
        whole = 4000 if arguments.quick else 39548
        for p in (512, 2048):
            print(f"\nthe whole subject: {n} x {p}, {whole} vertices, responses mapped from disk")
            make(folder, n, p, whole, {"alphas": ALPHAS, "folds": 5}, in_memory=False)
            compare(folder, ["ours"])
        growth(folder, n, t, arguments.plot)


def make(
    folder: Path, n: int, p: int, t: int, settings: dict[str, Any], in_memory: bool = True
) -> None:
    """Write random arrays with a linear part, and settings, for the contenders."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, p), dtype=np.float32)
    Y = np.lib.format.open_memmap(folder / "Y.npy", "w+", np.float32, (n, t))
    for start in range(0, t, 2000):
        stop = min(start + 2000, t)
        B = rng.standard_normal((p, stop - start), dtype=np.float32) / np.sqrt(p)
        strength = rng.uniform(0, 1, stop - start).astype(np.float32)
        noise = rng.standard_normal((n, stop - start), dtype=np.float32)
        Y[:, start:stop] = X @ B * strength + noise
    del Y
    np.save(folder / "X.npy", X)
    (folder / "settings.json").write_text(json.dumps({**settings, "in_memory": in_memory}))


def measure(folder: Path, name: str) -> dict[str, float]:
    """Run one contender in its own process; give its seconds and gigabytes."""
    subprocess.run([sys.executable, "-m", "benchmarks.contenders", name, str(folder)], check=True)
    measured: dict[str, float] = json.loads((folder / f"{name}.json").read_text())
    return measured


def compare(folder: Path, names: list[str]) -> None:
    """Run contenders on the arrays that lie in the folder, and print their table."""
    lowest = measure(folder, "floor")["seconds"]
    first = names[0]
    print(f"{'':18}{'seconds':>9}{'x ours':>8}{'x floor':>9}{'GB':>6}  agreement with ours")
    print(f"{'one-pass floor':18}{lowest:9.2f}")
    own = measure(folder, first)
    print(f"{first:18}{own['seconds']:9.2f}{1:8.1f}{own['seconds'] / lowest:9.1f}"
          f"{own['gigabytes']:6.1f}")  # fmt: skip
    mine = np.load(folder / f"{first}.npz")
    for name in names[1:]:
        other = measure(folder, name)
        print(
            f"{name:18}{other['seconds']:9.2f}{other['seconds'] / own['seconds']:8.1f}"
            f"{other['seconds'] / lowest:9.1f}{other['gigabytes']:6.1f}  "
            + agreement(mine, np.load(folder / f"{name}.npz"))
        )


def agreement(mine: Any, other: Any) -> str:
    """Say how far two answers agree."""
    if "scores" not in other:
        r = [np.corrcoef(a, b)[0, 1] for a, b in zip(mine["coef"].T, other["coef"].T, strict=True)]
        return f"leave-one-out instead of folds; coefficients correlate {np.mean(r):.4f}"
    key = "deltas" if "deltas" in other else "alphas"
    same = np.isclose(mine[key], other[key], rtol=1e-3, atol=1e-3)
    same = same.all(0) if same.ndim == 2 else same
    scores = np.abs(mine["scores"] - other["scores"]).max()
    scale = np.abs(other["coef"]).max()
    worst = np.abs(mine["coef"][:, same] - other["coef"][:, same]).max() / scale
    return f"{same.mean():.2%} the same {key}, scores within {scores:.0e}, coef {worst:.0e}"


def growth(folder: Path, n: int, t: int, plot: Path) -> None:
    """Double each size in turn, and print and draw the seconds."""
    sizes = {
        "pictures": [(n // 4, 512, t, 1), (n // 2, 512, t, 1), (n, 512, t, 1)],
        "columns": [(n, 256, t, 1), (n, 512, t, 1), (n, 1024, t, 1), (n, 2048, t, 1)],
        "vertices": [(n, 512, t, 1), (n, 512, 2 * t, 1), (n, 512, 4 * t, 1)],
        "ROIs": [(n, 512, t, 1), (n, 512, t, 10), (n, 512, t, 50)],
    }
    print("\ngrowth of ours, seconds; ROIs: a call for each, under shared_forms")
    figure, axes = plt.subplots(1, len(sizes), figsize=(12, 3.2), sharey=True)
    for axis, (what, shapes) in zip(axes, sizes.items(), strict=True):
        seconds = []
        for *shape, rois in shapes:
            make(folder, *shape, {"alphas": ALPHAS, "folds": 5, "rois": rois})
            name = "ours_by_roi" if what == "ROIs" else "ours"
            seconds.append(measure(folder, name)["seconds"])
        values = [shape[list(sizes).index(what)] for shape in shapes]
        print(
            f"  {what:9}"
            + "".join(f"{v:>8}: {s:6.2f}" for v, s in zip(values, seconds, strict=True))
        )
        axis.loglog(values, seconds, "o-", color="#0072B2")
        axis.set_xlabel(what)
        axis.set_xticks(values, [str(v) for v in values])
        axis.minorticks_off()
    axes[0].set_ylabel("seconds")
    figure.tight_layout()
    plot.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(plot, dpi=120)
    print(f"-> {plot}")


if __name__ == "__main__":
    main()

"""What sharing work gains, and what handing it to a cluster costs.

`python -m benchmarks.executor` fits 8 simulated subjects in one process and in two, each with one
thread and with all; where there is a Slurm, it also hands it tasks that take a minute each.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from cache import FeatureStore
from challenge import find_subjects
from challenge.simulator import simulate
from execute import ALONE, Run, choose_executor, share

SUBJECTS, IMAGES, COLUMNS, VERTICES = 8, 1000, 1024, 3000
MODELS = {"ridge": [], "linear": ["--params.epochs", "20", "--params.patience", "20"]}
SECONDS = 60.0


def main() -> None:
    """Print both tables."""
    with tempfile.TemporaryDirectory() as folder:
        data, out = Path(folder, "data"), Path(folder, "out")
        _simulate(data, out)
        print(f"{SUBJECTS} SIMULATED subjects, {IMAGES} pictures, {COLUMNS} columns, ", end="")
        print(f"{2 * VERTICES} vertices each; seconds of the whole command\n")
        print(f"{'':<8}{'threads':>8}{'one process':>13}{'two':>8}{'ratio':>7}")
        for model, more in MODELS.items():
            for threads in ("1", ""):
                one, two = (_fit(data, out, model, device, threads, more) for device in DEVICES)
                label = threads or f"all {os.cpu_count()}"
                print(f"{model:<8}{label:>8}{one:>13.1f}{two:>8.1f}{one / two:>7.2f}", flush=True)
    if shutil.which("sbatch"):
        _overhead()


DEVICES = ("cpu", "cpu,cpu")


def _simulate(data: Path, out: Path) -> None:
    simulate(data, subjects=SUBJECTS, train_images=IMAGES, test_images=20, vertices=VERTICES,
             seed=0, photos="builtin", picture_size=32)  # fmt: skip
    rng = np.random.default_rng(0)
    names = {
        name
        for subject in find_subjects(data)
        for split in ("train", "test")
        for name in subject.picture_digests(split)
    }
    rows = rng.standard_normal((len(names), COLUMNS), np.float32)
    with FeatureStore(out / "features").writer("noise", {"made": "x"}, {"origin": "x"}) as writer:
        writer.add(sorted(names), rows)


def _fit(data: Path, out: Path, model: str, device: str, threads: str, more: list[str]) -> float:
    for made in ("fits", "moments", "searches"):
        shutil.rmtree(out / made, ignore_errors=True)
    command = [sys.executable, "-m", "regress", "--data", str(data), "--out", str(out)]
    command += ["--model", model, "--spaces", "noise", "--device", device, *more]
    environment = {**os.environ, **({"OMP_NUM_THREADS": threads} if threads else {})}
    began = time.perf_counter()
    subprocess.run(command, env=environment, check=True, capture_output=True)
    return time.perf_counter() - began


def work(number: int, units: Iterator[int]) -> int:
    """Take a minute for each unit."""
    for _ in units:
        time.sleep(SECONDS)
    return number


def _overhead() -> None:
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        run = Run(Path(folder, "runs", "sleep"), "fit", "a minute", sys.orig_argv)
        slurm = choose_executor("slurm", None, "fit")
        began = time.perf_counter()
        # By its name, under which a node finds it.
        from benchmarks.executor import work as task

        share(slurm, ALONE, run, [["one"], ["two"]], task, lambda *_: None)
        seconds = time.perf_counter() - began
    print(f"\ntwo tasks of {SECONDS:.0f} s side by side through Slurm: {seconds:.1f} s", end="")
    print(f", {100 * (seconds / SECONDS - 1):.1f} % more")


if __name__ == "__main__":
    main()

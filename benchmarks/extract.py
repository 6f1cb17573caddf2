"""Extraction beside plain loops; memory; reduced precision; reading rows.

`python -m benchmarks.extract` writes PNGs of 425 x 425 pixels, and runs every contender in a
process of its own: the plain loop (decode, forward, append in memory) for each network, this
project for each and for all at once, and the networks alone on a batch that is in memory already.
Networks have seeded random weights; their time does not depend on them. Start-up is in no figure.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from base import sha256_files
from cache import FeatureStore
from extract.backbone import Activation
from extract.pipeline.shared_passes import extract_spaces
from extract.pooling import pool
from extract.run import Prepared, compute, prepare
from extract.spaces import resolve
from networks.weights import Request

NETWORKS = ("alexnet", "efficientnet_lite0", "clip")
SIDE = 425
BATCH = 32


def main() -> None:
    """Run everything, or one contender in this process."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=512)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--run", nargs=3, metavar=("CONTENDER", "NETWORKS", "FOLDER"))
    arguments = parser.parse_args()
    if arguments.run:
        contender, networks, folder = arguments.run
        found = CONTENDERS[contender](networks.split(","), Path(folder), arguments.workers)
        found["megabytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        print(json.dumps(found))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_pictures(folder, arguments.pictures, SIDE)
        throughput(folder, arguments.pictures, arguments.workers)
        halves(folder)
    flatness(arguments.workers)
    reading()


def write_pictures(folder: Path, count: int, side: int) -> None:
    """Write pictures that compress about as photographs do: smooth, with some noise."""
    rng = np.random.default_rng(0)
    (folder / "pictures").mkdir()
    for number in range(count):
        small = rng.integers(0, 256, (12, 12, 3), np.uint8)
        smooth = np.asarray(Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC))
        noisy = smooth.astype(np.int16) + rng.integers(-12, 13, smooth.shape)
        picture = Image.fromarray(noisy.clip(0, 255).astype(np.uint8))
        picture.save(folder / "pictures" / f"{number:05d}.png", compress_level=1)


def measure(contender: str, networks: str, folder: Path, workers: int = 0) -> dict[str, float]:
    """Run a contender in its own process."""
    command = [sys.executable, "-m", "benchmarks.extract", "--workers", str(workers)]
    command += ["--run", contender, networks, str(folder)]
    # As `python -m extract` has it; here torch is loaded before `extract`.
    own = {"OMP_WAIT_POLICY": "PASSIVE"} if contender == "ours" else {}
    done = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, **own}
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def throughput(folder: Path, count: int, workers: int) -> None:
    """Compare with plain loops, for each network and for all."""
    print(f"{count} PNGs of {SIDE} x {SIDE}, batches of {BATCH}, {workers} reading processes")
    print(f"{'':24}{'loop s':>8}{'ours s':>8}{'ratio':>7}{'pict./s':>9}{'busy':>6}{'MB':>6}")
    loops = forward = 0.0
    for name in NETWORKS:
        loop = measure("loop", name, folder)["seconds"]
        forward += measure("forward", name, folder)["seconds"]
        loops += loop
        line(name, loop, measure("ours", name, folder, workers), count)
    together = measure("ours", ",".join(NETWORKS), folder, workers)
    line("all three at once", loops, together, count)
    print(f"the three networks alone {forward:.1f} s; ours {together['seconds'] / forward:.2f} x")


def line(name: str, loop: float, ours: dict[str, float], count: int) -> None:
    """Print a row of the table."""
    seconds = ours["seconds"]
    print(
        f"{name:24}{loop:8.1f}{seconds:8.1f}{loop / seconds:7.2f}{count / seconds:9.1f}"
        f"{ours['network'] / seconds:6.0%}{ours['megabytes']:6.0f}"
    )


def halves(folder: Path) -> None:
    """Compare bfloat16 with float32."""
    for name, count in (("alexnet", 128), ("sam", 2)):
        found = measure("bfloat16", f"{name},{count}", folder)
        print(
            f"{name}: bfloat16 {found['ratio']:.2f} x as fast as float32, cosine "
            f"{found['cosine']:.5f}"
        )


def flatness(workers: int) -> None:
    """Compare the peak memory of few and of many pictures."""
    peaks = []
    for count in (2000, 20000):
        with tempfile.TemporaryDirectory() as name:
            write_pictures(Path(name), count, 64)
            peaks.append(measure("ours", "alexnet", Path(name), workers)["megabytes"])
    print(f"memory: {peaks[0]:.0f} MB for 2000 pictures, {peaks[1]:.0f} MB for 20000")


def reading() -> None:
    """Compare reading a subject's rows with copying them from a memory-mapped npy file."""
    rng = np.random.default_rng(0)
    names = [f"{number:064x}" for number in range(29523)]
    # Three subjects, computed one after another; the second shares 1000 pictures with the first.
    first, second = np.arange(9841), np.arange(9841, 19682)
    second[rng.choice(9841, 1000, replace=False)] = rng.choice(9841, 1000, replace=False)
    print("9841 x 512 float32, checksums verified, beside a copy from a memory-mapped npy")
    with tempfile.TemporaryDirectory() as name:
        store = FeatureStore(Path(name))
        for space, count in (("alone", 9841), ("three", 29523)):
            rows = rng.standard_normal((count, 512), dtype=np.float32)
            np.save(Path(name) / f"{space}.npy", rows)
            with store.writer(space, {"name": space}, {"origin": "random"}) as writer:
                writer.add(names[:count], rows)
        for what, space, order in (
            ("a subject alone, in order", "alone", first),
            ("shuffled", "alone", rng.permutation(first)),
            ("the second of three", "three", second),
        ):
            entry, path = store.find(space), Path(name) / f"{space}.npy"
            digests = [names[number] for number in order]
            mapped = best(lambda path=path: np.array(np.load(path, mmap_mode="r")[: len(first)]))
            same = best(lambda path=path, order=order: np.load(path, mmap_mode="r")[order])
            ours = best(lambda entry=entry, digests=digests: store.read(entry, digests))
            print(
                f"  {what:26}{ours * 1e3:6.1f} ms; in order {mapped * 1e3:.1f} ms, "
                f"{ours / mapped:.1f} x;"
                f" the same rows {same * 1e3:.1f} ms, {ours / same:.1f} x"
            )


def best(work: Callable[[], Any], repeats: int = 7) -> float:
    """Time a call; the best of several."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def ready(name: str, precision: str = "float32") -> Prepared:
    """Make a network ready, with seeded random weights."""
    return prepare(resolve(name), Request(name, "random:0"), torch.device("cpu"), precision)


def plainly(prepared: Prepared, batch: torch.Tensor) -> NDArray[Any]:
    """Run a network on a whole batch, as its documentation shows."""

    def pooled(layer: str, activation: Activation) -> dict[str, torch.Tensor]:
        pooling = prepared.poolings[layer]
        return {pooling: pool(activation, pooling, layer)}

    with torch.inference_mode():
        return prepared.rows(prepared.backbone.forward(batch, prepared.layers, pooled))


def loop(networks: list[str], folder: Path, workers: int) -> dict[str, float]:
    """Decode, forward, append in memory."""
    prepared = ready(networks[0])
    paths = sorted((folder / "pictures").iterdir())
    rows = []
    start = time.perf_counter()
    for first in range(0, len(paths), BATCH):
        batch = torch.stack(
            [
                prepared.backbone.preprocess(Image.open(path).convert("RGB"))
                for path in paths[first : first + BATCH]
            ]
        )
        rows.append(plainly(prepared, batch))
    return {"seconds": time.perf_counter() - start}


def forward(networks: list[str], folder: Path, workers: int) -> dict[str, float]:
    """Run the network alone, as often as the pictures need."""
    prepared = ready(networks[0])
    paths = sorted((folder / "pictures").iterdir())
    batch = torch.stack([prepared.backbone.preprocess(Image.open(path)) for path in paths[:BATCH]])
    start = time.perf_counter()
    for first in range(0, len(paths), BATCH):
        plainly(prepared, batch[: len(paths) - first])
    return {"seconds": time.perf_counter() - start}


def ours(networks: list[str], folder: Path, workers: int) -> dict[str, float]:
    """Extract all at once, to the cache."""
    spaces = [ready(name) for name in networks]
    paths = sorted((folder / "pictures").iterdir())
    start = time.perf_counter()
    pictures = list(zip(sha256_files(paths), paths, strict=True))
    with tempfile.TemporaryDirectory() as out:
        done = extract_spaces(spaces, pictures, FeatureStore(Path(out)), workers)
        seconds = time.perf_counter() - start
    return {"seconds": seconds, "network": done.network_seconds}


def bfloat16(arguments: list[str], folder: Path, workers: int) -> dict[str, float]:
    """Compare the two precisions on a few pictures."""
    name, count = arguments
    full = ready(name)
    reduced = ready(name, "bfloat16")
    paths = sorted((folder / "pictures").iterdir())[: int(count)]
    batch = torch.stack([full.backbone.preprocess(Image.open(path)) for path in paths])
    compute([reduced], batch[:1])
    rows, seconds = [], []
    for prepared in (full, reduced):
        start = time.perf_counter()
        rows.append(compute([prepared], batch)[0].astype(np.float64))
        seconds.append(time.perf_counter() - start)
    norms = np.linalg.norm(rows[0], axis=1) * np.linalg.norm(rows[1], axis=1)
    cosine = float(((rows[0] * rows[1]).sum(1) / norms).min())
    return {"ratio": seconds[0] / seconds[1], "cosine": cosine}


CONTENDERS = {run.__name__: run for run in (loop, forward, ours, bfloat16)}

if __name__ == "__main__":
    main()

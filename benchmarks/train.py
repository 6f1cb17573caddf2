"""One pass of a trained model over a subject beside the products of `linear` alone.

`python -m benchmarks.train` makes random features and responses at the challenge's size, trains all
ROI models of a subject together for some epochs, in a process of its own, with the responses mapped
from disk. It prints the seconds of a pass over the pictures (reading, products, loss, optimiser,
keeping the weights) beside those of the products that `linear` cannot do without: features by
weights, and features by gradient, in memory that is there, before and after in the same process.
Of each the fastest pass counts.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

GROUPS = 50


def main() -> None:
    """Make the arrays, train, and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="linear")
    parser.add_argument("--images", type=int, default=9841)
    parser.add_argument("--columns", type=int, default=512)
    parser.add_argument("--vertices", type=int, nargs=2, default=[19004, 20544])
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--validation", type=float, default=0.0)
    parser.add_argument("--optimisers", nargs="+", default=["adamw", "sgd", "nadam"])
    parser.add_argument("--losses", nargs="+", default=["mse", "huber", "pearson"])
    parser.add_argument("--child", type=json.loads, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        _train(arguments.child)
        return
    n, p, t = arguments.images, arguments.columns, sum(arguments.vertices)
    print(
        f"{arguments.model}: {n} pictures x {p} columns, {t} vertices in {GROUPS} groups, "
        f"batches of {arguments.batch}; seconds of one pass"
    )
    print(f"{'optimiser':10}{'loss':10}{'products':>9}{'training':>9}{'ratio':>7}{'GB':>6}")
    with tempfile.TemporaryDirectory() as name:
        _make(Path(name), n, p, arguments.vertices)
        for optimiser in arguments.optimisers:
            for loss in arguments.losses if optimiser == arguments.optimisers[0] else ["mse"]:
                child = {
                    "folder": name,
                    "model": arguments.model,
                    "out": str(Path(name) / "measured.json"),
                    "parameters": {
                        "optimiser": optimiser,
                        "loss": loss,
                        "batch": arguments.batch,
                        "epochs": arguments.epochs,
                        "validation": arguments.validation,
                    },
                }
                command = [sys.executable, "-m", "benchmarks.train", "--child", json.dumps(child)]
                subprocess.run(command, check=True)
                found = json.loads(Path(child["out"]).read_text())
                ratio = found["training"] / found["products"]
                print(
                    f"{optimiser:10}{loss:10}{found['products']:9.2f}{found['training']:9.2f}"
                    f"{ratio:7.2f}{found['gigabytes']:6.1f}",
                    flush=True,
                )


def _make(folder: Path, n: int, p: int, vertices: list[int]) -> None:
    rng = np.random.default_rng(0)
    np.save(folder / "X.npy", rng.standard_normal((n, p), dtype=np.float32))
    for number, width in enumerate(vertices):
        Y = np.lib.format.open_memmap(folder / f"Y{number}.npy", "w+", np.float32, (n, width))
        for start in range(0, n, 512):
            Y[start : start + 512] = rng.standard_normal(Y[start : start + 512].shape)


def _train(child: dict) -> None:
    from regress.data.responses import Responses
    from regress.models import load_model_class

    folder = Path(child["folder"])
    X = np.load(folder / "X.npy")
    sources = [np.load(folder / f"Y{number}.npy", mmap_mode="r") for number in range(2)]
    t = sum(source.shape[1] for source in sources)
    # As the masks have it: the vertices of an ROI lie anywhere in the hemisphere.
    columns = np.random.default_rng(1).permutation(t)
    scope = np.sort(np.arange(t) % GROUPS)
    batch = child["parameters"]["batch"]
    products = [_products(X, t, batch)]
    log = folder / "log.csv"
    model = load_model_class(child["model"])(scope=scope, log=log, **child["parameters"])
    model.fit(X, Responses(sources, columns))
    products.append(_products(X, t, batch))
    epochs = pd.read_csv(log.with_stem("log-fit")).drop_duplicates("epoch")["seconds"]
    measured = {
        "products": min(products),
        "training": epochs.min(),
        "gigabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    }
    Path(child["out"]).write_text(json.dumps(measured))


def _products(X: np.ndarray, t: int, batch: int) -> float:
    """Time the products of one pass, into memory that is there."""
    import torch

    features = torch.from_numpy(X)
    weight, gradient = torch.zeros(X.shape[1], t), torch.zeros(X.shape[1], t)
    predicted = torch.zeros(batch, t)
    n_steps = -(-len(X) // batch)
    best = np.inf
    for _ in range(3):
        start = time.perf_counter()
        for part in features.tensor_split(n_steps):
            out = predicted[: len(part)]
            torch.mm(part, weight, out=out)
            torch.mm(part.T, out, out=gradient)
        best = min(best, time.perf_counter() - start)
    return best


if __name__ == "__main__":
    main()

"""Ablations from stored moments beside fits from scratch.

`python -m benchmarks.ablation` simulates a subject's responses to 9841 small pictures at 4000
vertices, gives it four spaces of random numbers, and times: every subset fitted from scratch with
this project's RidgeCV, one after another; the first ablation; the same again; again with the
scores of the subsets removed, so that only the moments are there; and a fifth space more.
"""

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from cache import FeatureStore
from challenge import HEMISPHERES, Subject, find_subjects
from challenge.simulator import simulate
from regress import RidgeCV, fold_numbers, held_out, load_design
from regress.ablation.subsets import list_subsets
from regress.ablation.variance_partition import Plan, ablate_subject
from regress.data.design import Design, find_spaces
from regress.linear_model import ALPHAS

SETTINGS = {"heldout": 0.1, "folds": 5, "seed": 0}
SPACES = ["a", "b", "c", "d", "e"]


def main() -> None:
    """Simulate, fit, and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=9841)
    parser.add_argument("--vertices", type=int, default=2000, help="of each hemisphere")
    parser.add_argument("--columns", type=int, default=256, help="of each space")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        data, out = Path(name) / "data", Path(name) / "out"
        both = [arguments.vertices] * 2
        simulate(data, 1, arguments.images, 100, both, 0, "builtin", 64)
        (subject,) = find_subjects(data)
        store = FeatureStore(out / "features")
        _write_features(store, subject, arguments.columns)

        def plan(n_spaces: int) -> Plan:
            design = load_design(subject, store, find_spaces(store, SPACES[:n_spaces]))
            wanted = list_subsets(design.spaces, [])
            return Plan(subject, design, wanted, SETTINGS, out / "ablations")

        four = plan(4)
        print(f"{arguments.images} x (4 x {arguments.columns}), 2 x {arguments.vertices} vertices")
        scratch = _timed("15 fits from scratch", lambda: _from_scratch(subject, four.design))
        _timed("first ablation", lambda: ablate_subject(four), scratch)
        _timed("the same again", lambda: ablate_subject(four), scratch)
        shutil.rmtree(out / "ablations")
        _timed("again, from moments", lambda: ablate_subject(four), scratch)
        _timed("a fifth space", lambda: ablate_subject(plan(5)), scratch)
        size = sum(path.stat().st_size for path in (out / "moments").rglob("*.h5"))
        print(f"moments of five spaces: {size / 1e6:.0f} MB")


def _timed(what: str, work: Callable[[], object], beside: float | None = None) -> float:
    start = time.perf_counter()
    work()
    seconds = time.perf_counter() - start
    ratio = "" if beside is None else f"{beside / seconds:8.1f} x"
    print(f"{what:22}{seconds:8.2f} s{ratio}", flush=True)
    return seconds


def _write_features(store: FeatureStore, subject: Subject, columns: int) -> None:
    pictures = [*subject.picture_digests("train"), *subject.picture_digests("test")]
    rng = np.random.default_rng(0)
    for name in SPACES:
        rows = rng.standard_normal((len(pictures), columns), dtype=np.float32)
        with store.writer(name, {"name": name}, {"origin": "random"}) as writer:
            writer.add(pictures, rows)


def _from_scratch(subject: Subject, design: Design) -> None:
    held = held_out(design.training_pictures, SETTINGS["heldout"], 0)
    kept = [p for p, out in zip(design.training_pictures, held, strict=True) if not out]
    folds = fold_numbers(kept, 5, 0)
    splits = [(np.flatnonzero(folds != f), np.flatnonzero(folds == f)) for f in range(5)]
    for numbers in list_subsets(design.spaces, []):
        X = design.train[:, np.isin(design.bands, numbers)]
        Y = np.concatenate([subject.responses(h) for h in HEMISPHERES], 1, dtype=np.float32)
        model = RidgeCV(np.array(ALPHAS), True, cv=splits).fit(X[~held], Y[~held])
        model.score(X[held], Y[held])


if __name__ == "__main__":
    main()

"""Prediction at scale, measured: a fitted subject is loaded, features are streamed past it.

Of each picture either the responses of all vertices are formed and forgotten, or are written, or
only the mean of each ROI is: a mean of linear predictions is linear, so that its coefficients are
averaged once, before any picture.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.scale.data import Size, write_data, write_features, write_space
from cache import FeatureStore, read_artifact
from cache.feature_table import all_rows
from regress.commands.fit import fit
from regress.fitting.fit_files import load_fit

Floats = NDArray[np.float32]
# Rows that are predicted at once: their responses of a subject are 320 MB.
BLOCK = 2048


def measure_prediction(folder: Path, size: Size, rows: int) -> dict[str, Any]:
    """Fit a subject, and predict many pictures with its models.

    Parameters
    ----------
    folder : Path
        An empty folder.
    size : Size
        Of the subject.
    rows : int
        Pictures that are streamed.

    Returns
    -------
    dict
        Seconds of each way, and the machine's rates of products and of reading.
    """
    data, out = folder / "data", folder / "out"
    write_data(data, size)
    fits = fit(data, out, spaces=write_features(data, out, size), model="ridge", device="cpu")
    write_space(out, "many", [f"{number:064x}" for number in range(rows)], size.columns, 1)
    path = FeatureStore(out / "features").find("many").path
    start = time.perf_counter()
    coefficients, intercepts, rois = _load(sorted(fits.glob("subj01/*.h5")), size)
    loading = time.perf_counter() - start
    means = np.zeros((len(intercepts), len(rois)), np.float32)
    for number, vertices in enumerate(rois):
        means[vertices, number] = 1 / len(vertices)
    few = min(rows, 8 * BLOCK)
    found: dict[str, Any] = {
        "rows": rows,
        "few": few,
        "n_rois": len(rois),
        "columns": size.columns,
        "vertices": size.vertices,
        "loading": loading,
        "flops": _product_rate(),
        "reading": _read(path, rows),
        "reading_disk": _read(_forgotten(path), rows),
        "vertices_of_few": _timed(lambda: _stream(path, few, coefficients, intercepts)),
        "means": _timed(lambda: _stream(path, rows, coefficients @ means, intercepts @ means)),
    }
    written = folder / "written.npy"
    half = few // 2
    found["written"] = half
    found["writing"] = _timed(lambda: _stream(path, half, coefficients, intercepts, written))
    return found


def measure_growth(columns: int, vertices: int, rows: int) -> float:
    """Time the product alone, features and coefficients in memory.

    Parameters
    ----------
    columns, vertices, rows : int
        The sizes.

    Returns
    -------
    float
        Seconds.
    """
    rng = np.random.default_rng(0)
    X = rng.standard_normal((rows, columns), dtype=np.float32)
    B = rng.standard_normal((columns, vertices), dtype=np.float32)
    room = np.empty((BLOCK, vertices), np.float32)

    def run() -> None:
        for start in range(0, rows, BLOCK):
            some = X[start : start + BLOCK]
            np.matmul(some, B, out=room[: len(some)])

    run()
    return _timed(run)


def _load(paths: list[Path], size: Size) -> tuple[Floats, Floats, list[NDArray[np.int64]]]:
    """Put the models of a subject side by side; the right hemisphere after the left."""
    coefficients = np.empty((size.columns, size.vertices), np.float32)
    intercepts = np.empty(size.vertices, np.float32)
    rois = []
    for path in paths:
        model, meta = load_fit(path)
        state = model.state()
        # A fit knows its columns of the responses from its file.
        vertices = _vertices(path) + (size.vertices // 2 if meta["hemisphere"] == "rh" else 0)
        coefficients[:, vertices], intercepts[vertices] = state["coef_"], state["intercept_"]
        rois.append(vertices)
    return coefficients, intercepts, rois


def _vertices(path: Path) -> NDArray[np.int64]:
    return np.asarray(read_artifact(path, ["vertices"])[0]["vertices"], np.int64)


def _blocks(path: Path, rows: int) -> Iterator[Floats]:
    left = rows
    for block in all_rows(path):
        for start in range(0, min(len(block), left), BLOCK):
            yield block[start : min(start + BLOCK, left)]
        left -= len(block)
        if left <= 0:
            return


def _stream(
    path: Path, rows: int, coefficients: Floats, intercepts: Floats, written: Path | None = None
) -> None:
    room = np.empty((BLOCK, coefficients.shape[1]), np.float32)
    file = written.open("wb") if written else None
    for some in _blocks(path, rows):
        predicted = np.matmul(some, coefficients, out=room[: len(some)])
        predicted += intercepts
        if file:
            file.write(predicted.data)
    if file:
        file.close()


def _read(path: Path, rows: int) -> float:
    return _timed(lambda: sum(len(some) for some in _blocks(path, rows)))


def _forgotten(path: Path) -> Path:
    """Have the system forget what of a file is in memory."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return path


def _product_rate() -> float:
    side = 3000
    a = np.random.default_rng(0).standard_normal((side, side), dtype=np.float32)
    b = a @ a
    seconds = min(_timed(lambda: np.matmul(a, a, out=b)) for _ in range(3))
    return 2 * side**3 / seconds


def _timed(work: Any) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    """Measure; print JSON."""
    asked = json.loads(sys.argv[1])
    if "size" in asked:
        with tempfile.TemporaryDirectory(dir=asked["folder"]) as folder:
            found: Any = measure_prediction(Path(folder), Size(**asked["size"]), asked["rows"])
    else:
        found = [measure_growth(*shape) for shape in asked["shapes"]]
    print("\n" + json.dumps(found))


if __name__ == "__main__":
    main()

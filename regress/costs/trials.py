"""Pieces of the work that are tried, since nobody could tell from shapes what they take."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from cache import write_artifact
from challenge import Subject
from challenge.files.arrays import check_finite
from execute.forecast.calibration import Values, elapsed_time, minimum_time
from execute.forecast.cost import Cost
from execute.forecast.measure import measure_process
from execute.forecast.rates import Rates
from regress.backend import Floats
from regress.costs.shapes import Part
from regress.data.responses import Responses
from regress.linear_model import LinearModel

IMPORTS = "regress.__main__"
# Responses of a trial, pictures and vertices: more than a processor's cache holds.
TRIAL = (4096, 16384)
# Opening a file takes what digesting so many bytes does.
OPENING = 50e3


def start_cost(rates: Rates, trained: bool = False, imports: str = IMPORTS) -> Cost:
    """Say what a process of this stage takes before it does anything."""
    # Looking for a GPU imports torch.
    found = rates.start(
        imports, *(["torch", "regress.training.estimator"] if trained else ["torch"])
    )
    return Cost(found["seconds"], int(found["memory"]))


def reading_seconds(rates: Rates, group: Sequence[Subject], parts: Sequence[Part]) -> float:
    """Say how long the features and pictures of subjects take to be read and digested."""
    seconds = 0.0
    for subject, part in zip(group, parts, strict=True):
        seconds += picture_seconds(rates, subject)
        seconds += rates.passes(3 * 4 * (part.n_images + part.n_test) * part.n_features)
    return seconds


def picture_seconds(rates: Rates, subject: Subject) -> float:
    """Say how long a subject's pictures take to be digested, side by side."""
    files = [*subject.pictures("train"), *subject.pictures("test")]
    some = files[:: max(1, len(files) // 50)]
    each = sum(file.stat().st_size for file in some) / len(some)
    # Opening a file takes what hashing some tens of kB does.
    return rates.digests(len(files) * (each + OPENING)) / rates.threads


def handling(rates: Rates) -> Values:
    """Say what responses take to be read and centred, for the fit and for the refit."""
    return rates.get_or_measure(
        "responses", partial(measure_process, fit_nothing, str(rates.path.parent))
    )


class _Nothing(LinearModel):
    """Reads and centres as every model does, and solves nothing."""

    def _solve(self, X: Floats, Y: Floats, chosen: dict[str, Floats]) -> Floats:
        return np.zeros((X.shape[1], Y.shape[1]), X.dtype)


def fit_nothing(folder: str) -> Values:
    """Do with responses from a file all that a fit and its refit do, but for solving."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((TRIAL[0], 2), dtype=np.float32)
    with TemporaryDirectory(dir=folder, prefix=".disk-") as inside:
        file = Path(inside) / "responses.npy"
        np.save(file, rng.standard_normal(TRIAL, dtype=np.float32))
        read = partial(np.load, file, mmap_mode="r")

        def work() -> None:
            some = Responses([read()], rng.permutation(TRIAL[1]), digest="none")
            check_finite(read(), file)
            _Nothing().fit(X, some.load()).refit(X, some.load())

        # Once: memory that a process has had before is quicker to get than new memory.
        return {"second": elapsed_time(work) / file.stat().st_size}


def artifact(rates: Rates) -> Values:
    """Say what the file of a model takes to be written, apart from its numbers."""
    return rates.get_or_measure("artifact", partial(_write_some, rates.path.parent))


def _write_some(folder: Path) -> Values:
    arrays = {f"array {number}": np.zeros((8, 8), np.float32) for number in range(10)}
    with TemporaryDirectory(dir=folder, prefix=".disk-") as inside:
        file = Path(inside) / "fit.h5"
        work = partial(write_artifact, file, arrays, {"meta": "x" * 4000})
        return {"seconds": minimum_time(work, waits=True)}

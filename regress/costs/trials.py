"""Measure pieces of the work whose time cannot be computed from shapes."""

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
# Pictures and vertices of a trial: their responses exceed a processor's cache.
TRIAL = (4096, 16384)
# Opening a file takes as long as digesting this many bytes.
OPENING = 50e3


def start_cost(rates: Rates, trained: bool = False, imports: str = IMPORTS) -> Cost:
    """Return the cost of starting a process of this stage."""
    # Looking for a GPU imports torch.
    values = rates.start(
        imports, *(["torch", "regress.training.estimator"] if trained else ["torch"])
    )
    return Cost(values["seconds"], int(values["memory"]))


def reading_seconds(rates: Rates, group: Sequence[Subject], parts: Sequence[Part]) -> float:
    """Return the seconds to read and digest the features and pictures of subjects."""
    seconds = 0.0
    for subject, part in zip(group, parts, strict=True):
        seconds += picture_seconds(rates, subject)
        seconds += rates.passes(3 * 4 * (part.n_images + part.n_test) * part.n_features)
    return seconds


def picture_seconds(rates: Rates, subject: Subject) -> float:
    """Return the seconds to digest a subject's pictures in parallel."""
    files = [*subject.pictures("train"), *subject.pictures("test")]
    sample = files[:: max(1, len(files) // 50)]
    mean_size = sum(file.stat().st_size for file in sample) / len(sample)
    return rates.digests(len(files) * (mean_size + OPENING)) / rates.threads


def response_rates(rates: Rates) -> Values:
    """Return the rates of reading and centring responses, for the fit and the refit."""
    return rates.get_or_measure(
        "responses", partial(measure_process, fit_nothing, str(rates.path.parent))
    )


class _UnsolvedModel(LinearModel):
    """A linear model that reads and centres its data, and returns coefficients of 0."""

    def _solve(self, X: Floats, Y: Floats, hyperparameters: dict[str, Floats]) -> Floats:
        return np.zeros((X.shape[1], Y.shape[1]), X.dtype)


def fit_nothing(folder: str) -> Values:
    """Measure a fit and a refit on responses from a file, without solving."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((TRIAL[0], 2), dtype=np.float32)
    with TemporaryDirectory(dir=folder, prefix=".disk-") as inside:
        file = Path(inside) / "responses.npy"
        np.save(file, rng.standard_normal(TRIAL, dtype=np.float32))
        read = partial(np.load, file, mmap_mode="r")

        def work() -> None:
            responses = Responses([read()], rng.permutation(TRIAL[1]), digest="none")
            check_finite(read(), file)
            _UnsolvedModel().fit(X, responses.load()).refit(X, responses.load())

        # Measured once: memory that a process has used before is faster to get than new memory.
        return {"second": elapsed_time(work) / file.stat().st_size}


def artifact_rates(rates: Rates) -> Values:
    """Return the rates of writing a model's file, without its large arrays."""
    return rates.get_or_measure("artifact", partial(_time_writing, rates.path.parent))


def _time_writing(folder: Path) -> Values:
    arrays = {f"array {number}": np.zeros((8, 8), np.float32) for number in range(10)}
    with TemporaryDirectory(dir=folder, prefix=".disk-") as inside:
        file = Path(inside) / "fit.h5"
        work = partial(write_artifact, file, arrays, {"meta": "x" * 4000})
        return {"seconds": minimum_time(work, waits=True)}

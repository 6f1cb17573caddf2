"""Coverage of intervals and false positives of tests, on simulated data."""

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from numpy.typing import NDArray

from base import check_count, machine_memory, progress, say
from evaluate.arrays import Floats
from evaluate.errors import EvaluateError, check_seed
from evaluate.fits.sidecar import write_csv
from evaluate.resampling import (
    draw_orders,
    draw_swap_signs,
    intervals,
    permute,
    picture_weights,
    resample,
    significance,
    swap,
)
from evaluate.resampling.simulated_scores import simulate_roi

PICTURES, RHOS, VERTICES = (60, 159, 500), (0.0, 0.1, 0.3, 0.6, "mixed"), (20, 500)
RESAMPLES = 500
# Bytes of the rates of one dataset: 30 conditions of 3 intervals in Python lists, and 12 conditions
# of two tests, five times as often; all are copied once when they are pooled.
BYTES = 2 * (30 * 3 * 40 + 5 * 12 * 2 * 8)
CONDITION = ["kind", "of", "n_pictures", "n_vertices", "rho", "nominal"]
COVERAGE, ERROR = "interval holds the truth", "false positive"
Rates = dict[str, Floats]


def measure_calibration(out: Path, datasets: int, seed: int) -> None:
    """Measure coverage and false-positive rates on simulated data; write OUT/calibration.csv."""
    check_seed(seed)
    if datasets < 20:
        raise EvaluateError(f"--datasets {datasets}: expected at least 20, and 200 to tell much")
    largest = machine_memory() // (2 * BYTES)
    reason = f"their rates need half of the {machine_memory() / 1e9:.0f} GB of this machine"
    check_count("--datasets", datasets, largest, reason)
    frame = measure(list(jobs(datasets, seed)))
    path = out / "calibration.csv"
    write_csv(path, frame, float_format="%.6g")
    say("\n".join([*format_rates(frame), f"-> {path}"]))


def jobs(datasets: int, seed: int) -> Iterator[tuple[Any, ...]]:
    """Yield jobs of some seconds each, the slowest first: a test and its arguments."""
    for n, size, rho in product(PICTURES[::-1], VERTICES[::-1], RHOS):
        for part in range(4):
            yield _measure_coverage, n, rho, size, datasets // 4, [seed, part, datasets]
    for n, rho, part in product((60, 159), RHOS, range(4)):
        yield _test_equal_models, n, rho, 20, 5 * datasets // 4, [seed, part, 1]
    for n, part in product((60, 159), range(4)):
        yield _test_permutation, n, 0.0, 100, 5 * datasets // 4, [seed, part, 2]
        yield _count_false_discoveries, n, "sparse", 100, datasets // 4, [seed, part, 3]


def measure(job_list: Sequence[tuple[Any, ...]]) -> pd.DataFrame:
    """Run jobs on all cores; return rate and standard error of each condition, in percent."""
    work = Parallel(n_jobs=-1, return_as="generator")(delayed(_run)(*job) for job in job_list)
    bar = progress(work, desc="simulating", unit="job", total=len(job_list))
    return _pool_jobs([row for rows in bar for row in rows])


def _run(
    test: Callable[..., Iterator[tuple[str, float, Rates]]],
    n: int,
    rho: Any,
    size: int,
    n_datasets: int,
    seed: Sequence[int],
) -> list[dict[str, Any]]:
    """Run a test on simulated datasets; return a row for each rate that it measures."""
    place = [n, size, len(rho) if isinstance(rho, str) else int(10 * rho)]
    truth = np.random.default_rng(place)
    rng = np.random.default_rng([*seed, *place])
    return [
        {"kind": kind, "of": name, "n_pictures": n, "n_vertices": size, "rho": str(rho),
         "nominal": nominal, "rates": values}
        for kind, nominal, rates in test(n, simulate_roi(rho, size, truth), n_datasets, rng, truth)
        for name, values in rates.items()
    ]  # fmt: skip


def _names(n: int) -> NDArray[np.bytes_]:
    return np.array([b"%d" % i for i in range(n)])


def _measure_coverage(
    n: int, roi: Any, n_datasets: int, rng: np.random.Generator, truth: np.random.Generator
) -> Iterator[tuple[str, float, Rates]]:
    """Measure, for each dataset, whether the intervals contain the true values."""
    true = {"score": roi.expected_score(n, truth), "explained": roi.explained,
            "pearson_r": roi.rho.mean()}  # fmt: skip
    holds: dict[str, list[float]] = {name: [] for name in true}
    for _ in range(n_datasets):
        responses = roi.responses(n, rng)
        weights = picture_weights(_names(n), RESAMPLES, int(rng.integers(2**31)))
        predictions = roi.predictions(responses, rng)
        ends = intervals(resample(responses, predictions, roi.ceiling, weights)[0])
        for name, value in true.items():
            low, high = ends[f"{name}_low"], ends[f"{name}_high"]
            holds[name].append(float(low is not None and high is not None and low <= value <= high))
    yield COVERAGE, 95, {name: np.array(values) for name, values in holds.items()}


def _test_equal_models(
    n: int, roi: Any, n_datasets: int, rng: np.random.Generator, _: np.random.Generator
) -> Iterator[tuple[str, float, Rates]]:
    """Measure false positives of the swap test for equal models of similar and unlike errors."""
    alike, unlike = np.empty(n_datasets), np.empty(n_datasets)
    for number in range(n_datasets):
        responses = roi.responses(n, rng)
        signs = draw_swap_signs(_names(n), RESAMPLES - 1, int(rng.integers(2**31)))
        first, second = (roi.predictions(responses, rng) for _ in range(2))
        third = roi.predictions(responses, rng, shared=0)
        for p, rival in ((alike, second), (unlike, third)):
            p[number] = swap(responses, (first, rival), roi.ceiling, signs)[0].p()
    yield ERROR, 5, {"paired difference": (alike <= 0.05).astype(float),
                     "paired, unlike errors": (unlike <= 0.05).astype(float)}  # fmt: skip


def _test_permutation(
    n: int, roi: Any, n_datasets: int, rng: np.random.Generator, _: np.random.Generator
) -> Iterator[tuple[str, float, Rates]]:
    """Measure false positives of the permutation test, per vertex and family-wise."""
    alone, family = np.empty(n_datasets), np.empty(n_datasets)
    for number in range(n_datasets):
        responses = roi.responses(n, rng)
        orders = draw_orders(_names(n), 399, int(rng.integers(2**31)))
        [result] = significance(permute(responses, [roi.predictions(responses, rng)], orders))
        alone[number] = (result.p <= 0.05).mean()
        family[number] = (result.p_max <= 0.05).any()
    yield ERROR, 5, {"permutation, each vertex": alone, "max-statistic, any vertex": family}


def _count_false_discoveries(
    n: int, roi: Any, n_datasets: int, rng: np.random.Generator, _: np.random.Generator
) -> Iterator[tuple[str, float, Rates]]:
    """Measure the share of false discoveries where most vertices are null."""
    share = np.empty(n_datasets)
    for number in range(n_datasets):
        responses = roi.responses(n, rng)
        orders = draw_orders(_names(n), 1999, int(rng.integers(2**31)))
        [result] = significance(permute(responses, [roi.predictions(responses, rng)], orders))
        discoveries = result.q <= 0.05
        share[number] = (discoveries & (roi.rho == 0)).sum() / max(discoveries.sum(), 1)
    # Benjamini and Hochberg's rule bounds the rate by the level times the share of null vertices.
    yield ERROR, 5 * float((roi.rho == 0).mean()), {"false discoveries among all": share}


def _pool_jobs(results: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Pool the jobs of each condition into its rate and standard error, in percent."""
    rows = []
    for condition, parts in pd.DataFrame(results).groupby(CONDITION, sort=False):
        rates = 100 * np.concatenate(list(parts["rates"]))
        error = rates.std(ddof=1) / np.sqrt(len(rates))
        rows.append((*condition, len(rates), rates.mean(), error))
    frame = pd.DataFrame(rows, columns=[*CONDITION, "datasets", "rate", "standard_error"])
    return frame.sort_values(["kind", "of", "n_pictures", "n_vertices"], kind="stable")


def format_rates(frame: pd.DataFrame) -> list[str]:
    """Return the rows of calibration.csv as tables, in lines of at most 100 characters."""
    lines = ["SIMULATED data: vertices share responses and errors, true rho as in the columns", ""]
    for kind, rows in frame.groupby("kind", sort=False):
        rhos = [rho for rho in map(str, (*RHOS, "sparse")) if rho in set(rows["rho"])]
        n_datasets = "/".join(map(str, sorted(set(rows["datasets"]))))
        lines.append(f"{kind}, percent of {n_datasets} datasets, nominal {_levels(rows)}")
        lines.append(_line("", "pictures", "vertices", rhos))
        for (name, n, size), row in rows.groupby(["of", "n_pictures", "n_vertices"], sort=False):
            rates = dict(zip(row["rho"], row["rate"], strict=True))
            cells = [f"{rates[rho]:.1f}" if rho in rates else "" for rho in rhos]
            lines.append(_line(name, n, size, cells))
        lines.append(f"standard error of a rate at most {rows['standard_error'].max():.1f}")
        lines += [*_outside(rows, 3 if kind == COVERAGE else 1), ""]
    return lines


def _outside(rows: pd.DataFrame, allowed: float) -> list[str]:
    """Return a line on the rates that are too far from nominal, and how many are conservative."""
    far = rows[(rows["rate"] - rows["nominal"]).abs() > allowed]
    if far.empty:
        return [f"none is farther than {allowed:g} from nominal"]
    # Intervals that hold the truth too often, and tests that reject too rarely, are safe.
    safe = (far["rate"] < far["nominal"]) == (far["nominal"] < 50)
    return [f"farther than {allowed:g} from nominal: {len(far)}, {safe.sum()} on the safe side"]


def _levels(rows: pd.DataFrame) -> str:
    return " or ".join(f"{level:g}" for level in sorted(set(rows["nominal"]), reverse=True))


def _line(name: object, n: object, size: object, cells: Sequence[str]) -> str:
    return (f"{name!s:<28}{n!s:>8}{size!s:>10}" + "".join(f"{cell:>8}" for cell in cells)).rstrip()

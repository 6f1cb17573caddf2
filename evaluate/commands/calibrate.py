"""`python -m evaluate calibrate`: coverage of intervals and false positives, on simulations."""

from pathlib import Path

from base import convert_paths


@convert_paths
def calibrate(out: Path = Path("derivatives"), datasets: int = 400, seed: int = 0) -> None:
    """Measure coverage and false-positive rates on simulated data; write OUT/calibration.csv.

    Parameters
    ----------
    out : Path
        The output folder.
    datasets : int
        Simulated datasets for each condition of the intervals; the tests take more.
    seed : int
        Seed of the simulation.

    Raises
    ------
    EvaluateError
        If there are too few datasets to tell 92 % from 95 %, or more than fit the memory.
    """
    from evaluate.resampling.calibration import measure_calibration

    measure_calibration(out, datasets, seed)

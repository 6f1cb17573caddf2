"""`python -m evaluate results`: a table with a line for every fit and subject."""

from pathlib import Path

from base import convert_paths


@convert_paths
def results(out: Path = Path("derivatives")) -> None:
    """Write OUT/results.csv: a line for each run and subject, with its scores if it was scored.

    Parameters
    ----------
    out : Path
        The output folder, which holds `fits`.
    """
    from evaluate.tables.results_table import tabulate_results

    tabulate_results(out)

"""`python -m evaluate compare RUN RUN …`: score differences between fits, ROI by ROI."""

from pathlib import Path

from base import convert_paths
from challenge import SubjectChoice
from evaluate.ensembles import DEFAULT


@convert_paths
def compare(
    runs: list[str],
    data: Path = Path("data"),
    out: Path = Path("derivatives"),
    subject: SubjectChoice = "all",
    split: str = "auto",
    resamples: int = 2000,
    seed: int = 0,
    ensemble: str = DEFAULT,
) -> None:
    """Compare fits with the first of them, ROI by ROI, on the same draws of pictures.

    Writes compare.csv (compare-02.csv for subject 02 alone), and its settings next to it as JSON.

    Parameters
    ----------
    runs : list of str
        At least two names of fits, beginnings of their folders, or "ensemble" for that of all fits.
    data : Path
        The challenge's directory.
    out : Path
        The output folder, which holds `fits`.
    subject : str, int or sequence of them
        "all", or the numbers of one or several: "01", "01 02".
    split : str
        "test" responses, "heldout" training pictures, or "auto": test where there are responses.
    resamples : int
        Draws of the pictures for the interval, and swaps of the two predictions for p.
    seed : int
        Seed of these, and of the ensemble's halves.
    ensemble : str
        The rule of the ensemble's weights: average, per_roi, per_vertex or stacked.

    Raises
    ------
    EvaluateError
        If there are not two different runs, or a name matches no run or several.
    """
    from evaluate.tables.comparison import compare_fits

    compare_fits(runs, data, out, subject, split, resamples, seed, ensemble)

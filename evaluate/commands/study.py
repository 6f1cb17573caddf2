"""`python -m evaluate study NAME`: score the rows of a study, as a table and CSV."""

from pathlib import Path

from base import convert_paths
from challenge import SubjectChoice


@convert_paths
def study(
    study: str,
    data: Path = Path("data"),
    out: Path = Path("derivatives"),
    subject: SubjectChoice = "all",
    split: str = "auto",
    resamples: int = 1000,
    seed: int = 0,
) -> None:
    """Score the rows of a study, and their differences from a baseline row, on the same draws.

    Writes OUT/NAME.csv, with a line for each row (and subject, if there are several), and its
    settings next to it as JSON. A row with several seeds has the mean over seeds. Rows that could
    not be fitted are listed with the reason.

    Parameters
    ----------
    study : str
        The name or file of a study, as for `python -m regress.study`, which fits the rows.
    data : Path
        The challenge's directory.
    out : Path
        The output folder.
    subject : str, int or sequence of them
        "all", or the numbers of one or several: "01", "01 02".
    split : str
        "test" responses, "heldout" training pictures, or "auto": test where there are responses.
    resamples : int
        Draws of the pictures for the 95 % intervals; 0 for none.
    seed : int
        Seed of the draws.

    Raises
    ------
    EvaluateError
        If the study was not fitted.
    """
    from evaluate.tables.study_scores import score_study

    score_study(study, data, out, subject, split, resamples, seed)

"""`python -m evaluate scores`: score every fit and the ensemble."""

from pathlib import Path

from base import convert_paths
from challenge import SubjectChoice
from evaluate.ensembles import DEFAULT


@convert_paths
def scores(
    data: Path = Path("data"),
    out: Path = Path("derivatives"),
    subject: SubjectChoice = "all",
    split: str = "auto",
    roi_classes: list[str] | None = None,
    fits: list[str] | None = None,
    seed: int = 0,
    ensemble: str = DEFAULT,
    resamples: int = 1000,
    permutations: int = 1000,
) -> None:
    """Score every fit and the ensemble; write scores.csv, scores.json and scores.png, scores.pdf.

    The scores of some subjects alone go to scores-02.csv, scores-01+02.csv and so on, and do not
    replace those of all. Scores of every vertex go to `OUT/vertices`, and `OUT/results.csv` gets a
    line for each fit and subject.

    Parameters
    ----------
    data : Path
        The challenge's directory.
    out : Path
        The output folder, which holds `fits`.
    subject : str, int or sequence of them
        "all", or the numbers of one or several: "01", "01 02".
    split : str
        "test" responses, "heldout" training pictures, or "auto": test where there are responses.
    roi_classes : list of str, optional
        ROI classes that the ensemble is made of; the others only fill in. All by default.
    fits : list of str, optional
        Names of fits, or beginnings of their folders in `OUT/fits`. All by default.
    seed : int
        Seed of the halves that cross-fit the ensemble's weights on held-out pictures, and of
        resamples and permutations.
    ensemble : str
        The rule of the ensemble's weights: average, per_roi, per_vertex or stacked.
    resamples : int
        Draws of the pictures for the 95 % intervals; 0 for none.
    permutations : int
        Permutations of the pictures for the p values of vertices; 0 for none.

    Raises
    ------
    EvaluateError
        If a number is negative or too small for an interval or p value, or the rule is unknown.

    Examples
    --------
    >>> scores("data", subject="01", resamples=0, permutations=0)
    derivatives/scores-01.csv: nothing has changed since it was made, nothing recomputed
    ...
    -> derivatives/scores-01.pdf
    """
    from evaluate.fits.inputs import gather
    from evaluate.scoring.all_subjects import Settings
    from evaluate.scoring.hemisphere_scorer import Resampling
    from evaluate.tables.write_scores import score_inputs

    resampling = Resampling(resamples, permutations, seed)
    settings = Settings(roi_classes, ensemble, resampling).validate()
    score_inputs(gather(data, out, subject, fits, roi_classes, split), settings, split)

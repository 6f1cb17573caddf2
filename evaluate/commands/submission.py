"""`python -m evaluate submission`: combine all fits into a zip for the challenge, and check it."""

from pathlib import Path

from base import convert_paths
from challenge import SubjectChoice
from evaluate.ensembles import DEFAULT


@convert_paths
def submission(
    data: Path = Path("data"),
    out: Path = Path("derivatives"),
    subject: SubjectChoice = "all",
    roi_classes: list[str] | None = None,
    fits: list[str] | None = None,
    ensemble: str = DEFAULT,
    allow_incomplete: bool = False,
) -> None:
    """Combine all fits into submission.zip, for every subject and vertex.

    Some subjects alone go to submission-02.zip, submission-01+02.zip and so on, and do not replace
    the zip of all subjects.

    Parameters
    ----------
    data : Path
        The challenge's directory.
    out : Path
        The output folder, which holds `fits`.
    subject : str, int or sequence of them
        "all", as the challenge expects, or one or several ("01 02"), for a zip of these alone.
    roi_classes : list of str, optional
        ROI classes that the ensemble is made of; the others only fill in. All by default.
    fits : list of str, optional
        Names of fits, or beginnings of their folders in `OUT/fits`. All by default.
    ensemble : str
        The rule of its weights: average, per_roi, per_vertex or stacked.
    allow_incomplete : bool
        Whether to accept runs that lack models of some ROIs; every vertex still needs a model.

    Raises
    ------
    EvaluateError
        If a subject or vertex has no fit, a run lacks models, or the zip does not pass its check.
    """
    from evaluate.fits.inputs import gather
    from evaluate.scoring.ensemble import check_rule
    from evaluate.submission.write_submission import write_submission

    check_rule(ensemble)
    # Weights come from all held-out pictures, even if there are test responses.
    inputs = gather(data, out, subject, fits, roi_classes, split="heldout")
    write_submission(inputs, roi_classes, ensemble, allow_incomplete)

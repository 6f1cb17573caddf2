"""`python -m evaluate score`: score any submission as the challenge's server did."""

from pathlib import Path

from base import convert_paths
from challenge import SubjectChoice


@convert_paths
def score(
    submission: Path,
    data: Path = Path("data"),
    json: Path | None = None,
    subject: SubjectChoice = "all",
    ceilings: Path | None = None,
    rois: bool = False,
    also: list[str] | None = None,
) -> None:
    """Score any submission against test responses, as the challenge's server did.

    Parameters
    ----------
    submission : Path
        The zip; it is refused if `check` finds faults other than of the order of rows.
    data : Path
        A directory like the challenge's, with test pictures, responses and noise ceilings; the
        training split and masks are not needed.
    json : Path, optional
        Where to write the scores, such as {"all": 40.97, "subj01": {"lh": 40.1, "rh": 38.3}},
        with counts and provenance.
    subject : str, int or sequence of them
        "all" that have test responses, or the numbers of one or several: "01", "01 02".
    ceilings : Path, optional
        A folder of `python -m evaluate ceilings`, which takes precedence over the data's ceilings.
    rois : bool
        Whether to print every ROI; the data must have all label maps.
    also : list of str, optional
        Scores of other benchmarks to print too: algonauts2021, brainscore_allen2022.

    Raises
    ------
    EvaluateError
        If the zip has faults, or there are no test responses, or only one test picture.
    """
    from evaluate.submission.server_score import score_submission_file

    score_submission_file(submission, data, json, subject, ceilings, rois, also)

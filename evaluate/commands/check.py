"""`python -m evaluate check`: list every fault of a submission."""

from pathlib import Path

from base import convert_paths


@convert_paths
def check(submission: Path, data: Path | None = None) -> int:
    """Check any submission, and list every fault at once with its fix.

    Parameters
    ----------
    submission : Path
        The zip.
    data : Path, optional
        The challenge's directory, with the expected pictures and vertices; if it has test
        responses, the order of the rows is checked against them. Without it, the published
        numbers of the challenge's eight subjects are expected.

    Returns
    -------
    int
        0 if it is valid, 1 if not.
    """
    from evaluate.submission.inspection import check_submission

    return check_submission(submission, data)

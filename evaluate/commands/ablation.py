"""`python -m evaluate ablation`: the contribution of each feature space, with intervals."""

from pathlib import Path

from base import convert_paths
from challenge import SubjectChoice


@convert_paths
def ablation(
    data: Path = Path("data"), out: Path = Path("derivatives"), subject: SubjectChoice = "all"
) -> None:
    """Tabulate and draw the last `make ablate`: ablation.csv, ablation.json, .png and .svg.

    Parameters
    ----------
    data : Path
        The challenge's directory.
    out : Path
        The output folder, which holds `ablations`.
    subject : str, int or sequence of them
        "all", or the numbers of one or several: "01", "01 02".

    Raises
    ------
    EvaluateError
        If `make ablate` was not run for a subject, or its files are damaged or of other responses.
    """
    from evaluate.tables.ablation_parts import tabulate_ablation

    tabulate_ablation(data, out, subject)

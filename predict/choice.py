"""The choice of encoders, which the commands of this folder share."""

from dataclasses import dataclass, field
from pathlib import Path

from challenge import SubjectChoice
from evaluate.ensembles import DEFAULT


@dataclass(frozen=True)
class EncoderChoice:
    """Whose fits predict, and where.

    Attributes
    ----------
    data : Path
        The challenge's directory; read only the first time, to weigh the fits by the held-out
        responses.
    out : Path
        The output folder, which holds `fits`.
    subject : str, int or sequence of them
        "all", or one or several ("01 02"); those with fits.
    fits : list of str, optional
        Names of fits, or beginnings of their folders in `OUT/fits`, combined as in the submission;
        or a pack of `roiridge pack`. All fits by default.
    weights : list of str
        `SPACE=FILE` for networks whose weights are neither installed nor on a hub.
    device : str
        auto (a GPU if torch sees one), cpu, cuda, cuda:N or mps.
    ensemble : str
        The rule of the weights of several fits: average, per_roi, per_vertex or stacked.
    """

    data: Path = Path("data")
    out: Path = Path("derivatives")
    subject: SubjectChoice = "all"
    fits: list[str] | None = None
    weights: list[str] = field(default_factory=list)
    device: str = "auto"
    ensemble: str = DEFAULT

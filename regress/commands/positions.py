"""`python -m regress.show_positions`: draw how `positional` encodes the positions of vertices."""

from pathlib import Path

from base import convert_paths
from challenge import SubjectChoice


@convert_paths
def positions(
    data: Path = Path("data"),
    out: Path = Path("derivatives"),
    subject: SubjectChoice = "01",
    roi: str = "V1v",
    hemisphere: str = "lh",
    surface: str = "sphere",
    expansion: int | float | str = "auto",
    frequencies: int = 16,
) -> None:
    """Draw, step by step, how the model `positional` encodes the positions of an ROI's vertices.

    Parameters
    ----------
    data : Path
        The challenge directory, with subj01, subj02 …
    out : Path
        The folder of all results; the figure goes to positions/, as PNG and SVG.
    subject : str, int or sequence of them
        A subject's number; the first is drawn if there are several.
    roi : str
        The ROI, for example V1v, EBA or residual.
    hemisphere : str
        lh, rh, or both: one group, as with --group_by roi-both-hemispheres.
    surface : str
        sphere, inflated, pial, white or flat.
    expansion : int, float or str
        Cells of the grid per mm; auto for the fewest that separate all vertices.
    frequencies : int
        Number of sines, and of cosines, along each axis.

    Raises
    ------
    RegressError
        If a parameter is out of range, or the subject has no such ROI.
    """
    # torch and matplotlib take seconds to import, which would delay --help and Ctrl-C.
    from regress.commands.position_figure import write_figure

    folder = out / "positions"
    write_figure(data, folder, subject, roi, hemisphere, surface, expansion, frequencies)


EXAMPLES = [
    "python -m regress.show_positions --subject 01 --roi V1v",
    "python -m regress.show_positions --roi FFA-1 --hemisphere both --surface flat",
]

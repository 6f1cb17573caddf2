"""`python -m evaluate maps`: every map as PNG and SVG, for papers, or as data on fsaverage."""

from pathlib import Path

from base import convert_paths
from challenge import SubjectChoice


@convert_paths
def maps(
    data: Path = Path("data"),
    out: Path = Path("derivatives"),
    subject: SubjectChoice = "all",
    fits: list[str] | None = None,
    mesh: str = "auto",
    outlines: str = "streams",
    format: list[str] = ["png"],  # noqa: A002, B006
) -> None:
    """Draw maps of score, r, ceiling, best space and unique contributions on fsaverage.

    Needs the files of vertices of `python -m evaluate scores`. For several subjects, their mean is
    drawn too. Unique contributions are drawn where `make ablate` was run.

    Parameters
    ----------
    data : Path
        The challenge's directory.
    out : Path
        The output folder; maps go to `OUT/maps`.
    subject : str, int or sequence of them
        "all", or the numbers of one or several: "01", "01 02".
    fits : list of str, optional
        Fits to draw score and r of: names, or beginnings of folders. The ensemble by default.
    mesh : str
        "fsaverage5", which is always available; "fsaverage", with all vertices, which nilearn
        downloads if necessary; or "auto": fsaverage if it is on disk, without network access.
    outlines : str
        The ROI class that is outlined, such as prf-visualrois.
    format : list of str
        png, for PNG and SVG; gifti, mgh and npz for the values themselves on all of fsaverage's
        vertices, NaN where nothing was measured, and labels of ROIs (.label.gii, .annot).

    Raises
    ------
    EvaluateError
        If no subject has the masks that map its vertices to fsaverage.
    """
    from evaluate.maps.draw_maps import draw_maps

    draw_maps(data, out, subject, fits, mesh, outlines, format)

"""`python -m predict screen`: the pictures that a region is predicted to like most and least."""

from pathlib import Path

from base import convert_paths
from challenge import SubjectChoice
from evaluate.ensembles import DEFAULT
from predict.errors import PredictError


@convert_paths
def screen(
    images: Path,
    data: Path = Path("data"),
    out: Path = Path("derivatives"),
    roi: str = "",
    contrast: str = "",
    top: int = 100,
    labels: Path | None = None,
    subject: SubjectChoice = "all",
    fits: list[str] | None = None,
    name: str = "",
    weights: list[str] = [],  # noqa: B006
    device: str = "auto",
    ensemble: str = DEFAULT,
    skip_damaged: bool = False,
) -> Path:
    """Rank pictures by the predicted response of a region, or contrast labels at each vertex.

    With `roi` or a contrast of ROIs: a table and a contact sheet of the pictures that drive it most
    and least, in OUT/screening. With `labels` and a contrast of labels: maps of t.

    Parameters
    ----------
    images : Path
        A folder of pictures at any depth, a CSV list with the column `picture`, or a zip or tar
        archive; features are read from the cache where it has the picture.
    data : Path
        The challenge's directory; read only the first time, to weigh the fits.
    out : Path
        The output folder, which holds `fits`.
    roi : str
        The ROI, such as FFA-1 for both hemispheres or lh.FFA-1.
    contrast : str
        In its place, names with signs between blanks: "FFA-1 - PPA"; of labels, "face - place".
    top : int
        Number of pictures at each end.
    labels : Path, optional
        A CSV file with the columns `picture` and `label`.
    subject : str, int or sequence of them
        "all", over which values are averaged, or one or several ("01 02"); those with fits.
    fits : list of str, optional
        Names of fits, or a pack of `roiridge pack`. All fits by default.
    name : str
        The name of the folder in OUT/screening; by default that of `images` and the contrast.
    weights : list of str
        `SPACE=FILE` for networks whose weights are neither installed nor on a hub.
    device : str
        auto (a GPU if torch sees one), cpu, cuda, cuda:N or mps.
    ensemble : str
        The rule of the weights of several fits: average, per_roi, per_vertex or stacked.
    skip_damaged : bool
        Whether to leave out pictures that cannot be decoded; they are counted.

    Returns
    -------
    Path
        The folder of the results.

    Raises
    ------
    PredictError
        If neither ROI nor contrast is named, or a name is unknown.
    """
    if bool(roi) == bool(contrast) or (labels is not None and not contrast):
        raise PredictError(
            "--roi and --contrast: expected one of them, --roi FFA-1 or --contrast 'FFA-1 - PPA'; "
            "with --labels, a contrast of labels"
        )
    from predict.screening import localize, screen_pictures

    options = {"weights": weights, "device": device, "ensemble": ensemble}
    choice = {"subject": subject, "fits": fits}
    place = images, data, out, choice
    if labels is not None:
        return localize(*place, labels, contrast, name, options, skip_damaged)
    return screen_pictures(*place, contrast or roi, top, name, options, skip_damaged)

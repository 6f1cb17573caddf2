"""`python -m predict screen`: the pictures that a region is predicted to like most and least."""

from pathlib import Path

from base import convert_paths
from base.command_line.calls import spread_options
from predict.choice import EncoderChoice
from predict.errors import PredictError


@convert_paths
@spread_options
def screen(
    images: Path,
    encoders: EncoderChoice,
    roi: str = "",
    contrast: str = "",
    top: int = 100,
    labels: Path | None = None,
    name: str = "",
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
    encoders : EncoderChoice
        Whose fits predict, and where.
    roi : str
        The ROI, such as FFA-1 for both hemispheres or lh.FFA-1.
    contrast : str
        In its place, names with signs between blanks: "FFA-1 - PPA"; of labels, "face - place".
    top : int
        Number of pictures at each end.
    labels : Path, optional
        A CSV file with the columns `picture` and `label`.
    name : str
        The name of the folder in OUT/screening; by default that of `images` and the contrast.
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

    if labels is not None:
        return localize(images, encoders, labels, contrast, name, skip_damaged)
    return screen_pictures(images, encoders, contrast or roi, top, name, skip_damaged)

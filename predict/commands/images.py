"""`python -m predict images`: predict the responses to any pictures."""

from pathlib import Path
from typing import Literal

from base import convert_paths
from base.command_line.calls import spread_options
from predict.choice import EncoderChoice


@convert_paths
@spread_options
def images(
    images: Path,
    encoders: EncoderChoice,
    roi: list[str] | None = None,
    vertices: Literal["none", "float16", "float32"] = "none",
    format: list[str] = [],  # noqa: A002, B006
    name: str = "",
    skip_damaged: bool = False,
) -> Path:
    """Predict the responses to pictures: means of ROIs, and novelty, in OUT/predictions/NAME.

    Features are computed as the fits' were, or read from the cache where it has the picture. A
    second run computes new pictures alone. Where all fits say how sure they are, as diffusion does,
    columns `<ROI>_spread` have the mean over vertices of the standard deviation of a response.

    Parameters
    ----------
    images : Path
        A picture, a folder of pictures at any depth, a CSV list with the column `picture`, or a zip
        or tar archive, such as WebDataset's shards or a folder of them.
    encoders : EncoderChoice
        Whose fits predict, and where.
    roi : list of str, optional
        ROIs, such as FFA-1 for both hemispheres or lh.FFA-1; all by default.
    vertices : str
        Whether to save all vertices too: none, float16 or float32; a vertex that no fit has is 0.
    format : list of str
        gifti, mgh or npz, to save the vertices as maps on fsaverage too, one for each picture in
        the order of the table; for at most 200 pictures, with `vertices`.
    name : str
        The name of the folder of predictions; by default that of `images`.
    skip_damaged : bool
        Whether to leave out pictures that cannot be decoded; they are named and counted.

    Returns
    -------
    Path
        The folder of the predictions.

    Raises
    ------
    PredictError
        If a picture is damaged, an ROI unknown, the features of the fit cannot be computed here, or
        the disk has no room.

    Examples
    --------
    >>> folder = images("data/subj01/test_split/test_images", out="encoders", subject="01")
    data/subj01/test_split/test_images: 12 pictures
    ...
    >>> sorted(path.name for path in folder.glob("*.csv"))
    ['subj01.csv']
    """
    from predict.outputs import predict_images

    regions = [word for words in roi or () for word in words.split()]
    formats = [name for words in format for name in words.replace(",", " ").split()]
    kinds = (vertices, formats)
    return predict_images(images, encoders, regions or None, kinds, name, skip_damaged)

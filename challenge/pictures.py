"""The stimuli: their names, and decoding that refuses what would be converted in silence."""

import re
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image

from base import convert_paths
from challenge.errors import DataError
from challenge.layout import N_NSD

_NAME = re.compile(r"(?P<split>train|test)-(?P<index>\d+)_nsd-(?P<nsd>\d+)\.png")
_TOO_LARGE = (Image.DecompressionBombError, Image.DecompressionBombWarning)


def picture_name(split: str, index: int, nsd_id: int) -> str:
    """Name a stimulus as the challenge does.

    Parameters
    ----------
    split : str
        "train" or "test".
    index : int
        Its place in the split, from 1.
    nsd_id : int
        Its place among NSD's 73,000 pictures, from 0.

    Returns
    -------
    str
        For example `train-0001_nsd-00013.png`.
    """
    return f"{split}-{index:04d}_nsd-{nsd_id:05d}.png"


def list_pictures(folder: Path) -> list[Path]:
    """List the stimuli of a folder in the order of the responses' rows.

    Parameters
    ----------
    folder : Path
        A folder of `.png` files.

    Returns
    -------
    list of Path
        The files, sorted by name.

    Raises
    ------
    DataError
        If the folder is missing or holds no pictures.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: missing; expected a folder of .png files: unpack the zip again")
    # Some archivers leave hidden files such as `._train-0001_nsd-00013.png` behind.
    found = sorted(path for path in folder.glob("*.png") if not path.name.startswith("."))
    if not found:
        raise DataError(f"{folder}: holds no .png files; unpack the subject's zip again")
    return found


def nsd_id(picture: Path) -> int:
    """Read the NSD id from a stimulus' name.

    Parameters
    ----------
    picture : Path
        A file named such as `train-0001_nsd-00013.png`.

    Returns
    -------
    int
        The place among NSD's 73,000 pictures, from 0.

    Raises
    ------
    DataError
        If the name is no such name, or the id is out of range.
    """
    match = _NAME.fullmatch(picture.name)
    if match is None:
        raise DataError(
            f"{picture}: the name holds no NSD id; expected a name such as "
            "train-0001_nsd-00013.png: rename the file or take it out of the folder"
        )
    number = int(match["nsd"])
    if number >= N_NSD:
        raise DataError(
            f"{picture}: NSD id {number}, expected 0 to {N_NSD - 1} (ids count from 0): "
            "rename the file"
        )
    return number


def nsd_ids(pictures: list[Path]) -> np.ndarray:
    """Read the NSD ids from the stimuli's names.

    Parameters
    ----------
    pictures : list of Path
        The files.

    Returns
    -------
    array (n_images,) of int64
        The ids, from 0.
    """
    return np.array([nsd_id(picture) for picture in pictures], dtype=np.int64)


@convert_paths
def load_rgb(path: Path) -> Image.Image:
    """Decode a stimulus completely, and only where nothing needs converting.

    Parameters
    ----------
    path : Path
        An 8-bit RGB picture.

    Returns
    -------
    PIL.Image.Image
        The picture, mode RGB, with its pixels in memory.

    Raises
    ------
    DataError
        If the file is missing, cut short, no picture, implausibly large, rotated by its EXIF tag,
        or not 8-bit RGB: grey, palette, alpha, CMYK and 16-bit pictures are refused, as converting
        them in silence would change the stimulus.
    """
    try:
        with Image.open(path) as image:
            _check_mode(image, path)
            _check_upright(image, path)
            image.load()
            return image
    except FileNotFoundError:
        raise DataError(f"{path}: missing; expected a picture: copy it again") from None
    except _TOO_LARGE as error:
        raise DataError(
            f"{path}: implausibly large ({error}); expected a stimulus of some hundred pixels a "
            "side: replace it by the original file"
        ) from error
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(
            f"{path}: not decoded ({error}); expected a whole 8-bit RGB picture: the file is cut "
            "short or damaged, copy it again"
        ) from error


def _raw_mode(arguments: object) -> str:
    # Pillow's decoders take the mode of the file's pixels alone or as the first of several.
    return str(arguments[0] if isinstance(arguments, tuple) and arguments else arguments)


def _check_mode(image: Image.Image, path: Path) -> None:
    # From the header alone: decoding a large picture takes time and memory.
    found = f"mode {image.mode}"
    if image.mode == "RGB":
        # Pillow shows 16-bit RGB as RGB and drops half of it while decoding.
        deep = any(";16" in _raw_mode(tile[3]) for tile in getattr(image, "tile", []))
        if not deep and "transparency" not in image.info:
            width, height = image.size
            if width * height > (Image.MAX_IMAGE_PIXELS or np.inf):
                raise Image.DecompressionBombError(f"{width} x {height} pixels")
            return
        found = "16-bit RGB" if deep else "RGB with a transparent colour"
    raise DataError(
        f'{path}: {found}, expected 8-bit RGB; convert it with Image.open("{path}")'
        f'.convert("RGB").save("{path}", "PNG")'
    )


def _check_upright(image: Image.Image, path: Path) -> None:
    turned = image.getexif().get(ExifTags.Base.Orientation, 1)
    if turned != 1:
        raise DataError(
            f"{path}: turned by its EXIF tag (orientation {turned}), expected upright pixels; "
            f'turn it with ImageOps.exif_transpose(Image.open("{path}")).save("{path}", "PNG")'
        )

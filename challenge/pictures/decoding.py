"""Decoding of the stimuli; pictures that need a conversion are refused."""

from pathlib import Path

import numpy as np
from PIL import ExifTags, Image

from base import convert_paths
from challenge.errors import DataError, reason

_TRANSPARENT = ("LA", "La", "PA", "RGBA", "RGBa")
_TOO_LARGE = (Image.DecompressionBombError, Image.DecompressionBombWarning)


@convert_paths
def load_rgb(path: Path) -> Image.Image:
    """Load an 8-bit RGB picture; pictures that would need a conversion are refused.

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
        If the file is missing, cut short, not a picture, implausibly large, rotated by its EXIF
        tag, or not 8-bit RGB: grey, palette, alpha, CMYK and 16-bit pictures are refused, since
        converting them silently would change the stimulus.

    Examples
    --------
    >>> picture = min(Path("data/subj01/test_split/test_images").iterdir())
    >>> load_rgb(picture).size
    (64, 64)
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
    except DataError:
        raise
    except Exception as error:  # damaged files raise nearly anything: struct.error, TypeError …
        raise DataError(
            f"{path}: not decoded ({reason(error)}); expected a whole 8-bit RGB "
            "picture: the file is cut short or damaged, copy it again"
        ) from error


def _raw_modes(image: Image.Image) -> list[str]:
    # The argument of Pillow's decoders is the mode of the file's pixels, or a tuple that begins
    # with it.
    arguments = (tile[3] for tile in getattr(image, "tile", []))
    return [str(a[0] if isinstance(a, tuple) and a else a) for a in arguments]


def _check_mode(image: Image.Image, path: Path) -> None:
    # This needs only the header: decoding a large picture takes time and memory. Pillow reports
    # 16-bit RGB as RGB, and drops half of the bits while decoding.
    is_16_bit = any(";16" in mode for mode in [image.mode, *_raw_modes(image)])
    transparent = image.mode in _TRANSPARENT or "transparency" in image.info
    if image.mode == "RGB" and not is_16_bit and not transparent:
        width, height = image.size
        if width * height > (Image.MAX_IMAGE_PIXELS or np.inf):
            raise Image.DecompressionBombError(f"{width} x {height} pixels")
        return
    actual = "16-bit RGB" if image.mode == "RGB" and is_16_bit else f"mode {image.mode}"
    if transparent:
        actual += " with transparency"
    elif image.mode.startswith("I") and is_16_bit:
        actual += ", 16-bit grey"
    advice = _conversion_advice(image.mode, is_16_bit, transparent, path)
    raise DataError(f"{path}: {actual}, expected 8-bit RGB; {advice}")


def _conversion_advice(mode: str, is_16_bit: bool, transparent: bool, path: Path) -> str:
    """Return advice on converting a picture to 8-bit RGB without changing how it looks."""
    opening, saving = f'Image.open("{path}")', f'.convert("RGB").save("{path}", "PNG")'
    if transparent:
        return (
            f'lay it on the background that it was shown on: top = {opening}.convert("RGBA"); '
            f'Image.alpha_composite(Image.new("RGBA", top.size, "white"), top){saving}'
        )
    if mode.startswith("I") and is_16_bit:
        # Pillow's own conversion cuts every value above 255.
        eight_bits = f'(np.asarray({opening}) / 257).round().astype("uint8")'
        return f"convert it with Image.fromarray({eight_bits}){saving}"
    if mode[0] in "IF":
        return (
            "scale its values to 0..255 as they were shown, and save them as 8-bit RGB: a "
            "conversion by Pillow alone cuts those above 255"
        )
    return f"convert it with {opening}{saving}"


def _check_upright(image: Image.Image, path: Path) -> None:
    orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    if orientation != 1:
        raise DataError(
            f"{path}: turned by its EXIF tag (orientation {orientation}), expected upright pixels; "
            f'turn it with ImageOps.exif_transpose(Image.open("{path}")).save("{path}", "PNG")'
        )

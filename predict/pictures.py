"""Pictures to predict: files, folders, lists, archives, read as a stream, and their decoding."""

import csv
import io
import lzma
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from base import plural
from predict.errors import PredictError

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
# Formats that Pillow names and cannot read by itself.
UNREADABLE = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "PDF", "WMF"}
# NSD's pictures were shown on grey: what is transparent becomes that.
BACKGROUND = (127, 127, 127, 255)
MAX_PIXELS = 100_000_000
MAX_BYTES = 1 << 28
N_LISTED = 3
# What readers of broken archives raise besides their own errors.
BROKEN = (EOFError, RuntimeError, NotImplementedError, zlib.error, lzma.LZMAError)


class Picture(NamedTuple):
    """The name of a picture in its source, and the content of its file."""

    name: str
    content: bytes


@dataclass(frozen=True)
class Source:
    """Pictures of a folder, list or archive.

    Attributes
    ----------
    path : Path
        What the user named.
    names : tuple of str
        The names of the pictures, each once, in the order of `read`.
    n_left_out : int
        Other files, which are not pictures by their names.
    """

    path: Path
    names: tuple[str, ...]
    n_left_out: int = 0

    def read(self) -> Iterator[Picture]:
        """Yield the pictures, one in memory at a time."""
        if self.path.is_file() and self.path.suffix.lower() != ".csv":
            yield from _read_file(self.path, "")
            return
        folder = self.path if self.path.is_dir() else self.path.parent
        # A member of an archive in the folder is called archive::member.
        files = dict.fromkeys(
            name if (folder / name).is_file() else name.partition("::")[0] for name in self.names
        )
        for name in files:
            yield from _read_file(folder / name, name)


def open_source(path: Path) -> Source:
    """List the pictures of a source.

    Parameters
    ----------
    path : Path
        A picture; a folder of pictures, at any depth, or of archives; a CSV file with the paths of
        pictures in its column `picture`, relative to its folder; or a zip or tar archive, such as
        WebDataset's shards.

    Returns
    -------
    Source
        The pictures: those of a folder sorted by name, others in the order of the list or archive.

    Raises
    ------
    PredictError
        If there is no picture, a file cannot be read, or two pictures have one name.
    """
    if not path.exists():
        raise PredictError(
            f"{path}: missing; expected a picture, a folder, a CSV list or an archive of pictures"
        )
    if path.is_dir():
        names, n_left_out = _folder_names(path)
    elif path.suffix.lower() == ".csv":
        names, n_left_out = _listed_names(path), 0
    elif _is_archive(path):
        names, n_left_out = _archive_names(path, "")
    else:
        names, n_left_out = [path.name], 0
    if not names:
        raise PredictError(
            f"{path}: holds no pictures (.png, .jpg and others that Pillow reads): "
            "name the folder, list or archive that holds them"
        )
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise PredictError(
            f"{path}: {plural(len(repeated), 'picture')} listed twice (first: {repeated[0]}): "
            "predictions are told apart by name; rename or remove one of each"
        )
    return Source(path, tuple(names), n_left_out)


def _is_picture(name: str) -> bool:
    Image.init()
    format_ = Image.EXTENSION.get(Path(name).suffix.lower())
    return format_ in Image.OPEN and format_ not in UNREADABLE


def _is_hidden(name: str) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in Path(name).parts)


def _is_archive(path: Path) -> bool:
    return path.name.lower().endswith(ARCHIVES)


def _folder_names(folder: Path) -> tuple[list[str], int]:
    files = [file for file in folder.rglob("*") if file.is_file()]
    all_names = sorted(str(file.relative_to(folder)) for file in files)
    visible = [name for name in all_names if not _is_hidden(name)]
    names = [name for name in visible if _is_picture(name)]
    if names:
        return names, len(visible) - len(names)
    archives = [name for name in visible if _is_archive(folder / name)]
    listings = [_archive_names(folder / name, name) for name in archives]
    n_left_out = len(visible) - len(archives) + sum(count for _, count in listings)
    return [name for names, _ in listings for name in names], n_left_out


def _listed_names(path: Path) -> list[str]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            if "picture" not in (rows.fieldnames or ()):
                raise PredictError(
                    f"{path}: has columns {', '.join(rows.fieldnames or ()) or 'none'}, expected a "
                    "column `picture` with the paths of pictures"
                )
            names = [row["picture"] or "" for row in rows]
    except (UnicodeDecodeError, csv.Error) as error:
        raise PredictError(f"{path}: not read ({error}); expected CSV in UTF-8") from error
    missing = [name for name in names if not (path.parent / name).is_file()]
    if missing:
        raise PredictError(
            f"{path}: {len(missing)} of {len(names)} pictures are missing "
            f"({', '.join(missing[:N_LISTED])}): paths are relative to the folder of the list"
        )
    if strange := [name for name in names if not _is_picture(name)]:
        raise PredictError(
            f"{path}: {plural(len(strange), 'file')} it lists cannot be a picture (first: "
            f"{strange[0]}): take it out, or name an archive itself"
        )
    return names


def _archive_names(path: Path, prefix: str) -> tuple[list[str], int]:
    """Return the names of an archive's pictures after `prefix::`, and count its other files."""
    names = [name for name, _ in _members(path) if not _is_hidden(name)]
    pictures = [f"{prefix}::{name}" if prefix else name for name in names if _is_picture(name)]
    return pictures, len(names) - len(pictures)


def _members(path: Path, contents: bool = False) -> Iterator[tuple[str, bytes]]:
    """Yield the names of an archive's files, with their contents if asked for; nothing is unpacked.

    Links, devices and folders are passed over.
    """
    try:
        if path.suffix.lower() == ".zip":
            with zipfile.ZipFile(path) as archive:
                for entry in archive.infolist():
                    if not entry.is_dir():
                        _check_size(path, entry.filename, entry.file_size)
                        yield entry.filename, archive.read(entry) if contents else b""
            return
        # A pipe of tar's blocks, read once from front to back.
        with tarfile.open(path, "r|*") as tar:
            for member in tar:
                if member.isfile():
                    _check_size(path, member.name, member.size)
                    stream = tar.extractfile(member) if contents else None
                    yield member.name, stream.read() if stream else b""
    except (zipfile.BadZipFile, tarfile.TarError, *BROKEN) as e:
        raise PredictError(
            f"{path}: not read ({e}); expected a whole zip or tar archive without a password: "
            "copy it again"
        ) from e


def _check_size(path: Path, name: str, size: int) -> None:
    if size > MAX_BYTES:
        raise PredictError(
            f"{path}: {name} has {size:,} bytes, expected a picture of at most {MAX_BYTES:,}: "
            "take it out"
        )


def _read_file(path: Path, name: str) -> Iterator[Picture]:
    if not _is_archive(path):
        _check_size(path.parent, path.name, path.stat().st_size)
        yield Picture(name or path.name, path.read_bytes())
        return
    prefix = f"{name}::" if name else ""
    for member, content in _members(path, contents=True):
        if _is_picture(member) and not _is_hidden(member):
            yield Picture(prefix + member, content)


def decode(picture: Picture) -> Image.Image:
    """Decode a picture of any kind that Pillow reads to the RGB square that a subject would see.

    It is turned by its EXIF tag, laid on grey where it is transparent, and cut to its central
    square, as NSD's pictures were; the first of several frames is taken.

    Raises
    ------
    PredictError
        If it is damaged, too large, or has values without a known range.
    """
    try:
        with Image.open(io.BytesIO(picture.content)) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise PredictError(
                    f"{picture.name}: {width} x {height} pixels, expected at most {MAX_PIXELS:,}: "
                    "make it smaller"
                )
            image.load()
            return to_square(image, picture.name)
    except PredictError:
        raise
    except Image.DecompressionBombError as error:
        reason = f"{error}; expected at most {MAX_PIXELS:,} pixels"
    except UnidentifiedImageError:
        reason = "not a picture that Pillow knows"
    except Exception as error:  # damaged files raise nearly anything: struct.error, TypeError …
        reason = str(error) or type(error).__name__
    raise PredictError(f"{picture.name}: not decoded ({reason}); copy it again, or take it out")


def to_square(image: Image.Image, name: str) -> Image.Image:
    """Turn a picture of any mode upright, convert it to RGB, and cut it to its central square."""
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith(("I", "F")):
        image = _to_grey(image, name)
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        top = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", top.size, BACKGROUND), top)
    rgb = image.convert("RGB")
    edge = min(rgb.size)
    left, top_edge = ((length - edge) // 2 for length in rgb.size)
    return rgb.crop((left, top_edge, left + edge, top_edge + edge))


def _to_grey(image: Image.Image, name: str) -> Image.Image:
    values = np.asarray(image, np.float64)
    # Files of 16 bits; Pillow reads some of them as integers of 32.
    low, high = values.min(), values.max()
    if image.mode == "F" or low < 0 or high > np.iinfo(np.uint16).max:
        raise PredictError(
            f"{name}: has values from {low:g} to {high:g} of mode {image.mode}, "
            "whose black and white are unknown: save it with 8 or 16 bits a channel"
        )
    return Image.fromarray((values / 257).round().astype(np.uint8))

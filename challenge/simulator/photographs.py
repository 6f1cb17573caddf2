"""Where the simulator's pictures are cut from: real photographs that are already installed.

Nothing is downloaded. scikit-image and scikit-learn bring some colour photographs; the Debian
package tuxpaint-stamps-default brings hundreds of things cut out of photographs; or the user names
a folder of either kind.
"""

import hashlib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from PIL import Image

from base import sha256_files
from challenge.errors import DataError, reason

STAMPS = Path("/usr/share/tuxpaint/stamps")
_BUILTIN = {
    "skimage": (
        "data/astronaut.png",
        "data/chelsea.png",
        "data/coffee.png",
        "data/hubble_deep_field.jpg",
        "data/ihc.png",
        "data/motorcycle_left.png",
        "data/retina.jpg",
        "data/rocket.jpg",
    ),
    "sklearn": ("datasets/images/china.jpg", "datasets/images/flower.jpg"),
}
_SUFFIXES = {".png", ".jpg", ".jpeg"}
_SMALLEST = 48
_LARGEST = 1024


@dataclass(frozen=True)
class Material:
    """A file to make pictures from.

    Attributes
    ----------
    path : Path
        The file.
    category : str
        What kind of thing it shows: the name of its folder, or its own where it stands alone.
    is_cutout : bool
        Whether it has a transparent background and is to be pasted on a photograph.
    """

    path: Path
    category: str
    is_cutout: bool


@dataclass(frozen=True)
class Source:
    """The photographs of a simulation.

    Attributes
    ----------
    name : str
        "builtin", "stamps" or the user's folder.
    materials : tuple of Material
        The files, in a fixed order.
    """

    name: str
    materials: tuple[Material, ...]

    @property
    def caution(self) -> str:
        """What scores on such pictures cannot say, for whoever reads them."""
        cutouts = sum(material.is_cutout for material in self.materials)
        pasted = f" and {cutouts} cut-outs" if cutouts else ""
        return (
            f"{len(self.materials) - cutouts} photographs{pasted}; training and test pictures are "
            "crops of the same ones: scores say nothing about unseen scenes"
        )

    def describe(self) -> dict[str, object]:
        """Say what the pictures are made from, so that a change of the files is seen.

        Returns
        -------
        dict
            `source`, the number of `photographs` and `cutouts`, and the `digest` of all contents.
        """
        digests = sha256_files([material.path for material in self.materials])
        cutouts = sum(material.is_cutout for material in self.materials)
        return {
            "source": self.name,
            "photographs": len(self.materials) - cutouts,
            "cutouts": cutouts,
            "digest": hashlib.sha256("".join(digests).encode()).hexdigest(),
        }


def find_photographs(photos: str = "auto") -> Source:
    """Choose what the pictures are made from.

    Parameters
    ----------
    photos : str
        "builtin": the photographs that come with scikit-image and scikit-learn; "auto": the
        cut-outs of tuxpaint-stamps-default pasted on those, where they are installed; otherwise a
        folder of PNG and JPEG files, each subfolder a category.

    Returns
    -------
    Source
        The photographs; always at least one that is not a cut-out.
    """
    builtin = _builtin()
    if photos == "builtin" or (photos == "auto" and not STAMPS.is_dir()):
        return Source("builtin", builtin)
    folder = STAMPS if photos == "auto" else Path(photos)
    if not folder.is_dir():
        raise DataError(
            f"--photos {photos}: no such folder; give a folder of PNG or JPEG files, `builtin` or "
            "`auto`"
        )
    materials = _in_folder(folder)
    if not materials:
        raise DataError(
            f"--photos {photos}: holds no PNG or JPEG file of at least {_SMALLEST} pixels a side; "
            "give another folder, or `builtin`"
        )
    if photos == "auto":
        # The few stamps without transparency are drawings and signs, no scenes to paste on.
        materials = tuple(material for material in materials if material.is_cutout)
    if all(material.is_cutout for material in materials):
        # A cut-out alone would leave most of the picture empty.
        materials = builtin + materials
    return Source("stamps" if photos == "auto" else str(folder.resolve()), materials)


def load_material(path: Path) -> Image.Image:
    """Decode a file to cut from, of a size that keeps cutting quick."""
    try:
        with Image.open(path) as opened:
            image = opened.convert("RGBA")
    except Exception as error:  # damaged files raise nearly anything: struct.error, TypeError …
        raise DataError(
            f"{path}: not decoded ({reason(error)}); expected a whole PNG or JPEG file: replace "
            "it, or take it out of the folder"
        ) from error
    image.thumbnail((_LARGEST, _LARGEST), Image.Resampling.BICUBIC)
    return image


def _builtin() -> tuple[Material, ...]:
    found = []
    for package, names in _BUILTIN.items():
        # The package is only looked up, not imported: that would take a second.
        spec = find_spec(package)
        for root in (spec.submodule_search_locations or []) if spec else []:
            found += [Path(root) / name for name in names if (Path(root) / name).is_file()]
    if not found:
        raise DataError(
            "no photographs found in scikit-image or scikit-learn: install them with "
            "`pip install -c constraints.txt scikit-image scikit-learn`, or give a folder with "
            "--photos"
        )
    return tuple(Material(path, path.stem, is_cutout=False) for path in found)


def _in_folder(folder: Path) -> tuple[Material, ...]:
    files = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in _SUFFIXES and not path.name.startswith(".")
    )
    materials = []
    for path in files:
        try:
            with Image.open(path) as image:
                usable = min(image.size) >= _SMALLEST
                see_through = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
        except Exception as error:  # as in `load_material`
            raise DataError(
                f"{path}: not a picture ({reason(error)}); take it out of the folder given with "
                "--photos"
            ) from error
        category = path.stem if path.parent == folder else str(path.parent.relative_to(folder))
        if usable:
            materials.append(Material(path, category, see_through))
    return tuple(materials)

"""The photographs that the simulator's pictures are made from, without any download.

scikit-image and scikit-learn include some colour photographs; the Debian package
tuxpaint-stamps-default includes hundreds of objects cut out of photographs; or the user gives a
folder of either kind.
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
_MIN_SIZE = 48
_MAX_SIZE = 1024


@dataclass(frozen=True)
class Material:
    """A file to make pictures from."""

    path: Path
    category: str  # of its object: the name of its subfolder, or else of the file
    is_cutout: bool  # whether it has a transparent background, to be pasted on a photograph


@dataclass(frozen=True)
class Source:
    """The photographs of a simulation: "builtin", "stamps" or the user's folder."""

    name: str
    materials: tuple[Material, ...]

    @property
    def n_cutouts(self) -> int:
        """The number of cut-outs; other files are photographs."""
        return sum(material.is_cutout for material in self.materials)

    @property
    def caution(self) -> str:
        """A caution about scores on these pictures, for users."""
        pasted = f" and {self.n_cutouts} cut-outs" if self.n_cutouts else ""
        return (
            f"{len(self.materials) - self.n_cutouts} photographs{pasted}; training and test "
            "pictures are crops of the same ones: scores say nothing about unseen scenes"
        )

    def describe(self) -> dict[str, object]:
        """Return `source`, numbers of `photographs` and `cutouts`, and a `digest` of all files."""
        digests = sha256_files([material.path for material in self.materials])
        return {
            "source": self.name,
            "photographs": len(self.materials) - self.n_cutouts,
            "cutouts": self.n_cutouts,
            "digest": hashlib.sha256("".join(digests).encode()).hexdigest(),
        }


def find_photographs(photos: str = "auto") -> Source:
    """Find the photographs of a simulation; at least one is not a cut-out."""
    builtin = _builtin_materials()
    if photos == "builtin" or (photos == "auto" and not STAMPS.is_dir()):
        return Source("builtin", builtin)
    folder = STAMPS if photos == "auto" else Path(photos)
    if not folder.is_dir():
        raise DataError(
            f"--photos {photos}: no such folder; give a folder of PNG or JPEG files, `builtin` or "
            "`auto`"
        )
    materials = _find_materials(folder)
    if not materials:
        raise DataError(
            f"--photos {photos}: holds no PNG or JPEG file of at least {_MIN_SIZE} pixels a side; "
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
    """Load a photograph, downscaled so that crops of it are fast."""
    try:
        with Image.open(path) as file:
            image = file.convert("RGBA")
    except Exception as error:  # damaged files raise nearly anything: struct.error, TypeError …
        raise DataError(
            f"{path}: not decoded ({reason(error)}); expected a whole PNG or JPEG file: replace "
            "it, or take it out of the folder"
        ) from error
    image.thumbnail((_MAX_SIZE, _MAX_SIZE), Image.Resampling.BICUBIC)
    return image


def _builtin_materials() -> tuple[Material, ...]:
    paths = []
    for package, names in _BUILTIN.items():
        # This finds the package without importing it, which would take a second.
        spec = find_spec(package)
        for root in (spec.submodule_search_locations or []) if spec else []:
            paths += [Path(root) / name for name in names if (Path(root) / name).is_file()]
    if not paths:
        raise DataError(
            "no photographs found in scikit-image or scikit-learn: install them with "
            "`pip install -c constraints.txt scikit-image scikit-learn`, or give a folder with "
            "--photos"
        )
    return tuple(Material(path, path.stem, is_cutout=False) for path in paths)


def _find_materials(folder: Path) -> tuple[Material, ...]:
    files = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in _SUFFIXES and not path.name.startswith(".")
    )
    materials = []
    for path in files:
        try:
            with Image.open(path) as image:
                usable = min(image.size) >= _MIN_SIZE
                is_transparent = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
        except Exception as error:  # as in `load_material`
            raise DataError(
                f"{path}: not a picture ({reason(error)}); take it out of the folder given with "
                "--photos"
            ) from error
        category = path.stem if path.parent == folder else str(path.parent.relative_to(folder))
        if usable:
            materials.append(Material(path, category, is_transparent))
    return tuple(materials)

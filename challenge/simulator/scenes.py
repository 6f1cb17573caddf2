"""Compose stimuli from photographs, with a latent vector that describes the objects in each.

Every photograph has several objects at random positions, every cut-out is one object. An object has
a latent vector, the sum of that of its category and an individual part. The meaning of a picture,
to which the simulated category regions respond, is the sum of its objects' latent vectors, weighted
by how much of each object is inside the crop.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image

from challenge.simulator.photographs import Source, load_material

N_LATENT = 24
_OBJECTS_PER_PHOTOGRAPH = 6
_CATEGORY_SHARE = 0.5


@dataclass(frozen=True)
class _Objects:
    """The objects in one photograph; radii are in units of its shorter side."""

    positions: np.ndarray  # (n, 2), as fractions of width and height
    radii: np.ndarray  # (n,)
    latents: np.ndarray  # (n, N_LATENT)


class Scenery:
    """All photographs with their objects, from which pictures are composed."""

    def __init__(self, source: Source, rng: np.random.Generator) -> None:
        self._photographs = [m for m in source.materials if not m.is_cutout]
        self._cutouts = [m for m in source.materials if m.is_cutout]
        categories = sorted({material.category for material in source.materials})
        centres = dict(
            zip(categories, rng.standard_normal((len(categories), N_LATENT)), strict=True)
        )
        self._objects = [_draw_objects(centres[m.category], rng) for m in self._photographs]
        self._latents = [_draw_latents(centres[m.category], 1, rng)[0] for m in self._cutouts]
        # Decoding takes most of the time, and hundreds of photographs fit in memory.
        self._load = lru_cache(maxsize=400)(load_material)

    def compose(self, rng: np.random.Generator, size: int) -> tuple[Image.Image, np.ndarray]:
        """Return a crop of a photograph with pasted cut-outs, and its meaning, (N_LATENT,)."""
        picture, meaning = self._crop(rng, size)
        if self._cutouts:
            meaning *= 0.5  # cut-outs hide parts of the photograph
            for _ in range(int(rng.integers(1, 4))):
                meaning += self._paste(picture, rng)
        return picture.convert("RGB"), meaning

    def _crop(self, rng: np.random.Generator, size: int) -> tuple[Image.Image, np.ndarray]:
        # scipy would delay --help.
        from scipy.special import ndtr

        index = int(rng.integers(len(self._photographs)))
        image = self._load(self._photographs[index].path)
        extent = np.array(image.size, dtype=np.float64)
        side = extent.min() * rng.uniform(0.35, 0.95)
        corner = rng.uniform(size=2) * (extent - side)
        left, top = (float(edge) for edge in corner)
        picture = image.resize(
            (size, size), Image.Resampling.BICUBIC, box=(left, top, left + side, top + side)
        )
        if rng.integers(2):
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        objects = self._objects[index]
        positions = objects.positions * extent
        radii = objects.radii * extent.min()
        overlap = ndtr((corner + side - positions) / radii[:, None]) - ndtr(
            (corner - positions) / radii[:, None]
        )
        visibility = overlap.prod(axis=1) * np.sqrt(radii / side)
        return picture, visibility @ objects.latents

    def _paste(self, picture: Image.Image, rng: np.random.Generator) -> np.ndarray:
        index = int(rng.integers(len(self._cutouts)))
        cutout = self._load(self._cutouts[index].path)
        size = picture.width
        scale = size * rng.uniform(0.35, 0.8) / max(cutout.size)
        width, height = (max(1, round(side * scale)) for side in cutout.size)
        cutout = cutout.resize((width, height), Image.Resampling.BICUBIC)
        if rng.integers(2):
            cutout = cutout.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        left, top = int(rng.integers(size - width + 1)), int(rng.integers(size - height + 1))
        picture.alpha_composite(cutout, (left, top))
        return self._latents[index] * np.sqrt(max(width, height) / size)


def _draw_objects(centre: np.ndarray, rng: np.random.Generator) -> _Objects:
    return _Objects(
        positions=rng.uniform(0.1, 0.9, (_OBJECTS_PER_PHOTOGRAPH, 2)),
        radii=rng.uniform(0.1, 0.25, _OBJECTS_PER_PHOTOGRAPH),
        latents=_draw_latents(centre, _OBJECTS_PER_PHOTOGRAPH, rng),
    )


def _draw_latents(centre: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    individual = rng.standard_normal((n, N_LATENT))
    return np.sqrt(_CATEGORY_SHARE) * centre + np.sqrt(1 - _CATEGORY_SHARE) * individual

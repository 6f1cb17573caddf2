"""The vertices of a simulated subject on fsaverage: a patch around the occipital pole.

The first 10,242 of fsaverage's 163,842 vertices are those of fsaverage5, whose mesh nilearn ships.
The mesh of the others is not shipped, so vertices beyond the patch are drawn from them at random.
"""

from dataclasses import dataclass

import numpy as np

from challenge.fsaverage import SIDES, read_mesh
from challenge.layout import HEMISPHERES, N_FSAVERAGE

N_FSAVERAGE5 = 10_242
# 1/16 of subject 1's 19,004 vertices, the share of fsaverage5 in fsaverage.
_MAX_NESTED = 1188
# The line from early to late runs around the pole in rings, so that intervals of it are patches.
_RINGS = 5


@dataclass(frozen=True)
class Patch:
    """The measured vertices of one hemisphere, which are the columns of the responses."""

    positions: np.ndarray  # (n_vertices,) of int64, on fsaverage, ascending
    line: np.ndarray  # (n_vertices,), the position on the line from early to late, in 0..1


def draw_patches(n_vertices: tuple[int, int], rng: np.random.Generator) -> dict[str, Patch]:
    """Draw the measured vertices of fsaverage in each hemisphere, the same for all subjects."""
    return {
        hemisphere: _draw(hemisphere, n, rng)
        for hemisphere, n in zip(HEMISPHERES, n_vertices, strict=True)
    }


def _draw(hemisphere: str, n: int, rng: np.random.Generator) -> Patch:
    n_others = N_FSAVERAGE - N_FSAVERAGE5
    nested = _around_pole(hemisphere, max(min(n, _MAX_NESTED), n - n_others))
    outer = N_FSAVERAGE5 + np.sort(rng.choice(n_others, n - len(nested), replace=False))
    line_positions = np.concatenate([
        (np.arange(len(nested)) + 0.5) / len(nested),
        rng.uniform(size=len(outer)),
    ])  # fmt: skip
    positions = np.concatenate([nested, outer])
    line = (np.argsort(np.argsort(line_positions)) + 0.5) / n
    order = np.argsort(positions)
    return Patch(positions[order].astype(np.int64), line[order])


def _around_pole(hemisphere: str, n: int) -> np.ndarray:
    """Return the n vertices of fsaverage5 nearest to the occipital pole, ring after ring."""
    pial, sphere = (
        read_mesh("fsaverage5", f"{surface}_{SIDES[hemisphere]}")[0]
        for surface in ("pial", "sphere")
    )
    pole = int(np.argmin(pial[:, 1]))
    sphere /= np.linalg.norm(sphere, axis=1, keepdims=True)
    distance = np.arccos(np.clip(sphere @ sphere[pole], -1, 1))
    nearest = np.argsort(distance, kind="stable")[:n]
    ring = np.floor(_RINGS * distance[nearest] / (distance[nearest].max() + 1e-6))
    up = np.array([0, 0, 1.0]) - sphere[pole, 2] * sphere[pole]
    across = np.cross(sphere[pole], up)
    angle = np.arctan2(sphere[nearest] @ across, sphere[nearest] @ up)
    # Rings alternate in direction, so that each begins where the previous one ends.
    return nearest[np.lexsort((np.where(ring % 2, -angle, angle), ring))]

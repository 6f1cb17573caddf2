"""Where a simulated subject's vertices lie on fsaverage: a patch around the occipital pole.

The first 10,242 of fsaverage's 163,842 vertices are fsaverage5, whose mesh nilearn ships. Where the
others lie is in a mesh that is not shipped, so what the patch cannot hold is put there at random.
"""

from dataclasses import dataclass

import numpy as np

from challenge.layout import HEMISPHERES, N_FSAVERAGE

N_FSAVERAGE5 = 10_242
# Of subject 1's 19,004 vertices, as many as one in 16: this share of fsaverage is fsaverage5.
_LARGEST = 1188
# The line from early to late goes round the pole in rings, so that a piece of it is a patch too.
_RINGS = 5


@dataclass(frozen=True)
class Patch:
    """The measured vertices of one hemisphere.

    Attributes
    ----------
    positions : array (n_vertices,) of int64
        The fsaverage vertex of each column, ascending.
    line : array (n_vertices,) of float64
        The place of each column on the line from early to late, in 0..1.
    """

    positions: np.ndarray
    line: np.ndarray


def draw_patches(n_vertices: tuple[int, int], rng: np.random.Generator) -> dict[str, Patch]:
    """Choose the fsaverage vertices that are measured, the same in all subjects.

    Parameters
    ----------
    n_vertices : tuple of int
        How many in the left and in the right hemisphere.
    """
    return {
        hemisphere: _draw(hemisphere, n, rng)
        for hemisphere, n in zip(HEMISPHERES, n_vertices, strict=True)
    }


def _draw(hemisphere: str, n: int, rng: np.random.Generator) -> Patch:
    n_others = N_FSAVERAGE - N_FSAVERAGE5
    nested = _around_pole(hemisphere, max(min(n, _LARGEST), n - n_others))
    others = N_FSAVERAGE5 + np.sort(rng.choice(n_others, n - len(nested), replace=False))
    places = np.concatenate([
        (np.arange(len(nested)) + 0.5) / len(nested),
        rng.uniform(size=len(others)),
    ])  # fmt: skip
    positions = np.concatenate([nested, others])
    line = (np.argsort(np.argsort(places)) + 0.5) / n
    order = np.argsort(positions)
    return Patch(positions[order].astype(np.int64), line[order])


def _around_pole(hemisphere: str, n: int) -> np.ndarray:
    """Take the n vertices of fsaverage5 nearest to the occipital pole, ring after ring."""
    # Here, for it takes a second to import and only the simulator needs it.
    from nilearn.datasets import load_fsaverage

    side = {"lh": "left", "rh": "right"}[hemisphere]
    pole = int(np.argmin(load_fsaverage("fsaverage5")["pial"].parts[side].coordinates[:, 1]))
    sphere = np.asarray(load_fsaverage("fsaverage5")["sphere"].parts[side].coordinates, float)
    sphere /= np.linalg.norm(sphere, axis=1, keepdims=True)
    distance = np.arccos(np.clip(sphere @ sphere[pole], -1, 1))
    nearest = np.argsort(distance, kind="stable")[:n]
    ring = np.floor(_RINGS * distance[nearest] / (distance[nearest].max() + 1e-6))
    up = np.array([0, 0, 1.0]) - sphere[pole, 2] * sphere[pole]
    across = np.cross(sphere[pole], up)
    angle = np.arctan2(sphere[nearest] @ across, sphere[nearest] @ up)
    # To and fro: where a ring ends, the next begins.
    return nearest[np.lexsort((np.where(ring % 2, -angle, angle), ring))]

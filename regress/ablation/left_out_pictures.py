"""Changes of R^2 when a picture is left out, for jackknife intervals.

Ablations save, for each picture and ROI, by how much the sum of R^2 over the ROI's vertices changes
without that picture: some kilobytes, where predictions of every subset would be gigabytes. These
changes can be added over ROIs, hemispheres and subjects and subtracted between subsets, so the
interval of any mean or contribution follows from them (the jackknife [1]_).

References
----------
.. [1] Efron and Stein (1981), "The jackknife estimate of variance", Annals of Statistics 9 (3).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from challenge import Subject

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Parts:
    """Sets of vertices of a hemisphere over which scores are averaged.

    Attributes
    ----------
    names : tuple of (str, str)
        ROI class and ROI of each part; the last, ("all", "all"), is of all vertices.
    vertices : tuple of array of int64
        The vertices of each part.
    """

    names: tuple[tuple[str, str], ...]
    vertices: tuple[NDArray[np.int64], ...]

    def sums(self, values: Floats, first: int = 0) -> Floats:
        """Sum values (n_pictures, n_vertices) over each part, to (n_pictures, n_parts).

        The values are of consecutive vertices, from `first` on.
        """
        member = np.zeros((values.shape[1], len(self.vertices)))
        for column, vertices in enumerate(self.vertices):
            places = vertices - first
            member[places[(places >= 0) & (places < len(member))], column] = 1
        return values @ member


def hemisphere_parts(subject: Subject, hemisphere: str) -> Parts:
    """Return the ROIs of a hemisphere, the rest outside all ROIs, and all vertices, as parts."""
    regions = subject.regions(hemisphere)
    names = tuple((roi.roi_class, roi.name) for roi in regions)
    all_vertices = np.arange(subject.n_vertices(hemisphere))
    return Parts((*names, ("all", "all")), (*(roi.vertices for roi in regions), all_vertices))


def left_out_r2(measured: NDArray[Any], predicted: NDArray[Any], pictures: Sequence[str]) -> Floats:
    """Compute by how much R^2 changes without each picture.

    Parameters
    ----------
    measured, predicted : array (n_images, n_vertices)
        Responses, and their predictions.
    pictures : sequence of str
        The name of each row's picture; all rows of a picture are left out together.

    Returns
    -------
    array (n_pictures, n_vertices), float64
        R^2 without each picture minus R^2 of all, in the order of the sorted names; 0 where the
        response is constant, with the picture or without it.
    """
    _, place, counts = np.unique(np.asarray(pictures), return_inverse=True, return_counts=True)
    Y = np.asarray(measured, np.float64)
    errors = _by_picture((Y - predicted) ** 2, place, counts)
    Y = Y - Y.mean(axis=0)
    shifts, squares = _by_picture(Y, place, counts), _by_picture(Y**2, place, counts)
    residual, total = errors.sum(axis=0), squares.sum(axis=0)
    n_others = np.maximum(len(Y) - counts, 1)[:, None]
    # Squares of the other rows are taken about their own mean, which is -shifts / n_others.
    remaining = total - squares - shifts**2 / n_others
    varied = remaining > 1e-12 * total
    left_out_ratio = (residual - errors) / np.where(varied, remaining, 1)
    full_ratio = residual / np.where(total > 0, total, 1)
    return np.where(varied & (total > 0), full_ratio - left_out_ratio, 0)


def _by_picture(values: Floats, place: NDArray[np.intp], counts: NDArray[np.intp]) -> Floats:
    order = np.argsort(place, kind="stable")
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    return np.asarray(np.add.reduceat(values[order], starts, axis=0))

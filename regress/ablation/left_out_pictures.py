"""What each picture does to R^2, from which intervals are made.

Ablations keep, for each picture and ROI, by how much the sum of R^2 over the ROI's vertices changes
without that picture: some kilobytes, where predictions of every subset would be gigabytes. These
changes add up over ROIs, hemispheres and subjects and subtract between subsets, so that the
interval of any mean or contribution follows from them (the jackknife [1]_), always by the same
pictures for all subsets.

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
    """The sets of vertices of a hemisphere that means are taken over.

    Attributes
    ----------
    names : tuple of (str, str)
        ROI class and ROI of each, in the order of the data; last all vertices, ("all", "all").
    vertices : tuple of array of int64
        Their vertices.
    """

    names: tuple[tuple[str, str], ...]
    vertices: tuple[NDArray[np.int64], ...]

    def sums(self, values: Floats, first: int = 0) -> Floats:
        """Sum values of consecutive vertices over the vertices of each part.

        Parameters
        ----------
        values : array (n_pictures, n_vertices)
            Values.

        Returns
        -------
        array (n_pictures, n_parts), float64
            The sums.
        """
        member = np.zeros((values.shape[1], len(self.vertices)))
        for column, vertices in enumerate(self.vertices):
            places = vertices - first
            member[places[(places >= 0) & (places < len(member))], column] = 1
        return values @ member


def hemisphere_parts(subject: Subject, hemisphere: str) -> Parts:
    """List the ROIs of a hemisphere, and all its vertices.

    Returns
    -------
    Parts
        Every ROI that has vertices, what lies in none, and everything.
    """
    regions = subject.regions(hemisphere)
    names = tuple((roi.roi_class, roi.name) for roi in regions)
    every = np.arange(subject.n_vertices(hemisphere))
    return Parts((*names, ("all", "all")), (*(roi.vertices for roi in regions), every))


def left_out_r2(measured: NDArray[Any], predicted: NDArray[Any], pictures: Sequence[str]) -> Floats:
    """Compute by how much R^2 changes without each picture.

    Parameters
    ----------
    measured : array (n_images, n_vertices)
        Responses.
    predicted : array (n_images, n_vertices)
        Predictions of them.
    pictures : sequence of str
        What names each row's picture; all rows of a picture are left out together.

    Returns
    -------
    array (n_pictures, n_vertices), float64
        In the order of the sorted names; 0 where the response is constant, with the picture or
        without it.
    """
    _, place, counts = np.unique(np.asarray(pictures), return_inverse=True, return_counts=True)
    Y = np.asarray(measured, np.float64)
    errors = _by_picture((Y - predicted) ** 2, place, counts)
    Y = Y - Y.mean(axis=0)
    shifts, squares = _by_picture(Y, place, counts), _by_picture(Y**2, place, counts)
    residual, total = errors.sum(axis=0), squares.sum(axis=0)
    n_others = np.maximum(len(Y) - counts, 1)[:, None]
    # The mean of the other rows is -shift / others, about which their squares are taken.
    remaining = total - squares - shifts**2 / n_others
    varied = remaining > 1e-12 * total
    left_out_ratio = (residual - errors) / np.where(varied, remaining, 1)
    full_ratio = residual / np.where(total > 0, total, 1)
    return np.where(varied & (total > 0), full_ratio - left_out_ratio, 0)


def _by_picture(values: Floats, place: NDArray[np.intp], counts: NDArray[np.intp]) -> Floats:
    order = np.argsort(place, kind="stable")
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    return np.asarray(np.add.reduceat(values[order], starts, axis=0))

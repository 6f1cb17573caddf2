"""Regions of interest: label maps, and the names of their labels."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from challenge.arrays import read_vector
from challenge.errors import DataError
from challenge.layout import N_FSAVERAGE, ROI_CLASSES, labels_file, mapping_file, vertices_file
from challenge.pickles import load_allowlisted

# The name of the group of vertices that no ROI claims.
RESIDUAL = "residual"


@dataclass(frozen=True)
class Roi:
    """A named region in one hemisphere of one subject.

    Attributes
    ----------
    roi_class : str
        A key of `ROI_CLASSES`.
    name : str
        The region's name, for example "V1v".
    hemisphere : str
        "lh" or "rh".
    vertices : array (n,) of int64
        The columns of the responses that belong to it, ascending; empty where the subject lacks
        the region.
    """

    roi_class: str
    name: str
    hemisphere: str
    vertices: np.ndarray = field(compare=False, repr=False)


def read_mask(folder: Path, hemisphere: str) -> np.ndarray:
    """Find the fsaverage vertices that are columns of the responses.

    Parameters
    ----------
    folder : Path
        The subject's folder.
    hemisphere : str
        "lh" or "rh".

    Returns
    -------
    array (163842,) of bool
        True where the vertex was measured.
    """
    file = vertices_file(folder, hemisphere)
    # The challenge added two masks to make this one: what they share is 2, not 1.
    return read_vector(file, N_FSAVERAGE, "the vertices of fsaverage") != 0


def read_labels(folder: Path, hemisphere: str, roi_class: str, n_vertices: int) -> np.ndarray:
    """Read the labels of the responses' columns in one class of regions.

    Parameters
    ----------
    folder : Path
        The subject's folder.
    hemisphere : str
        "lh" or "rh".
    roi_class : str
        A key of `ROI_CLASSES`.
    n_vertices : int
        How many columns the responses have.

    Returns
    -------
    array (n_vertices,) of int64
        The label of each column, 0 where it is in no region of the class.

    Raises
    ------
    DataError
        If the file is missing or of another length, or does not hold whole numbers.
    """
    file = labels_file(folder, hemisphere, roi_class)
    labels = read_vector(file, n_vertices, "the vertices of the all-vertices mask")
    whole = labels.astype(np.int64, casting="unsafe") if labels.dtype.kind in "biuf" else None
    if whole is None or (whole != labels).any():
        raise DataError(f"{file}: {labels.dtype} values, expected whole numbers: copy it again")
    return whole


def read_names(folder: Path, roi_class: str) -> dict[int, str]:
    """Read the names of the labels of one class.

    Parameters
    ----------
    folder : Path
        The subject's folder.
    roi_class : str
        A key of `ROI_CLASSES`.

    Returns
    -------
    dict of int to str
        The name of each label, that of 0 among them where the file has it.

    Raises
    ------
    DataError
        If the file is missing, or holds anything but names of labels.
    """
    file = mapping_file(folder, roi_class)
    held = load_allowlisted(file)
    if isinstance(held, np.ndarray) and held.shape == ():
        held = held.item()
    plain = isinstance(held, dict) and all(
        isinstance(label, int | np.integer) and isinstance(name, str)
        for label, name in held.items()
    )
    if not plain:
        raise DataError(
            f"{file}: holds a {type(held).__name__}, expected a dict of int labels to names, such "
            'as {0: "Unknown", 1: "V1v"}: copy the file again'
        )
    return {int(label): str(name) for label, name in held.items()}


def read_rois(folder: Path, hemisphere: str, roi_class: str, n_vertices: int) -> list[Roi]:
    """Find the vertices of every region of a class.

    Parameters
    ----------
    folder : Path
        The subject's folder.
    hemisphere : str
        "lh" or "rh".
    roi_class : str
        A key of `ROI_CLASSES`.
    n_vertices : int
        How many columns the responses have.

    Returns
    -------
    list of Roi
        The regions in the order of `ROI_CLASSES`, empty ones too; then those that only the
        subject's own mapping names.

    Raises
    ------
    DataError
        If a file is missing or damaged, or a label has no name.
    """
    labels = read_labels(folder, hemisphere, roi_class, n_vertices)
    names = read_names(folder, roi_class)
    nameless = sorted(set(labels.tolist()) - set(names) - {0})
    if nameless:
        raise DataError(
            f"{labels_file(folder, hemisphere, roi_class)}: label {nameless[0]} is in no entry of "
            f"{mapping_file(folder, roi_class).name}, which names {sorted(names)}: "
            "copy both files again"
        )
    label_of = {name: label for label, name in names.items() if label != 0}
    order = dict.fromkeys((*ROI_CLASSES[roi_class], *label_of))
    return [
        # -1 is no label: a region that the mapping does not know is empty.
        Roi(roi_class, name, hemisphere, np.flatnonzero(labels == label_of.get(name, -1)))
        for name in order
    ]


def with_residual(rois: Sequence[Roi], n_vertices: int, hemisphere: str) -> list[Roi]:
    """Leave out empty regions, and add the vertices that are in none.

    Parameters
    ----------
    rois : sequence of Roi
        The regions of a hemisphere.
    n_vertices : int
        How many vertices it has.
    hemisphere : str
        "lh" or "rh".

    Returns
    -------
    list of Roi
        None of them empty; every vertex is in one at least. The last is the residual, if any.
    """
    filled = [roi for roi in rois if roi.vertices.size]
    free = np.ones(n_vertices, bool)
    for roi in filled:
        free[roi.vertices] = False
    rest = [Roi(RESIDUAL, RESIDUAL, hemisphere, np.flatnonzero(free))] if free.any() else []
    return filled + rest

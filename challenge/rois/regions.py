"""Regions of interest: label maps, and the names of their labels."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from challenge.errors import DataError
from challenge.files.arrays import read_vector
from challenge.layout import (
    HEMISPHERES,
    N_FSAVERAGE,
    ROI_CLASSES,
    labels_file,
    mapping_file,
    vertices_file,
)
from challenge.rois.label_maps import RESIDUAL, lacks_class, read_labels, read_names


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

    Returns
    -------
    array (163842,) of bool
        True where the vertex was measured.
    """
    file = vertices_file(folder, hemisphere)
    # The challenge added two masks to make this one: what they share is 2, not 1.
    mask = read_vector(file, N_FSAVERAGE, "the vertices of fsaverage") != 0
    if not mask.any():
        raise DataError(
            f"{file}: all values are 0, expected others where a vertex was measured: copy it again"
        )
    return mask


def absent_places(folder: Path) -> str:
    """Return what cannot be done without the masks of all vertices, where a subject lacks them."""
    files = [vertices_file(folder, hemisphere) for hemisphere in HEMISPHERES]
    if all(file.exists() for file in files):
        return ""
    return (
        f"{folder}: no {' and '.join(file.name for file in files if not file.exists())}: without "
        "the places of the vertices there are no maps, no ceilings from ncsnr and no models that "
        "use positions"
    )


def absent_classes(folder: Path) -> str:
    """Return which classes have no regions, since a subject has no masks of them."""
    classes = [roi_class for roi_class in ROI_CLASSES if lacks_class(folder, roi_class)]
    if not classes:
        return ""
    return (
        f"{folder}: no masks of {', '.join(classes)}, so no ROIs of them; vertices in no ROI of "
        f"another class are the group {RESIDUAL}"
    )


def read_rois(folder: Path, hemisphere: str, roi_class: str, n_vertices: int) -> list[Roi]:
    """Find the vertices of every region of a class.

    Returns
    -------
    list of Roi
        The regions in the order of `ROI_CLASSES`, empty ones too; then those that only the
        subject's own mapping names. All labels of one name are one region. Without any file of the
        class its regions are empty.
    """
    if lacks_class(folder, roi_class):
        empty = np.empty(0, np.int64)
        return [Roi(roi_class, name, hemisphere, empty) for name in ROI_CLASSES[roi_class]]
    labels = read_labels(folder, hemisphere, roi_class, n_vertices)
    names = read_names(folder, roi_class)
    nameless = np.setdiff1d(labels, [0, *names]).tolist()
    if nameless:
        listed = ", ".join(map(str, nameless[:5])) + (" …" if len(nameless) > 5 else "")
        raise DataError(
            f"{labels_file(folder, hemisphere, roi_class)}: label {listed} is in no entry of "
            f"{mapping_file(folder, roi_class).name}, which names {sorted(names)}: "
            "copy both files again"
        )
    # A name may stand at several labels: they are one region.
    labels_of: dict[str, list[int]] = {name: [] for name in ROI_CLASSES[roi_class]}
    for label, name in names.items():
        if label:
            labels_of.setdefault(name, []).append(label)
    return [
        Roi(roi_class, name, hemisphere, np.flatnonzero(np.isin(labels, of_name)))
        for name, of_name in labels_of.items()
    ]


def with_residual(rois: Sequence[Roi], n_vertices: int, hemisphere: str) -> list[Roi]:
    """Leave out empty regions, and add the vertices that are in none.

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


def check_distinct(folder: Path, rois: Sequence[Roi]) -> None:
    """Check that no two regions of a hemisphere have one name: their models would be one file.

    Parameters
    ----------
    rois : sequence of Roi
        The regions of a hemisphere; empty ones have no models.
    """
    first: dict[str, Roi] = {}
    for roi in rois:
        if not roi.vertices.size:
            continue
        other = first.setdefault(unicodedata.normalize("NFC", roi.name).casefold(), roi)
        if other is not roi:
            raise DataError(
                f"{mapping_file(folder, roi.roi_class)}: names a region {roi.name}, and "
                f"{other.roi_class} one {other.name}; fits are saved under the names of ROIs, "
                "upper and lower case alike: rename one of them"
            )

"""Regions of interest of a subject, from its masks and label maps."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from challenge.errors import DataError
from challenge.files import read_vector
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
        The columns of the responses in the region, ascending; empty if the subject lacks the
        region.

    Examples
    --------
    >>> Roi("prf-visualrois", "V1v", "lh", np.array([0, 1, 5]))
    Roi(roi_class='prf-visualrois', name='V1v', hemisphere='lh')
    """

    roi_class: str
    name: str
    hemisphere: str
    vertices: np.ndarray = field(compare=False, repr=False)


def read_mask(folder: Path, hemisphere: str) -> np.ndarray:
    """Read the mask, (163842,), of the fsaverage vertices that are columns of the responses."""
    file = vertices_file(folder, hemisphere)
    # The challenge's mask is a sum of two masks: vertices in both are 2, not 1.
    mask = read_vector(file, N_FSAVERAGE, "the vertices of fsaverage") != 0
    if not mask.any():
        raise DataError(
            f"{file}: all values are 0, expected others where a vertex was measured: copy it again"
        )
    return mask


def missing_masks_note(folder: Path) -> str:
    """Return a note on the missing masks of all vertices of a subject, or an empty text."""
    files = [vertices_file(folder, hemisphere) for hemisphere in HEMISPHERES]
    if all(file.exists() for file in files):
        return ""
    return (
        f"{folder}: no {' and '.join(file.name for file in files if not file.exists())}: without "
        "the positions of the vertices there are no maps, no ceilings from ncsnr and no models "
        "that use positions"
    )


def missing_classes_note(folder: Path) -> str:
    """Return a note on the classes whose masks a subject lacks, or an empty text."""
    classes = [roi_class for roi_class in ROI_CLASSES if lacks_class(folder, roi_class)]
    if not classes:
        return ""
    return (
        f"{folder}: no masks of {', '.join(classes)}, so no ROIs of them; vertices in no ROI of "
        f"another class are the group {RESIDUAL}"
    )


def read_rois(folder: Path, hemisphere: str, roi_class: str, n_vertices: int) -> list[Roi]:
    """Read the regions of a class, in the order of `ROI_CLASSES`, including empty ones.

    Regions that only the subject's own mapping names come last. All labels of one name are one
    region. Without any file of the class its regions are empty.
    """
    if lacks_class(folder, roi_class):
        empty = np.empty(0, np.int64)
        return [Roi(roi_class, name, hemisphere, empty) for name in ROI_CLASSES[roi_class]]
    labels = read_labels(folder, hemisphere, roi_class, n_vertices)
    names = read_names(folder, roi_class)
    nameless = np.setdiff1d(labels, [0, *names]).tolist()
    if nameless:
        numbers = ", ".join(map(str, nameless[:5])) + (" …" if len(nameless) > 5 else "")
        raise DataError(
            f"{labels_file(folder, hemisphere, roi_class)}: label {numbers} is in no entry of "
            f"{mapping_file(folder, roi_class).name}, which names {sorted(names)}: "
            "copy both files again"
        )
    # Several labels may have one name: they are one region.
    labels_of: dict[str, list[int]] = {name: [] for name in ROI_CLASSES[roi_class]}
    for label, name in names.items():
        if label:
            labels_of.setdefault(name, []).append(label)
    return [
        Roi(roi_class, name, hemisphere, np.flatnonzero(np.isin(labels, of_name)))
        for name, of_name in labels_of.items()
    ]


def with_residual(rois: Sequence[Roi], n_vertices: int, hemisphere: str) -> list[Roi]:
    """Return the regions that are not empty, and a last region of the vertices in none, if any."""
    filled = [roi for roi in rois if roi.vertices.size]
    is_free = np.ones(n_vertices, bool)
    for roi in filled:
        is_free[roi.vertices] = False
    if is_free.any():
        filled.append(Roi(RESIDUAL, RESIDUAL, hemisphere, np.flatnonzero(is_free)))
    return filled


def check_distinct(folder: Path, rois: Sequence[Roi]) -> None:
    """Check that the names of nonempty regions of a hemisphere are distinct names of files."""
    first: dict[str, Roi] = {}
    for roi in rois:
        if not roi.vertices.size:
            continue
        earlier = first.setdefault(unicodedata.normalize("NFC", roi.name).casefold(), roi)
        if earlier is not roi:
            raise DataError(
                f"{mapping_file(folder, roi.roi_class)}: names a region {roi.name}, and "
                f"{earlier.roi_class} one {earlier.name}; fits are saved under the names of ROIs, "
                "upper and lower case alike: rename one of them"
            )

"""Check the masks of a subject: the positions of its vertices, and their regions."""

import numpy as np

from challenge.errors import Findings
from challenge.files import open_responses, read_vector
from challenge.layout import (
    HEMISPHERES,
    N_FSAVERAGE,
    ROI_CLASSES,
    SPLITS,
    labels_file,
    mapping_file,
    responses_file,
    vertices_file,
)
from challenge.rois.label_maps import lacks_class, read_labels, read_names
from challenge.rois.regions import (
    Roi,
    check_distinct,
    missing_classes_note,
    missing_masks_note,
    read_mask,
    read_rois,
)
from challenge.subject import Subject


def check_masks(subject: Subject, findings: Findings) -> dict[str, int | None]:
    """Check each file of `roi_masks` by itself, and against the others.

    Return the number of vertices of each hemisphere, or None if no file determines it.
    """
    for remark in (missing_masks_note(subject.folder), missing_classes_note(subject.folder)):
        findings.add_remark(remark)
    named_classes = [c for c in ROI_CLASSES if _check_names(subject, c, findings)]
    counts = {}
    for hemisphere in HEMISPHERES:
        mask = None
        if vertices_file(subject.folder, hemisphere).exists():
            mask = findings.attempt(read_mask, subject.folder, hemisphere)
        n = _count_columns(subject, hemisphere) if mask is None else int(mask.sum())
        counts[hemisphere] = n
        rois: list[Roi] = []
        for roi_class in ROI_CLASSES:
            labels = None
            if not lacks_class(subject.folder, roi_class):
                location = (subject.folder, hemisphere, roi_class)
                labels = findings.attempt(read_labels, *location, n)
                if labels is not None and roi_class in named_classes:
                    rois += findings.attempt(read_rois, *location, len(labels)) or []
            _check_surface(subject, hemisphere, roi_class, mask, labels, findings)
        findings.attempt(check_distinct, subject.folder, rois)
    return counts


def _count_columns(subject: Subject, hemisphere: str) -> int | None:
    """Count vertices by the responses, whose own faults are reported elsewhere."""
    ignored = Findings()
    for split in SPLITS:
        file = responses_file(subject.folder, hemisphere, split)
        if (values := ignored.attempt(open_responses, file)) is not None:
            return values.shape[1]
    return None


def _check_names(subject: Subject, roi_class: str, findings: Findings) -> bool:
    """Return whether the names of a class can be read; add a fault if they are unexpected."""
    if lacks_class(subject.folder, roi_class):
        return False
    names = findings.attempt(read_names, subject.folder, roi_class)
    if names is None:
        return False
    expected = dict(enumerate(ROI_CLASSES[roi_class], start=1))
    actual = {label: name for label, name in names.items() if label}
    if actual != expected:
        findings.add_fault(
            f"{mapping_file(subject.folder, roi_class)}: names {actual}, expected {expected}: "
            "copy the file again"
        )
    return True


def _check_surface(
    subject: Subject,
    hemisphere: str,
    roi_class: str,
    mask: np.ndarray | None,
    labels: np.ndarray | None,
    findings: Findings,
) -> None:
    # The label map of the columns must equal that of the surface at the columns' vertices.
    file = labels_file(subject.folder, hemisphere, roi_class, "fsaverage")
    if not file.exists():
        return  # this file is optional
    surface = findings.attempt(read_vector, file, N_FSAVERAGE, "the vertices of fsaverage")
    if surface is None or mask is None:
        return
    n_outside = int((surface[~mask] != 0).sum())
    if n_outside:
        findings.add_fault(
            f"{file}: {n_outside} labelled vertices lie outside the all-vertices mask, expected 0 "
            "there: the two are of different subjects or hemispheres, copy both again"
        )
    n_different = 0 if labels is None else int((surface[mask] != labels).sum())
    if n_different:
        findings.add_fault(
            f"{labels_file(subject.folder, hemisphere, roi_class)}: {n_different} labels are not "
            f"those of {file.name} at the nonzero vertices of the all-vertices mask, expected the "
            "same: copy both again"
        )

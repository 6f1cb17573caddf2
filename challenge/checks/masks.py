"""Check the masks of a subject: where its vertices lie, and which regions they are in."""

from functools import partial

import numpy as np

from challenge.checks.findings import Findings
from challenge.files.arrays import read_vector
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
from challenge.responses import open_responses
from challenge.rois.label_maps import lacks_class, read_labels, read_names
from challenge.rois.regions import (
    Roi,
    absent_classes,
    absent_places,
    check_distinct,
    read_mask,
    read_rois,
)
from challenge.subject import Subject


def check_masks(subject: Subject, findings: Findings) -> dict[str, int | None]:
    """Check each file of `roi_masks` by itself, and against the others.

    Parameters
    ----------
    findings : Findings
        Where faults go, and what cannot be done without the files that are absent.

    Returns
    -------
    dict of str to int or None
        The number of vertices of each hemisphere; None where no file tells it.
    """
    for remark in (absent_places(subject.folder), absent_classes(subject.folder)):
        findings.add_remark(remark)
    named = [c for c in ROI_CLASSES if _check_names(subject, c, findings)]
    counts = {}
    for hemisphere in HEMISPHERES:
        mask = None
        if vertices_file(subject.folder, hemisphere).exists():
            mask = findings.attempt(partial(read_mask, subject.folder, hemisphere))
        n = _count_columns(subject, hemisphere) if mask is None else int(mask.sum())
        counts[hemisphere] = n
        rois: list[Roi] = []
        for roi_class in ROI_CLASSES:
            labels = None
            if not lacks_class(subject.folder, roi_class):
                where = (subject.folder, hemisphere, roi_class)
                labels = findings.attempt(partial(read_labels, *where, n))
                if labels is not None and roi_class in named:
                    rois += findings.attempt(partial(read_rois, *where, len(labels))) or []
            _check_surface(subject, hemisphere, roi_class, mask, labels, findings)
        findings.attempt(partial(check_distinct, subject.folder, rois))
    return counts


def _count_columns(subject: Subject, hemisphere: str) -> int | None:
    """Count vertices by the responses, whose own faults are found elsewhere."""
    quiet = Findings()
    for split in SPLITS:
        file = responses_file(subject.folder, hemisphere, split)
        if (values := quiet.attempt(partial(open_responses, file))) is not None:
            return values.shape[1]
    return None


def _check_names(subject: Subject, roi_class: str, findings: Findings) -> bool:
    """Return whether the names of a class are read; add a fault where they are others."""
    if lacks_class(subject.folder, roi_class):
        return False
    names = findings.attempt(partial(read_names, subject.folder, roi_class))
    if names is None:
        return False
    expected = dict(enumerate(ROI_CLASSES[roi_class], start=1))
    found = {label: name for label, name in names.items() if label}
    if found != expected:
        findings.add_fault(
            f"{mapping_file(subject.folder, roi_class)}: names {found}, expected {expected}: "
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
    # The label map of the columns must be that of the surface, at the columns' places.
    file = labels_file(subject.folder, hemisphere, roi_class, "fsaverage")
    if not file.exists():
        return  # nothing else reads it
    surface = findings.attempt(partial(read_vector, file, N_FSAVERAGE, "the vertices of fsaverage"))
    if surface is None or mask is None:
        return
    outside = int((surface[~mask] != 0).sum())
    if outside:
        findings.add_fault(
            f"{file}: {outside} labelled vertices lie outside the all-vertices mask, expected 0 "
            "there: the two are of different subjects or hemispheres, copy both again"
        )
    differ = 0 if labels is None else int((surface[mask] != labels).sum())
    if differ:
        findings.add_fault(
            f"{labels_file(subject.folder, hemisphere, roi_class)}: {differ} labels are not those "
            f"of {file.name} at the nonzero places of the all-vertices mask, expected the same: "
            "copy both again"
        )

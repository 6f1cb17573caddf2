"""Look through a dataset and list every fault at once, each with what was expected and the fix."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from base import progress
from challenge.arrays import read_vector
from challenge.errors import DataError
from challenge.layout import (
    HEMISPHERES,
    N_FSAVERAGE,
    ROI_CLASSES,
    SPLITS,
    ceiling_file,
    labels_file,
    mapping_file,
    responses_file,
)
from challenge.pictures import load_rgb, nsd_id
from challenge.rois import read_labels, read_mask, read_names, read_rois
from challenge.subject import Subject

_NAMED = 5  # files of one fault


def find_faults(subjects: list[Subject]) -> list[str]:
    """Read every file of some subjects and collect what is wrong with them.

    Parameters
    ----------
    subjects : list of Subject
        The subjects.

    Returns
    -------
    list of str
        One line for each fault: file, what was found, what was expected, the fix. Empty where all
        is well.
    """
    faults: dict[str, None] = {}  # a file that several checks need is named once
    for subject in subjects:
        for check in (_check_pictures, _check_masks, _check_responses, _check_ceilings):
            faults.update(dict.fromkeys(check(subject)))
    faults.update(dict.fromkeys(_check_shared(subjects)))
    return list(faults)


def summarise(subjects: list[Subject]) -> str:
    """Tell what a faultless dataset holds.

    Parameters
    ----------
    subjects : list of Subject
        The subjects.

    Returns
    -------
    str
        A table with a line for each subject.
    """
    lines = ["subject  training  test  LH vertices  RH vertices  LH ROIs  RH ROIs  noise ceilings"]
    for subject in subjects:
        pictures = [len(subject.pictures(split)) for split in SPLITS]
        vertices = [subject.n_vertices(h) for h in HEMISPHERES]
        rois = [sum(roi.vertices.size > 0 for roi in subject.rois(h)) for h in HEMISPHERES]
        there = [split for split in SPLITS if subject.noise_ceiling("lh", split) is not None]
        lines.append(
            f"{subject.name:>7}{pictures[0]:>10}{pictures[1]:>6}{vertices[0]:>13}{vertices[1]:>13}"
            f"{rois[0]:>9}{rois[1]:>9}  {' and '.join(there) or 'none'}"
            + (" (simulated)" if subject.simulated else "")
        )
    return "\n".join(lines)


def _faults_of(*checks: Callable[[], object]) -> Iterator[str]:
    for check in checks:
        try:
            check()
        except DataError as error:
            yield str(error)


def _check_pictures(subject: Subject) -> Iterator[str]:
    ids: dict[int, Path] = {}
    sizes: dict[tuple[int, int], list[Path]] = defaultdict(list)
    for split in SPLITS:
        try:
            pictures = subject.pictures(split)
        except DataError as error:
            yield str(error)
            continue
        desc = f"subject {subject.name}, {split} pictures"
        for picture in progress(pictures, desc=desc, unit="picture"):
            yield from _faults_of(lambda p=picture: sizes[load_rgb(p).size].append(p))  # type: ignore[misc]
            try:
                first = ids.setdefault(nsd_id(picture), picture)
            except DataError as error:
                yield str(error)
                continue
            if first is not picture:
                yield (
                    f"{picture}: the same NSD id as {first.name}, expected each picture once and "
                    "no test picture in training: remove one, and its row of responses"
                )
        yield from _check_twins(subject, split, pictures)
    yield from _check_sizes(sizes)


def _check_sizes(sizes: dict[tuple[int, int], list[Path]]) -> Iterator[str]:
    # The first picture may be the odd one: what most of them have is what is expected.
    usual = max(sizes, key=lambda size: len(sizes[size]), default=(0, 0))
    for size, (first, *others) in sizes.items():
        if size == usual:
            continue
        named = "".join(f", {other.name}" for other in others[:_NAMED])
        more = f" and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
        yield (
            f"{first}{named}{more}: {size[0]} x {size[1]} pixels, expected {usual[0]} x {usual[1]} "
            f"as {len(sizes[usual])} others have: copy again"
        )


def _check_twins(subject: Subject, split: str, pictures: list[Path]) -> Iterator[str]:
    # A picture may stand twice, under different names.
    first: dict[str, Path] = {}
    for digest, picture in zip(subject.picture_digests(split), pictures, strict=True):
        twin = first.setdefault(digest, picture)
        if twin is not picture:
            yield (
                f"{picture}: the same contents as {twin.name}, expected different pictures: one of "
                "them was overwritten, copy both again"
            )


def _check_masks(subject: Subject) -> Iterator[str]:
    for roi_class in ROI_CLASSES:
        yield from _faults_of(lambda c=roi_class: read_names(subject.folder, c))  # type: ignore[misc]
        yield from _check_known(subject, roi_class)
    for hemisphere in HEMISPHERES:
        try:
            mask = read_mask(subject.folder, hemisphere)
        except DataError as error:
            yield str(error)
            continue
        for roi_class in ROI_CLASSES:
            try:
                read_rois(subject.folder, hemisphere, roi_class, int(mask.sum()))
                _check_surface(subject, hemisphere, roi_class, mask)
            except DataError as error:
                yield str(error)


def _check_known(subject: Subject, roi_class: str) -> Iterator[str]:
    try:
        names = read_names(subject.folder, roi_class)
    except DataError:
        return  # reported already
    expected = dict(enumerate(ROI_CLASSES[roi_class], start=1))
    found = {label: name for label, name in names.items() if label}
    if found != expected:
        yield (
            f"{mapping_file(subject.folder, roi_class)}: names {found}, expected {expected}: "
            "copy the file again"
        )


def _check_surface(subject: Subject, hemisphere: str, roi_class: str, mask: np.ndarray) -> None:
    # The label map of the columns must be that of the surface, at the columns' places.
    file = labels_file(subject.folder, hemisphere, roi_class, "fsaverage")
    surface = read_vector(file, N_FSAVERAGE, "the vertices of fsaverage")
    outside = int((surface[~mask] != 0).sum())
    if outside:
        raise DataError(
            f"{file}: {outside} labelled vertices lie outside the all-vertices mask, expected 0 "
            "there: the two are of different subjects or hemispheres, copy both again"
        )
    labels = read_labels(subject.folder, hemisphere, roi_class, int(mask.sum()))
    differ = int((surface[mask] != labels).sum())
    if differ:
        raise DataError(
            f"{labels_file(subject.folder, hemisphere, roi_class)}: {differ} labels are not those "
            f"of {file.name} at the nonzero places of the all-vertices mask, expected the same: "
            "copy both again"
        )


def _check_responses(subject: Subject) -> Iterator[str]:
    splits = ["train"]
    if any(responses_file(subject.folder, h, "test").exists() for h in HEMISPHERES):
        splits.append("test")
    for hemisphere in HEMISPHERES:
        for split in splits:
            yield from _faults_of(lambda h=hemisphere, s=split: subject.check_finite(h, s))  # type: ignore[misc]


def _check_ceilings(subject: Subject) -> Iterator[str]:
    for split in SPLITS:
        files = [ceiling_file(subject.folder, h, split) for h in HEMISPHERES]
        there = [file for file in files if file.is_file()]
        for hemisphere, file in zip(HEMISPHERES, files, strict=True):
            yield from _faults_of(lambda h=hemisphere, s=split: subject.noise_ceiling(h, s))  # type: ignore[misc]
            if there and file not in there:
                yield (
                    f"{file}: missing, while {there[0].name} is there; expected the noise ceilings "
                    "of both hemispheres, or none: copy it into place, or remove the other"
                )


def _check_shared(subjects: list[Subject]) -> Iterator[str]:
    # The same NSD id must be the same picture in all subjects.
    holders: dict[int, dict[str, Path]] = defaultdict(dict)
    for subject in subjects:
        for split in SPLITS:
            try:
                pictures = subject.pictures(split)
                ids = [nsd_id(picture) for picture in pictures]
            except DataError:
                continue  # reported already
            for number, digest, picture in zip(
                ids, subject.picture_digests(split), pictures, strict=True
            ):
                holders[number].setdefault(digest, picture)
    for number, held in holders.items():
        first, *others = held.values()
        for other in others:
            yield (
                f"{other}: not the same contents as {first}, expected the same picture for the "
                f"NSD id {number}: copy both again"
            )

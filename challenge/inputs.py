"""Checks of the files that a command needs, before it begins its work."""

from collections.abc import Sequence

from base import say
from challenge.errors import DataError
from challenge.findings import Findings
from challenge.layout import HEMISPHERES, SPLITS
from challenge.rois.regions import missing_classes_note
from challenge.subject import Subject


def check_pictures(subjects: Sequence[Subject]) -> None:
    """Check that all pictures of some subjects are there, and that their names give their rows."""
    _raise_faults(_attempt_pictures(subjects))


def check_training_data(subjects: Sequence[Subject]) -> None:
    """Check that all files for fitting models are there, without reading the values."""
    findings = _attempt_pictures(subjects)
    for subject in subjects:
        for hemisphere in HEMISPHERES:
            findings.attempt(subject.responses, hemisphere, "train")
            findings.attempt(subject.regions, hemisphere)
    _raise_faults(findings)


def check_values(subjects: Sequence[Subject], split: str = "train") -> None:
    """Check that all responses are finite, in both hemispheres."""
    findings = Findings()
    for subject in subjects:
        for hemisphere in HEMISPHERES:
            findings.attempt(subject.check_finite, hemisphere, split)
    _raise_faults(findings)


def print_missing_classes(subjects: Sequence[Subject]) -> None:
    """Print the classes whose masks are missing, and which therefore have no ROIs."""
    for subject in subjects:
        if line := missing_classes_note(subject.folder):
            say(line)


def _attempt_pictures(subjects: Sequence[Subject]) -> Findings:
    findings = Findings()
    for subject in subjects:
        for split in SPLITS:
            findings.attempt(subject.pictures, split)
    return findings


def _raise_faults(findings: Findings) -> None:
    faults = list(findings.faults)
    if len(faults) == 1:
        raise DataError(faults[0])
    if faults:
        raise DataError(f"{len(faults)} faults in the data:\n- " + "\n- ".join(faults))

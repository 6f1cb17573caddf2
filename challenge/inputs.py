"""What a command reads of a dataset, checked before any work is done with it."""

from collections.abc import Callable, Sequence
from functools import partial

from base import say
from challenge.errors import DataError, faults_of
from challenge.layout import HEMISPHERES, SPLITS
from challenge.rois.regions import absent_classes
from challenge.subject import Subject


def check_pictures(subjects: Sequence[Subject]) -> None:
    """Check that all pictures of some subjects are there, each of them with its row."""
    _raise(faults_of(*_pictures(subjects)))


def check_fitted(subjects: Sequence[Subject]) -> None:
    """Check that all that models are fitted on is there, without reading the values."""
    checks = _pictures(subjects)
    for subject in subjects:
        for hemisphere in HEMISPHERES:
            checks += [
                partial(subject.responses, hemisphere, "train"),
                partial(subject.regions, hemisphere),
            ]
    _raise(faults_of(*checks))


def check_values(subjects: Sequence[Subject], split: str = "train") -> None:
    """Check that all responses are finite, in both hemispheres."""
    sides = [(subject, hemisphere) for subject in subjects for hemisphere in HEMISPHERES]
    _raise(faults_of(*(partial(s.check_finite, h, split) for s, h in sides)))


def say_absent_classes(subjects: Sequence[Subject]) -> None:
    """Print which classes have no ROIs, since subjects have no masks of them."""
    for subject in subjects:
        if line := absent_classes(subject.folder):
            say(line)


def _pictures(subjects: Sequence[Subject]) -> list[Callable[[], object]]:
    return [partial(subject.pictures, split) for subject in subjects for split in SPLITS]


def _raise(faults: Sequence[str]) -> None:
    if len(faults) == 1:
        raise DataError(faults[0])
    if faults:
        raise DataError(f"{len(faults)} faults in the data:\n- " + "\n- ".join(faults))

"""Checks of the files that a command needs, before it begins its work."""

from collections.abc import Callable, Sequence
from functools import partial

from base import say
from challenge.errors import DataError, collect_faults
from challenge.layout import HEMISPHERES, SPLITS
from challenge.rois.regions import missing_classes_note
from challenge.subject import Subject


def check_pictures(subjects: Sequence[Subject]) -> None:
    """Check that all pictures of some subjects are there, and that their names give their rows."""
    _raise_faults(collect_faults(*_pictures(subjects)))


def check_training_data(subjects: Sequence[Subject]) -> None:
    """Check that all files for fitting models are there, without reading the values."""
    checks = _pictures(subjects)
    for subject in subjects:
        for hemisphere in HEMISPHERES:
            checks += [
                partial(subject.responses, hemisphere, "train"),
                partial(subject.regions, hemisphere),
            ]
    _raise_faults(collect_faults(*checks))


def check_values(subjects: Sequence[Subject], split: str = "train") -> None:
    """Check that all responses are finite, in both hemispheres."""
    sides = [(subject, hemisphere) for subject in subjects for hemisphere in HEMISPHERES]
    _raise_faults(collect_faults(*(partial(s.check_finite, h, split) for s, h in sides)))


def print_missing_classes(subjects: Sequence[Subject]) -> None:
    """Print the classes whose masks are missing, and which therefore have no ROIs."""
    for subject in subjects:
        if line := missing_classes_note(subject.folder):
            say(line)


def _pictures(subjects: Sequence[Subject]) -> list[Callable[[], object]]:
    return [partial(subject.pictures, split) for subject in subjects for split in SPLITS]


def _raise_faults(faults: Sequence[str]) -> None:
    if len(faults) == 1:
        raise DataError(faults[0])
    if faults:
        raise DataError(f"{len(faults)} faults in the data:\n- " + "\n- ".join(faults))

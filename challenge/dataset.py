"""Find the subjects of a dataset, and check the files that a command needs before it begins."""

import re
from collections.abc import Sequence
from pathlib import Path

from base import convert_paths, say
from challenge.errors import DataError, Findings
from challenge.layout import FOLDER_NAME, HEMISPHERES, SPLITS
from challenge.rois.regions import missing_classes_note
from challenge.subject import Subject

SubjectChoice = str | int | Sequence[str | int]
"""A choice of subjects: "all"; one, 1, "01" or "subj01"; or several, "01 02" or ["01", "02"]."""


@convert_paths
def find_subjects(data: Path, subject: SubjectChoice = "all") -> list[Subject]:
    """Find the subjects in a folder of the challenge's data.

    Parameters
    ----------
    data : str or Path
        The folder that holds `subj01`, `subj02` and so on.
    subject : str, int or sequence of them
        "all", or one or several of "1", "01" or "subj01", separated by blanks or commas.

    Returns
    -------
    list of Subject
        The subjects, in the order of their numbers.

    Raises
    ------
    DataError
        If there is no such folder, no such subject in it, or two folders of one subject.

    Examples
    --------
    >>> [subject.name for subject in find_subjects("data")]
    ['01', '02']
    >>> find_subjects("data", "02")[0].has_test_responses
    True
    """
    folders = sorted(data.iterdir()) if data.is_dir() else []
    subjects: dict[int, Subject] = {}
    for folder in folders:
        if not folder.is_dir() or not (match := FOLDER_NAME.fullmatch(folder.name)):
            continue
        earlier = subjects.setdefault(int(match[1]), Subject(folder))
        if earlier.folder != folder:
            raise DataError(
                f"{folder}: of the same subject as {earlier.folder.name}, expected one folder for "
                "each: remove or rename one of them"
            )
    if not subjects:
        raise DataError(_no_data_message(data))
    if chooses_all(subject):
        return [subjects[number] for number in sorted(subjects)]
    numbers = {word: _parse_number(word) for word in _words(subject)}
    unknown = [word for word, number in numbers.items() if number not in subjects]
    if unknown or not numbers:
        names = ", ".join(subjects[number].name for number in sorted(subjects))
        raise DataError(
            f"{data}: no subject {', '.join(map(repr, unknown)) or repr(subject)}; it holds "
            f"{names}: choose one, several with blanks between, or `all`"
        )
    return [subjects[number] for number in sorted(set(numbers.values()))]


def chooses_all(subject: SubjectChoice) -> bool:
    """Return whether a choice of subjects is "all".

    Parameters
    ----------
    subject : str, int or sequence of them
        A choice that `find_subjects` accepts.

    Returns
    -------
    bool
        Whether all subjects are chosen by "all" rather than by their numbers.

    Examples
    --------
    >>> chooses_all("all"), chooses_all("01 02")
    (True, False)
    """
    return _words(subject) == ["all"]


def _words(subject: SubjectChoice) -> list[str]:
    items = [subject] if isinstance(subject, str | int) else subject
    return [word for item in items for word in re.split(r"[\s,+]+", str(item)) if word]


def _parse_number(word: str) -> int:
    """Return the number of a subject, or -1 for another word."""
    match = re.fullmatch(r"(?:subj)?(\d+)", word)
    return int(match[1]) if match else -1


def _no_data_message(data: Path) -> str:
    if FOLDER_NAME.fullmatch(data.resolve().name) and data.is_dir():
        return f"{data}: this is one subject's folder; give the folder above it, {data.parent}"
    state = "holds no folders subj01, subj02, ..." if data.is_dir() else "no such folder"
    return (
        f"{data}: {state}; expected subj01/training_split/training_images/*.png, "
        "subj01/training_split/training_fmri/{lh,rh}_training_fmri.npy, subj01/test_split/... and "
        "subj01/roi_masks/... as the challenge's zips unpack. The data are given on request: on "
        "the Algonauts 2023 Challenge site, algonauts.csail.mit.edu, fill in the NSD data access "
        "form. To go on without them, `make demo` simulates a small set with the same layout"
    )


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

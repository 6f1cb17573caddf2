"""Find the subjects of a dataset, or say how to come by one."""

import re
from pathlib import Path

from challenge.errors import DataError
from challenge.layout import FOLDER_NAME
from challenge.subject import Subject


def find_subjects(data: Path, subject: str = "all") -> list[Subject]:
    """Find the subjects in a folder of the challenge's data.

    Parameters
    ----------
    data : Path
        The folder that holds `subj01`, `subj02` and so on.
    subject : str
        "all", or one of them: "1", "01" or "subj01".

    Returns
    -------
    list of Subject
        The subjects, in the order of their numbers.

    Raises
    ------
    DataError
        If there is no such folder, or no such subject in it, or two folders of one subject.
    """
    data = Path(data)
    folders = sorted(data.iterdir()) if data.is_dir() else []
    found: dict[int, Subject] = {}
    for folder in folders:
        if not folder.is_dir() or not (match := FOLDER_NAME.fullmatch(folder.name)):
            continue
        other = found.setdefault(int(match[1]), Subject(folder))
        if other.folder != folder:
            raise DataError(
                f"{folder}: of the same subject as {other.folder.name}, expected one folder for "
                "each: remove or rename one of them"
            )
    if not found:
        raise DataError(_no_data(data))
    if str(subject) == "all":
        return [found[number] for number in sorted(found)]
    number = re.fullmatch(r"(?:subj)?(\d+)", str(subject))
    if number is None or int(number[1]) not in found:
        names = ", ".join(found[number].name for number in sorted(found))
        raise DataError(f"{data}: no subject {subject!r}; it holds {names}: choose one, or `all`")
    return [found[int(number[1])]]


def _no_data(data: Path) -> str:
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

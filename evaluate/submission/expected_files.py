"""The files of a submission: one for each hemisphere of each subject, with its shape."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from challenge import HEMISPHERES, Subject
from challenge.ceilings.published import PUBLISHED
from challenge.layout import pictures_folder, responses_file
from evaluate.errors import EvaluateError

# subj01/lh_pred_test.npy, and common mistakes such as sub-1/LH_test_pred.npy.
_SIMILAR_NAME = re.compile(r"(?:.*/)?s[a-z]*[-_]?0*(\d+)/[^/]*?(lh|rh)[^/]*\.npy", re.IGNORECASE)
_IMAGES = (".png", ".jpg", ".jpeg")


@dataclass(frozen=True)
class ExpectedFile:
    """A file that a submission must contain."""

    subject: str  # the subject's number, "01"
    hemisphere: str  # "lh" or "rh"
    shape: tuple[int, int]  # test pictures, vertices
    # Number of training pictures, which are not to be predicted; 0 if the data are not there.
    n_train: int
    # The subject whose data were counted; None if the numbers are the published ones.
    source: Subject | None = None

    @property
    def folder(self) -> str:
        """The subject's folder in the zip."""
        return f"subj{self.subject}"

    @property
    def name(self) -> str:
        """The file's path in the zip."""
        return f"{self.folder}/{self.hemisphere}_pred_test.npy"


def list_expected(subjects: Sequence[Subject] | None) -> list[ExpectedFile]:
    """Return the files that a submission must contain."""
    if subjects is None:
        return [
            ExpectedFile(number, side, (counts.test, vertices), counts.train)
            for number, counts in PUBLISHED.items()
            for side, vertices in zip(HEMISPHERES, (counts.lh, counts.rh), strict=True)
        ]
    files = []
    for subject, side in product(subjects, HEMISPHERES):
        shape = (_count_rows(subject, side), subject.n_vertices(side))
        n_train = len(_image_files(subject, "train"))
        files.append(ExpectedFile(subject.name, side, shape, n_train, subject))
    return files


def _count_rows(subject: Subject, hemisphere: str) -> int:
    """Count the test pictures, and check that files and responses have the same number."""
    n_pictures = len(subject.pictures("test"))
    n_files = len(_image_files(subject, "test"))
    if n_files != n_pictures:
        raise EvaluateError(
            f"{pictures_folder(subject.folder, 'test')}: holds {n_files} pictures, of which only "
            f"{n_pictures} are read: a submission has a row for each; give all of them the names "
            "that the challenge has, such as test-0001_nsd-00845.png, or remove other files"
        )
    if responses_file(subject.folder, hemisphere, "test").is_file():
        subject.responses(hemisphere, "test")  # refuses another number of rows
    return n_pictures


def _image_files(subject: Subject, split: str) -> list[Path]:
    folder = pictures_folder(subject.folder, split)
    files = folder.iterdir() if folder.is_dir() else ()
    return [f for f in files if f.suffix.lower() in _IMAGES and not f.name.startswith(".")]


def member_name(subject: Subject, hemisphere: str) -> str:
    """Return the path, in the zip, of a hemisphere's predictions."""
    return f"subj{subject.name}/{hemisphere}_pred_test.npy"


def match_name(name: str, expected: Sequence[ExpectedFile]) -> ExpectedFile | None:
    """Return the expected file of the number and hemisphere in another name, or None."""
    match = _SIMILAR_NAME.fullmatch(name)
    if match is None:
        return None
    key = (int(match[1]), match[2].lower())
    return next((e for e in expected if (int(e.subject), e.hemisphere) == key), None)

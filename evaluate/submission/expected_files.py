"""What a submission must hold: a file for each hemisphere of each subject, and its shape."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from challenge import HEMISPHERES, Subject
from challenge.ceilings.published import PUBLISHED
from challenge.layout import pictures_folder, responses_file
from evaluate.errors import EvaluateError

# subj01/lh_pred_test.npy, and what people write instead: sub-1/LH_test_pred.npy.
_SIMILAR_NAME = re.compile(r"(?:.*/)?s[a-z]*[-_]?0*(\d+)/[^/]*?(lh|rh)[^/]*\.npy", re.IGNORECASE)
_IMAGES = (".png", ".jpg", ".jpeg")


@dataclass(frozen=True)
class ExpectedFile:
    """One file of a submission.

    Attributes
    ----------
    subject : str
        The subject's number, "01".
    hemisphere : str
        "lh" or "rh".
    shape : tuple of int
        Test pictures, vertices.
    n_train : int
        The subject's training pictures, which are not to be predicted; 0 where they are not there.
    source : Subject, optional
        Where the numbers were counted; None for the published ones.
    """

    subject: str
    hemisphere: str
    shape: tuple[int, int]
    n_train: int
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
    """List the files that a submission must hold."""
    if subjects is None:
        return [
            ExpectedFile(number, side, (counts.test, vertices), counts.train)
            for number, counts in PUBLISHED.items()
            for side, vertices in zip(HEMISPHERES, (counts.lh, counts.rh), strict=True)
        ]
    return [
        ExpectedFile(
            subject.name,
            side,
            (_count_rows(subject, side), subject.n_vertices(side)),
            len(_image_files(subject, "train")),
            subject,
        )
        for subject in subjects
        for side in HEMISPHERES
    ]


def _count_rows(subject: Subject, hemisphere: str) -> int:
    """Count the test pictures, and check that nothing else that is there has another number."""
    n_pictures = len(subject.pictures("test"))
    n_files = len(_image_files(subject, "test"))
    if n_files != n_pictures:
        raise EvaluateError(
            f"{pictures_folder(subject.folder, 'test')}: holds {n_files} pictures, of which only "
            f"{n_pictures} are read: a submission has a row for each; give all of them the names "
            "that the challenge has, such as test-0001_nsd-00845.png, or take out what is none"
        )
    if responses_file(subject.folder, hemisphere, "test").is_file():
        subject.responses(hemisphere, "test")  # refuses another number of rows
    return n_pictures


def _image_files(subject: Subject, split: str) -> list[Path]:
    folder = pictures_folder(subject.folder, split)
    files = folder.iterdir() if folder.is_dir() else ()
    return [f for f in files if f.suffix.lower() in _IMAGES and not f.name.startswith(".")]


def member_name(subject: Subject, hemisphere: str) -> str:
    """Name the file of a hemisphere's predictions."""
    return f"subj{subject.name}/{hemisphere}_pred_test.npy"


def match_name(name: str, expected: Sequence[ExpectedFile]) -> ExpectedFile | None:
    """Guess which file was meant by another name.

    Returns
    -------
    Expected or None
        That of the same number and hemisphere, if there is one.
    """
    match = _SIMILAR_NAME.fullmatch(name)
    if match is None:
        return None
    key = (int(match[1]), match[2].lower())
    return next((e for e in expected if (int(e.subject), e.hemisphere) == key), None)

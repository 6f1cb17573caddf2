"""What a submission must hold: a file for each hemisphere of each subject, and its shape."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from challenge import HEMISPHERES, Subject
from challenge.published import PUBLISHED

# subj01/lh_pred_test.npy, and what people write instead: sub-1/LH_test_pred.npy.
_LIKE = re.compile(r"(?:.*/)?s[a-z]*[-_]?0*(\d+)/[^/]*?(lh|rh)[^/]*\.npy", re.IGNORECASE)


@dataclass(frozen=True)
class Expected:
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
        The subject's training pictures, which are not to be predicted.
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


def expect(subjects: Sequence[Subject] | None) -> list[Expected]:
    """List the files that a submission must hold.

    Parameters
    ----------
    subjects : sequence of Subject, optional
        Whose; without it, the challenge's eight, as published.

    Returns
    -------
    list of Expected
        Subject by subject, left and right.
    """
    if subjects is None:
        return [
            Expected(number, side, (counts.test, vertices), counts.train)
            for number, counts in PUBLISHED.items()
            for side, vertices in zip(HEMISPHERES, (counts.lh, counts.rh), strict=True)
        ]
    return [
        Expected(
            subject.name,
            side,
            (len(subject.pictures("test")), subject.n_vertices(side)),
            len(subject.pictures("train")),
            subject,
        )
        for subject in subjects
        for side in HEMISPHERES
    ]


def member(subject: Subject, hemisphere: str) -> str:
    """Name the file of a hemisphere's predictions.

    Parameters
    ----------
    subject : Subject
        Whose.
    hemisphere : str
        "lh" or "rh".

    Returns
    -------
    str
        Its path within the zip.
    """
    return f"subj{subject.name}/{hemisphere}_pred_test.npy"


def meant(name: str, expected: Sequence[Expected]) -> Expected | None:
    """Guess which file was meant by another name.

    Parameters
    ----------
    name : str
        A path in a zip, such as "mine/subj1/lh_test_pred.npy".
    expected : sequence of Expected
        The candidates.

    Returns
    -------
    Expected or None
        That of the same number and hemisphere, if there is one.
    """
    match = _LIKE.fullmatch(name)
    if match is None:
        return None
    wanted = (int(match[1]), match[2].lower())
    return next((e for e in expected if (int(e.subject), e.hemisphere) == wanted), None)

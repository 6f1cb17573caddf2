"""What data are, by their content: the responses, pictures and vertices that a fit was made of.

All who ask whether a fit is of the data that are there now ask here: `make fit` before it skips a
fit, `make plan` before it counts one, a cluster's jobs before they are submitted, and `make
evaluate` before it scores one. Times of files say nothing: copies and restored files have any.
"""

import hashlib
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from base import content_digests, digest
from challenge.layout import HEMISPHERES
from challenge.subject import Subject


def response_digests(
    subjects: Sequence[Subject], split: str = "train", hemispheres: Sequence[str] = HEMISPHERES
) -> dict[tuple[str, str], str]:
    """Digest the files of responses, which are of gigabytes, several at a time.

    Parameters
    ----------
    subjects : sequence of Subject
        Whose.
    split : str
        "train" or "test".
    hemispheres : sequence of str
        "lh", "rh" or both.

    Returns
    -------
    dict of (str, str) to str
        For each subject's name and hemisphere, the sha256, in hexadecimal.
    """
    sides = list(product(subjects, hemispheres))
    files = [Path(str(subject.responses(h, split).filename)) for subject, h in sides]
    digests = content_digests(files)
    return {(subject.name, h): one for (subject, h), one in zip(sides, digests, strict=True)}


def pictures_digest(training: Sequence[str], test: Sequence[str]) -> str:
    """Digest which pictures stand in which rows.

    Parameters
    ----------
    training, test : sequence of str
        The sha256 of each row's picture, as of `Subject.picture_digests`.

    Returns
    -------
    str
        32 hexadecimal digits.
    """
    rows = ",".join([*training, "|", *test])
    return hashlib.sha256(rows.encode()).hexdigest()[:32]


def vertices_digest(vertices: NDArray[np.int64]) -> str:
    """Digest which vertices a mask chooses.

    Parameters
    ----------
    vertices : array of int (n_vertices,)
        Columns of the responses.

    Returns
    -------
    str
        16 hexadecimal digits.
    """
    return digest({"vertices": vertices.tolist()})

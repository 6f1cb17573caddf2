"""Digests of the data that a fit was made from: responses, pictures and vertices.

All stages use them to check whether a fit is of the present data: `make fit` before it skips a fit,
`make plan` before it counts one, before jobs are submitted, and `make evaluate` before it scores
one. Times of files cannot be used, since copies and restored files may have any.
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
    """Return the digests of files of responses, which are read in parallel.

    Parameters
    ----------
    subjects : sequence of Subject
        The subjects.
    split : str
        "train" or "test".
    hemispheres : sequence of str
        "lh", "rh" or both.

    Returns
    -------
    dict of (str, str) to str
        The sha256 in hexadecimal, by subject's name and hemisphere.

    Examples
    --------
    >>> digests = response_digests([Subject("data/subj01")])
    >>> sorted(digests)
    [('01', 'lh'), ('01', 'rh')]
    """
    pairs = list(product(subjects, hemispheres))
    files = [Path(str(subject.responses(h, split).filename)) for subject, h in pairs]
    digests = content_digests(files)
    return {(subject.name, h): value for (subject, h), value in zip(pairs, digests, strict=True)}


def pictures_digest(training: Sequence[str], test: Sequence[str]) -> str:
    """Return a digest of the pictures and their order.

    Parameters
    ----------
    training, test : sequence of str
        The sha256 of each row's picture, as returned by `Subject.picture_digests`.

    Returns
    -------
    str
        32 hexadecimal digits.

    Examples
    --------
    >>> subject = Subject("data/subj01")
    >>> len(pictures_digest(subject.picture_digests("train"), subject.picture_digests("test")))
    32
    """
    rows = ",".join([*training, "|", *test])
    return hashlib.sha256(rows.encode()).hexdigest()[:32]


def vertices_digest(vertices: NDArray[np.int64]) -> str:
    """Return a digest of a selection of vertices.

    Parameters
    ----------
    vertices : array of int (n_vertices,)
        The selected columns of the responses.

    Returns
    -------
    str
        16 hexadecimal digits.

    Examples
    --------
    >>> vertices_digest(np.array([0, 1, 5]))
    '0edfab8e23087dce'
    """
    return digest({"vertices": vertices.tolist()})

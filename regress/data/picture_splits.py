"""Which pictures are held out, and which fold a picture is in: by its content and a seed.

The place of a picture is a hash of its own content, so rows that show the same picture always fall
together, a picture held out for one subject is held out for all, and adding pictures moves none.
"""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from regress.errors import RegressError


def _places(pictures: Sequence[str], seed: int, purpose: str) -> NDArray[np.float64]:
    """Give each picture a place in [0, 1)."""
    hashes = (hashlib.sha256(f"{purpose}:{seed}:{name}".encode()).digest() for name in pictures)
    return np.array([int.from_bytes(h[:7]) / 256**7 for h in hashes])


def held_out(pictures: Sequence[str], share: float, seed: int) -> NDArray[np.bool_]:
    """Choose the pictures that the models are judged on.

    Parameters
    ----------
    pictures : sequence of str, length n_images
        The sha256 of each training row's picture.
    share : float
        The expected share that is held out, between 0 and 1.
    seed : int
        Another seed, another choice.

    Returns
    -------
    array of bool (n_images,)
        True where held out.

    Raises
    ------
    RegressError
        If nothing would be held out, or nothing left to train on.
    """
    mask: NDArray[np.bool_] = _places(pictures, seed, "heldout") < share
    if mask.sum() < 2 or (~mask).sum() < 2:
        raise RegressError(
            f"--heldout {share}: of {len(pictures)} training pictures {int(mask.sum())} would be "
            "held out; at least 2 must be held out and 2 left to train on: choose another share"
        )
    return mask


@dataclass(frozen=True)
class Division:
    """What each training picture of a subject is for.

    Attributes
    ----------
    held : array of bool (n_images,)
        The models are judged on it.
    inside : array of bool (n_images,)
        Models are fitted on it before they are judged.
    whole : array of bool (n_images,)
        Models are fitted on it before they predict the test pictures.
    unseen : frozenset of str
        Training pictures that are left out.
    """

    held: NDArray[np.bool_]
    inside: NDArray[np.bool_]
    whole: NDArray[np.bool_]
    unseen: frozenset[str]


def digest_pictures(pictures: Collection[str]) -> str:
    """Digest a set of pictures."""
    return hashlib.sha256(",".join(sorted(set(pictures))).encode()).hexdigest()[:32]


def divide(
    pictures: Sequence[str],
    share: float,
    seed: int,
    images: int | None = None,
    unseen: Collection[str] = (),
) -> Division:
    """Say what each training picture is for.

    Parameters
    ----------
    images : int, optional
        Fit on so many alone: the first that are not held out. Held-out pictures are the same then,
        but none of them is fitted on at the end.
    """
    held = held_out(pictures, share, seed)
    left_out = frozenset(unseen).intersection(pictures)
    whole = np.array([picture not in left_out for picture in pictures])
    inside = whole & ~held
    if images is None:
        return Division(held, inside, whole, left_out)
    rows = np.flatnonzero(inside)
    if not 2 <= images <= len(rows):
        raise RegressError(
            f"--images {images}: expected from 2 to {len(rows)}, which is how many of "
            f"{len(pictures)} training pictures are not held out"
        )
    first = np.zeros_like(inside)
    first[rows[:images]] = True
    return Division(held, first, first, left_out)


def stopping(pictures: Sequence[str], share: float, seed: int) -> NDArray[np.bool_]:
    """Choose the pictures that stop a training.

    Parameters
    ----------
    pictures : sequence of str, length n_images
        The sha256 of each row's picture, held-out ones left out.

    Returns
    -------
    array of bool (n_images,)
        True for these; at least 2 different pictures, since r needs two, even where the share is
        smaller. But for that, a picture that stops one training stops every other of this seed.
    """
    distinct = sorted(set(pictures))
    if len(distinct) < 4:
        raise RegressError(
            f"{len(distinct)} distinct pictures to train on, expected at least 4: 2 stop the "
            "training; take more, or none to stop it (--params.validation 0)"
        )
    places = _places(distinct, seed, "stopping")
    second, second_last = np.sort(places)[[1, -2]]
    below = (places <= second) | ((places < share) & (places < second_last))
    selection = dict(zip(distinct, below.tolist(), strict=True))
    return np.array([selection[picture] for picture in pictures])


def fold_numbers(pictures: Sequence[str], n_folds: int, seed: int) -> NDArray[np.int64]:
    """Deal the pictures to folds of as equal size as their repeats allow.

    Parameters
    ----------
    pictures : sequence of str, length n_images
        The sha256 of each row's picture.
    n_folds : int
        How many folds.
    seed : int
        Another seed, another deal.

    Returns
    -------
    array of int (n_images,)
        The fold of each row, 0 to n_folds - 1; rows of one picture share a fold.

    Raises
    ------
    RegressError
        If there are fewer distinct pictures than folds.
    """
    distinct = sorted(set(pictures))
    if len(distinct) < n_folds or n_folds < 2:
        raise RegressError(
            f"--folds {n_folds}: there are {len(distinct)} distinct pictures to deal; expected 2 "
            "folds or more, and a picture at least for each"
        )
    order = np.argsort(_places(distinct, seed, "folds"), kind="stable")
    fold = {distinct[place]: rank % n_folds for rank, place in enumerate(order)}
    return np.array([fold[name] for name in pictures], dtype=np.int64)

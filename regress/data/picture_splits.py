"""Choose held-out pictures, early-stopping pictures and folds by a picture's content and a seed.

The choice depends on a hash of the picture's content alone: rows that show the same picture stay
together, a picture held out for one subject is held out for all, and adding pictures moves none.
"""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from regress.errors import RegressError


def _hash_pictures(pictures: Sequence[str], seed: int, purpose: str) -> NDArray[np.float64]:
    """Hash each picture to a number in [0, 1)."""
    hashes = (hashlib.sha256(f"{purpose}:{seed}:{name}".encode()).digest() for name in pictures)
    return np.array([int.from_bytes(h[:7]) / 256**7 for h in hashes])


def held_out(pictures: Sequence[str], share: float, seed: int) -> NDArray[np.bool_]:
    """Choose the held-out pictures, which score the models.

    Parameters
    ----------
    pictures : sequence of str, length n_images
        The sha256 of each training row's picture.
    share : float
        The expected share that is held out, between 0 and 1.
    seed : int
        Seed of the choice.

    Returns
    -------
    array of bool (n_images,)
        Mask of the held-out pictures.

    Raises
    ------
    RegressError
        If fewer than two pictures would be held out, or left to train on.

    Examples
    --------
    >>> pictures = [f"{number:064x}" for number in range(100)]
    >>> int(held_out(pictures, share=0.1, seed=0).sum())
    12
    """
    mask: NDArray[np.bool_] = _hash_pictures(pictures, seed, "heldout") < share
    if mask.sum() < 2 or (~mask).sum() < 2:
        raise RegressError(
            f"--heldout {share}: of {len(pictures)} training pictures {int(mask.sum())} would be "
            "held out; at least 2 must be held out and 2 left to train on: choose another share"
        )
    return mask


@dataclass(frozen=True)
class Division:
    """The division of a subject's training pictures.

    Attributes
    ----------
    held : array of bool (n_images,)
        Held-out pictures, which score the models.
    inside : array of bool (n_images,)
        Pictures of the first fit, which predicts the held-out pictures.
    whole : array of bool (n_images,)
        Pictures of the second fit, which predicts the test pictures.
    unseen : frozenset of str
        The sha256 of training pictures that are left out of both.
    """

    held: NDArray[np.bool_]
    inside: NDArray[np.bool_]
    whole: NDArray[np.bool_]
    unseen: frozenset[str]


def digest_pictures(pictures: Collection[str]) -> str:
    """Return a digest of a set of pictures."""
    return hashlib.sha256(",".join(sorted(set(pictures))).encode()).hexdigest()[:32]


def divide(
    pictures: Sequence[str],
    share: float,
    seed: int,
    images: int | None = None,
    unseen: Collection[str] = (),
) -> Division:
    """Divide the training pictures.

    Parameters
    ----------
    images : int, optional
        Number of pictures of both fits, the first that are not held out. The held-out pictures do
        not depend on it, but the second fit does not use them either.
    unseen : collection of str
        The sha256 of pictures to leave out of both fits.
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
    """Choose the validation pictures that stop a training early.

    Parameters
    ----------
    pictures : sequence of str, length n_images
        The sha256 of each row's picture, without held-out pictures.

    Returns
    -------
    array of bool (n_images,)
        Mask of the chosen pictures: the same in every training with this seed, but at least two
        distinct ones whatever the share, as a correlation needs two.
    """
    distinct = sorted(set(pictures))
    if len(distinct) < 4:
        raise RegressError(
            f"{len(distinct)} distinct pictures to train on, expected at least 4: 2 stop the "
            "training; take more, or none to stop it (--params.validation 0)"
        )
    hashes = _hash_pictures(distinct, seed, "stopping")
    second, second_last = np.sort(hashes)[[1, -2]]
    below = (hashes <= second) | ((hashes < share) & (hashes < second_last))
    selection = dict(zip(distinct, below.tolist(), strict=True))
    return np.array([selection[picture] for picture in pictures])


def fold_numbers(pictures: Sequence[str], n_folds: int, seed: int) -> NDArray[np.int64]:
    """Assign the pictures to folds of equal size, as far as repeated pictures allow.

    Parameters
    ----------
    pictures : sequence of str, length n_images
        The sha256 of each row's picture.
    n_folds : int
        Number of folds.
    seed : int
        Seed of the assignment.

    Returns
    -------
    array of int (n_images,)
        The fold of each row, 0 to n_folds - 1; rows of one picture share a fold.

    Raises
    ------
    RegressError
        If there are fewer distinct pictures than folds.

    Examples
    --------
    >>> pictures = ["a", "b", "c", "d", "a", "b"]
    >>> folds = fold_numbers(pictures, n_folds=2, seed=0)
    >>> bool(folds[0] == folds[4])  # repeats of a picture
    True
    """
    distinct = sorted(set(pictures))
    if len(distinct) < n_folds or n_folds < 2:
        raise RegressError(
            f"--folds {n_folds}: there are {len(distinct)} distinct pictures; expected 2 folds or "
            "more, and at least one picture for each"
        )
    order = np.argsort(_hash_pictures(distinct, seed, "folds"), kind="stable")
    fold = {distinct[place]: rank % n_folds for rank, place in enumerate(order)}
    return np.array([fold[name] for name in pictures], dtype=np.int64)

"""Which pictures are held out, and which fold a picture is in: by its content and a seed.

The place of a picture is a hash of its own content, so rows that show the same picture always fall
together, a picture held out for one subject is held out for all, and adding pictures moves none.
"""

import hashlib
from collections.abc import Sequence

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
    chosen: NDArray[np.bool_] = _places(pictures, seed, "heldout") < share
    if chosen.sum() < 2 or (~chosen).sum() < 2:
        raise RegressError(
            f"--heldout {share}: of {len(pictures)} training pictures {int(chosen.sum())} would be "
            "held out; at least 2 must be held out and 2 left to train on: choose another share"
        )
    return chosen


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

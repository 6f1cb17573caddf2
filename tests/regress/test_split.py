"""Held-out pictures and folds: by content, reproducible, never split over a picture's repeats."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regress import RegressError, fold_numbers, held_out


def _names(count: int, start: int = 0) -> list[str]:
    return [hashlib.sha256(str(i).encode()).hexdigest() for i in range(start, start + count)]


@given(
    st.lists(st.integers(0, 40), min_size=60, max_size=200), st.integers(0, 5), st.integers(2, 6)
)
@settings(max_examples=50, deadline=None)
def test_rows_of_one_picture_share_a_fold(rows: list[int], seed: int, n_folds: int) -> None:
    pictures = [_names(41)[row] for row in rows]
    if len(set(pictures)) < n_folds:
        return
    folds = fold_numbers(pictures, n_folds, seed)
    for name in set(pictures):
        assert (
            len({fold for fold, other in zip(folds, pictures, strict=True) if other == name}) == 1
        )
    sizes = np.bincount([folds[pictures.index(name)] for name in set(pictures)], minlength=n_folds)
    assert sizes.max() - sizes.min() <= 1


def test_held_out_share_seed_and_subjects() -> None:
    pictures = _names(5000)
    chosen = held_out(pictures, 0.1, 0)
    assert 0.085 < chosen.mean() < 0.115
    assert (held_out(pictures, 0.1, 0) == chosen).all()
    assert (held_out(pictures, 0.1, 1) != chosen).any()
    # Another subject that saw half of them: the same pictures are held out.
    assert (held_out(pictures[::2], 0.1, 0) == chosen[::2]).all()


def test_too_few_pictures() -> None:
    with pytest.raises(RegressError, match=r"--folds 5: there are 3 distinct pictures"):
        fold_numbers(_names(3) * 4, 5, 0)
    with pytest.raises(RegressError, match=r"--heldout 0.0: .* at least 2 must be held out"):
        held_out(_names(50), 0.0, 0)
    with pytest.raises(RegressError, match=r"--heldout 1.0"):
        held_out(_names(50), 1.0, 0)

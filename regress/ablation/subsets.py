"""Fit subsets of the feature spaces, to see what each space contributes.

The moments of all spaces are computed once and cached; those of a subset are a slice of them. All
scores are of pictures that no fit has seen: test pictures or held-out ones.

References
----------
Lescroart, Stansbury, Gallant (2015). Fourier power, subjective distance, and object categories all
provide plausible models of BOLD responses in scene-selective visual areas. Frontiers in
Computational Neuroscience 9 (variance partitioning).
Hoffman (1960). The paramorphic representation of clinical judgment. Psychological Bulletin 57
(the product measure, of which himalaya's `correlation_score_split` is the correlation's form).
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from himalaya.backend import get_backend
from himalaya.scoring import correlation_score, correlation_score_split, r2_score
from numpy.typing import NDArray

from challenge import Subject
from regress.ablation.left_out_pictures import left_out_r2
from regress.ablation.moment_files import WIDTH, Batch, StoredMoments
from regress.backend import to_numpy
from regress.data.design import Design
from regress.data.picture_splits import fold_numbers, held_out
from regress.errors import RegressError
from regress.linear_model import ALPHAS
from regress.solvers.arguments import Splits
from regress.solvers.dual import Dual
from regress.solvers.eigen import WIDE_OF_SINGLE, with_enough_digits
from regress.solvers.forms import coefficients_of, name_form
from regress.solvers.moments import total
from regress.solvers.primal import Loaded, Primal
from regress.solvers.random_search import Rule, search

JOIN = "+"
# Most spaces of which all subsets are fitted: 8 have 255, which is still a readable table.
MAX_SPACES = 8
Subset = tuple[int, ...]


@dataclass(frozen=True)
class Scores:
    """Scores of one subset of the spaces, per vertex.

    Attributes
    ----------
    pearson_r : array (n_vertices,)
        Correlation with the responses.
    r2 : array (n_vertices,)
        1 - residual / total sum of squares of the responses; may be negative.
    product : array (n_spaces, n_vertices)
        The share of each space of the subset in the correlation; the sum is `pearson_r`.
    left_out : array (n_pictures, n_vertices)
        Change of `r2` without each picture, as `left_out_r2` computes it.
    """

    pearson_r: NDArray[np.float64]
    r2: NDArray[np.float64]
    product: NDArray[np.float64]
    left_out: NDArray[np.float64]


def list_subsets(spaces: Sequence[str], only: Sequence[str]) -> list[Subset]:
    """List the subsets to fit, as increasing numbers of spaces; the whole set is always the last.

    Parameters
    ----------
    only : sequence of str
        Subsets as SPACE+SPACE; every subset if empty.
    """
    numbers = range(len(spaces))
    if not only and len(spaces) > MAX_SPACES:
        raise RegressError(
            f"--spaces: {len(spaces)} spaces have {2 ** len(spaces) - 1} subsets; "
            f"name those to fit with --only, or give at most {MAX_SPACES} spaces"
        )
    if not only:
        return [c for size in numbers for c in combinations(numbers, size + 1)]
    selection = {tuple(numbers)}
    for item in only:
        # A name may contain the sign that joins names: match the longest name that fits.
        names = re.findall("|".join(re.escape(s) for s in sorted(spaces, key=len)[::-1]), item)
        if JOIN.join(names) != item:
            raise RegressError(
                f"--only {item}: expected names joined by {JOIN}, from {', '.join(spaces)}"
            )
        selection.add(tuple(sorted({spaces.index(name) for name in names})))
    return sorted(selection, key=lambda subset: (len(subset), subset))


class Ablation:
    """The fits of subsets of a subject's feature spaces.

    Parameters
    ----------
    design : Design
        The features.
    folder : Path
        The folder of the cached moments.
    heldout : float
        Share of training pictures that is held out.
    folds : int
        Folds of the cross-validation that chooses the penalties.
    seed : int
        Seed of the held-out pictures and of the folds.
    form : str
        The form of the solver: "primal", "dual" or "auto".
    split : str
        The pictures to score: "heldout" or "test".

    Attributes
    ----------
    rows : array of int64 (n_scored,)
        Rows of the scored pictures in the responses of their split.
    pictures : tuple of str (n_scored,)
        The sha256 of each row's picture.
    """

    def __init__(
        self,
        design: Design,
        folder: Path,
        heldout: float,
        folds: int,
        seed: int,
        form: str = "auto",
        split: str = "heldout",
    ) -> None:
        self.held = held_out(design.training_pictures, heldout, seed)
        self.bands, self._form_option = design.bands, form
        inside = design.train[~self.held]
        mean, scale = inside.mean(0, dtype=np.float64), inside.std(0, dtype=np.float64)
        scale[scale <= np.finfo(np.float32).eps * np.abs(mean)] = 1
        backend = get_backend()
        self.X = backend.asarray(((inside - mean) / scale).astype(np.float32))
        if split == "test":
            self.rows, scored = np.arange(len(design.test)), design.test
            self.pictures = tuple(design.test_pictures)
        else:
            self.rows, scored = np.flatnonzero(self.held), design.train[self.held]
            self.pictures = tuple(design.training_pictures[row] for row in self.rows)
        self.X_scored = backend.asarray(((scored - mean) / scale).astype("f4"))
        pictures = [
            p for p, out in zip(design.training_pictures, self.held, strict=True) if not out
        ]
        number = fold_numbers(pictures, folds, seed)
        self.splits = Splits(
            [np.flatnonzero(number != f) for f in range(folds)],
            [np.flatnonzero(number == f) for f in range(folds)],
            len(inside),
        )
        depends = {"pictures": design.pictures_digest, "heldout": heldout}
        self.stored = StoredMoments(
            folder,
            {**depends, "folds": folds, "seed": seed},
            design.band_keys,
            self.X,
            self.bands,
            self.splits,
        )

    def batches(self, subject: Subject, hemisphere: str, digest: str) -> list[Batch]:
        """Divide a hemisphere into batches of vertices."""
        responses = subject.responses(hemisphere)

        def reader(vertices: slice) -> Callable[[], NDArray[np.float32]]:
            return lambda: np.array(responses[:, vertices], np.float32)[~self.held]

        n_vertices = responses.shape[1]
        slices = [slice(s, min(s + WIDTH, n_vertices)) for s in range(0, n_vertices, WIDTH)]
        return [Batch(hemisphere, digest, batch, reader(batch)) for batch in slices]

    def is_dual(self, numbers: Subset) -> bool:
        """Return whether a subset is fitted in the dual form, which needs no moments."""
        n_features = int(np.isin(self.bands, numbers).sum())
        return name_form(self._form_option, self.splits.n, n_features) == "dual"

    def form(self, numbers: Subset) -> Primal | Dual:
        """Return the solver of a subset: the part of its fit that does not depend on vertices."""
        columns = self._columns(numbers)
        name = "dual" if self.is_dual(numbers) else "primal"
        single_weight = get_backend().asarray(np.ones((1, 1)), dtype="float64")
        X = with_enough_digits(self.X[:, columns], name, True, single_weight, min(ALPHAS))
        if name == "dual":
            return Dual(X, self.splits, True, r2_score, columns * 0, WIDE_OF_SINGLE)
        # The cached moments were summed in float32.
        held = self.stored.features(numbers) if X.dtype == self.X.dtype else None
        return Primal(X, self.splits, True, r2_score, columns * 0, held, WIDE_OF_SINGLE)

    def fit(
        self, form: Primal | Dual, numbers: Subset, batch: Batch, measured: NDArray[np.float32]
    ) -> Scores:
        """Fit a subset on a batch, and score it on `measured` responses (n_scored, n_vertices)."""
        backend = get_backend()
        loaded = self._load(form, numbers, batch)
        single_weight = backend.asarray(np.ones((1, 1)), dtype="float64")
        penalties = backend.asarray(np.array(ALPHAS), dtype="float64")
        best = search(form, loaded, measured.shape[1], single_weight, penalties, Rule())
        coefficients = coefficients_of(form, loaded, single_weight, best.weighting, best.alphas)
        intercept = backend.asarray_like(form.intercept(loaded, coefficients), self.X)
        coefficients = backend.asarray_like(coefficients, self.X)
        Y = backend.asarray(measured)
        spaces = self.bands[np.isin(self.bands, numbers)]
        predictions = [
            self.X_scored[:, self._columns((number,))]
            @ coefficients[backend.asarray(np.flatnonzero(spaces == number))]
            for number in numbers
        ]
        summed = sum(predictions)
        predicted = summed + intercept
        return Scores(
            # Without the intercept, next to which a weak prediction would lose its digits.
            to_numpy(correlation_score(Y, summed)),
            to_numpy(r2_score(Y, predicted)),
            to_numpy(correlation_score_split(Y, backend.stack(predictions))),
            left_out_r2(measured, to_numpy(predicted), self.pictures),
        )

    def _load(self, form: Primal | Dual, numbers: Subset, batch: Batch) -> Any:
        if isinstance(form, Dual) or form.X.dtype != self.X.dtype:
            return form.load(get_backend().asarray(batch.inside(), dtype=form.X.dtype))
        held, centre = self.stored.responses(batch, numbers)
        Y = get_backend().asarray(batch.inside()) if any(form.predict) else None
        return Loaded(held, [None] * len(held), total(held), Y, centre)

    def _columns(self, numbers: Subset) -> Any:
        return get_backend().asarray(np.flatnonzero(np.isin(self.bands, numbers)))

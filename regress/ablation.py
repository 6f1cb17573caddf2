"""What each feature space contributes: every subset of the spaces, fitted on shared sums.

The sums over pictures (or the kernels between them) of all spaces are formed once; a subset of the
spaces is a slice of them. All figures are of held-out pictures, which no fit has seen.

References
----------
Lescroart, Stansbury, Gallant (2015). Fourier power, subjective distance, and object categories all
provide plausible models of BOLD responses in scene-selective visual areas. Frontiers in
Computational Neuroscience 9 (variance partitioning).
Hoffman (1960). The paramorphic representation of clinical judgment. Psychological Bulletin 57
(the product measure, of which himalaya's `correlation_score_split` is the correlation's form).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from himalaya.backend import get_backend
from himalaya.scoring import correlation_score, correlation_score_split, r2_score
from numpy.typing import NDArray

from regress.design import Design
from regress.device import to_numpy
from regress.errors import RegressError
from regress.forms import choose_form, coefficients_of
from regress.linear import ALPHAS
from regress.search import Rule, search
from regress.split import fold_numbers, held_out
from regress.splits import Splits

JOIN = "+"


@dataclass(frozen=True)
class Scores:
    """Scores of one subset of the spaces, per vertex.

    Attributes
    ----------
    pearson_r : array (n_vertices,)
        Correlation with the held-out responses.
    r2 : array (n_vertices,)
        1 - residual / total sum of squares on the held-out responses; may be negative.
    product : array (n_spaces, n_vertices)
        What each space of the subset adds to the correlation; the sum is `pearson_r`.
    """

    pearson_r: NDArray[np.float64]
    r2: NDArray[np.float64]
    product: NDArray[np.float64]


def subsets(spaces: Sequence[str], listed: Sequence[str]) -> list[tuple[int, ...]]:
    """Give the subsets to fit, as numbers of spaces.

    Parameters
    ----------
    spaces : sequence of str
        All feature spaces.
    listed : sequence of str
        Subsets as "a+b"; none for every subset.

    Returns
    -------
    list of tuple of int
        Each increasing; the whole set is always among them, last.

    Raises
    ------
    RegressError
        If a listed subset names a space that is not there.
    """
    numbers = range(len(spaces))
    every = [c for size in numbers for c in combinations(numbers, size + 1)]
    if not listed:
        return every
    chosen = set()
    for item in listed:
        names = item.split(JOIN)
        unknown = [name for name in names if name not in spaces]
        if unknown:
            raise RegressError(
                f"--only {item}: no space {', '.join(unknown)} among {', '.join(spaces)}"
            )
        chosen.add(tuple(sorted(spaces.index(name) for name in names)))
    return [c for c in every if c in chosen or c == every[-1]]


class Ablation:
    """The fits of subsets of a subject's feature spaces.

    Parameters
    ----------
    design : Design
        The features.
    heldout : float
        Share of training pictures that is held out.
    folds : int
        Folds that choose the penalty.
    seed : int
        Of both.
    form : str
        "primal", "dual" or "auto".
    """

    def __init__(
        self, design: Design, heldout: float, folds: int, seed: int, form: str = "auto"
    ) -> None:
        self.held = held_out(design.training_pictures, heldout, seed)
        inside = design.train[~self.held]
        mean, scale = inside.mean(0, dtype=np.float64), inside.std(0, dtype=np.float64)
        scale[scale <= np.finfo(np.float32).eps * np.abs(mean)] = 1
        backend = get_backend()
        X = backend.asarray(((inside - mean) / scale).astype(np.float32))
        self.X_held = backend.asarray(((design.train[self.held] - mean) / scale).astype("f4"))
        pictures = [
            p for p, out in zip(design.training_pictures, self.held, strict=True) if not out
        ]
        number = fold_numbers(pictures, folds, seed)
        splits = Splits(
            [np.flatnonzero(number != f) for f in range(folds)],
            [np.flatnonzero(number == f) for f in range(folds)],
            len(inside),
        )
        bands = backend.asarray(design.bands)
        self.form = choose_form(form, X, bands, splits, True, r2_score)

    def fit(
        self, responses: NDArray[np.float32], wanted: Sequence[tuple[int, ...]]
    ) -> Iterator[Scores]:
        """Fit every subset on a batch of vertices, and score it on the held-out pictures.

        Parameters
        ----------
        responses : array (n_images, n_vertices)
            Of all training pictures.
        wanted : sequence of tuple of int
            The subsets.

        Yields
        ------
        Scores
            One a subset, in order.
        """
        backend = get_backend()
        loaded = self.form.load(backend.asarray(responses[~self.held]))
        measured = backend.asarray(responses[self.held])
        one = backend.asarray(np.ones((1, 1)), dtype="float64")
        penalties = backend.asarray(np.array(ALPHAS), dtype="float64")
        for numbers in wanted:
            form, columns = self.form.keep(numbers)
            part: Any = self.form.keep_loaded(loaded, columns)
            found = search(form, part, measured.shape[1], one, penalties, Rule())
            coefficients = coefficients_of(form, part, one, found.weighting, found.alphas)
            intercept = form.intercept(part, coefficients)
            bands = self.form.bands[columns]
            each = [
                self.X_held[:, columns][:, bands == number] @ coefficients[bands == number]
                for number in numbers
            ]
            summed = sum(each)
            parts = backend.stack(each)
            yield Scores(
                # Without the intercept, beside which a weak prediction would lose its digits.
                to_numpy(correlation_score(measured, summed)),
                to_numpy(r2_score(measured, summed + intercept)),
                to_numpy(correlation_score_split(measured, parts)),
            )

"""Seconds as a sum of the terms that arithmetic says they grow by, fitted to what was measured."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from benchmarks.scale.data import Size
from benchmarks.scale.sweeps import Point

Terms = Callable[[Size, int], dict[str, float]]


@dataclass(frozen=True)
class Model:
    """What a stage takes, as a sum of terms with factors that are not negative.

    Attributes
    ----------
    terms : callable
        Takes the size and the number of fits; gives the terms, by name.
    factors : dict of str to float
        Seconds for one of each.
    typical, worst : float
        By what share it misses what it was fitted to: the median, and the most.
    """

    terms: Terms
    factors: dict[str, float]
    typical: float
    worst: float

    def seconds(self, size: Size, fits: int = 1) -> float:
        """Say what work should take.

        Parameters
        ----------
        size : Size
            How much.
        fits : int
            How many fits are scored.

        Returns
        -------
        float
            Seconds.
        """
        return sum(self.factors[name] * value for name, value in self.terms(size, fits).items())


def fit_model(terms: Terms, points: Sequence[Point]) -> Model:
    """Fit the factors, so that relative errors are small.

    Parameters
    ----------
    terms : callable
        As of `Model`.
    points : sequence of Point
        What was measured.

    Returns
    -------
    Model
        Fitted.
    """
    rows = [terms(point.size, point.options.get("fits", 1)) for point in points]
    names = sorted({name for row in rows for name in row})
    A = np.array([[row.get(name, 0.0) for name in names] for row in rows])
    seconds = np.array([point.seconds for point in points])
    largest = A.max(0)
    relative = A / largest / seconds[:, None]
    factors = nnls(relative, np.ones(len(points)))[0] / largest
    missed = np.abs(A @ factors / seconds - 1)
    of = dict(zip(names, map(float, factors), strict=True))
    return Model(terms, of, float(np.median(missed)), float(missed.max()))


def ridge_terms(size: Size, _: int) -> dict[str, float]:
    """Give the products and decompositions of ridge regression, and reading and writing.

    Parameters
    ----------
    size : Size
        How much.

    Returns
    -------
    dict of str to float
        n pictures, p columns, v vertices; the form is dual where p exceeds n.
    """
    n, p, v, s = 0.9 * size.train, size.columns, size.vertices, size.subjects
    both = {"subject": s, "vp": s * v * p, "vn": s * v * n, "model": 2 * s * size.rois}
    if p > n:
        return both | {"nnp": s * n * n * p, "nnn": s * n**3, "vnn": s * v * n * n}
    return both | {
        "npp": s * n * p * p,
        "ppp": s * p**3,
        "vnp": s * v * n * p,
        "vpp": s * v * p * p,
    }


def scoring_terms(size: Size, fits: int) -> dict[str, float]:
    """Give what scoring grows by.

    Parameters
    ----------
    size : Size
        How much.
    fits : int
        How many are scored, beside their ensemble.

    Returns
    -------
    dict of str to float
        By subjects, vertices, pictures, ROIs and fits.
    """
    s, v = size.subjects, size.vertices
    return {
        "command": 1.0,
        "subject": s,
        "vertices": s * v * (fits + 1),
        "cells": s * v * size.test * (fits + 1),
        "models": s * size.rois * (fits + 1),
    }

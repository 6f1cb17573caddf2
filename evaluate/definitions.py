"""What "noise-normalised" means elsewhere, each by its name, and never mixed with the score.

A definition pools the vertices of one or more subjects in its own way, from r and the ceiling.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from base import choose_from
from evaluate.errors import EvaluateError

Part = tuple[NDArray[np.float64], NDArray[np.float64]]
"""r and the noise ceiling of some vertices of one subject, each array (n_vertices,)."""

RELIABLE = 0.3
"""Brain-Score's Allen2022 benchmarks keep vertices whose ceiling is above this."""


def algonauts2021(parts: Sequence[Part]) -> float | None:
    """Average r / sqrt(reliability) over all vertices, as Algonauts 2021 did within a ROI.

    Parameters
    ----------
    parts : sequence of (array, array)
        r and noise ceiling, for each subject.

    Returns
    -------
    float or None
        The mean over vertices of ceilings above 0; None where there are none.

    References
    ----------
    As in `evaluate.metrics.algonauts2021`.
    """
    r, ceiling = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    kept = ceiling > 0
    return float(np.mean(r[kept] / np.sqrt(ceiling[kept]))) if kept.any() else None


def brainscore_allen2022(parts: Sequence[Part]) -> float | None:
    """Square the median r over the median ceiling, as Brain-Score's Allen2022 benchmarks do.

    Vertices of a ceiling of at most 30 % are dropped. For each subject, the median r is divided
    by the median of the vertices' reliability and squared; subjects are averaged. The reliability
    there is a split half's, corrected by Spearman and Brown; here it is the noise ceiling, which
    estimates the same. It is not a share: a perfect model has r = sqrt(NC), and so about 1 / NC.

    Parameters
    ----------
    parts : sequence of (array, array)
        r and noise ceiling, for each subject.

    Returns
    -------
    float or None
        The mean over subjects that have such vertices; None where none has.

    References
    ----------
    Brain-Score, `brainscore_vision/benchmarks/allen2022_fmri/benchmark.py` and
    `brainscore_vision/benchmark_helpers/neural_common.py`.
    """
    ceiled = [
        (np.median(r[kept]) / np.median(ceiling[kept])) ** 2
        for r, ceiling in parts
        if (kept := ceiling > RELIABLE).any()
    ]
    return float(np.mean(ceiled)) if ceiled else None


DEFINITIONS: dict[str, Callable[[Sequence[Part]], float | None]] = {
    "algonauts2021": algonauts2021,
    "brainscore_allen2022": brainscore_allen2022,
}
EXPLAINED = {
    "algonauts2021": "mean over vertices of r / sqrt(noise ceiling)",
    "brainscore_allen2022": "(median r / median noise ceiling)^2 over vertices of ceilings above "
    "30 %, mean of subjects",
}


def check_known(names: Sequence[str]) -> None:
    """Refuse names that are no definition.

    Parameters
    ----------
    names : sequence of str
        What was asked for.

    Raises
    ------
    EvaluateError
        If one is unknown.
    """
    if wrong := [name for name in names if name not in DEFINITIONS]:
        raise EvaluateError(
            f"unknown definition {', '.join(wrong)}: {choose_from(wrong[0], DEFINITIONS)}"
        )

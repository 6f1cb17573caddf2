"""Definitions of "noise-normalised" in other benchmarks, which are never mixed with the score.

A definition pools the vertices of one or more subjects in its own way, from r and the ceiling.
`SOURCES` names where each was read, in which revision, and of which date.
"""

from collections.abc import Callable, Sequence

import numpy as np

from base import choose_from
from challenge import has_ceiling
from evaluate.arrays import Floats
from evaluate.errors import EvaluateError

Part = tuple[Floats, Floats]
"""r and the noise ceiling of some vertices of one subject, each array (n_vertices,)."""

RELIABLE = 0.3
"""Brain-Score's Allen2022 benchmarks keep vertices whose ceiling is above this."""


def algonauts2021(parts: Sequence[Part]) -> float | None:
    """Return the mean of r / sqrt(reliability) over all vertices, as Algonauts 2021 had in a ROI.

    There the vertices were voxels of significant reliability, and the leaderboard's figure was the
    mean of the ROIs' figures.

    `parts`: r and noise ceiling, for each subject. Returns the mean over vertices of ceilings above
    0; None where there are none.

    References
    ----------
    As in `evaluate.metrics.algonauts2021`.
    """
    r, ceiling = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    mask = has_ceiling(ceiling)
    return float(np.mean(r[mask] / np.sqrt(ceiling[mask]))) if mask.any() else None


def brainscore_allen2022(parts: Sequence[Part]) -> float | None:
    """Return the squared median r over the median ceiling, as Brain-Score's Allen2022 has it.

    Vertices of a ceiling of at most 30 % are dropped. For each subject, the median r is squared and
    divided by the median of the vertices' reliability; subjects are averaged. The reliability
    there is a split half's, corrected by Spearman and Brown; here it is the noise ceiling, which
    estimates the same. A perfect model, of r = sqrt(NC), has 1.

    `parts`: r and noise ceiling, for each subject. Returns the mean over subjects that have such
    vertices; None where none has.

    References
    ----------
    Brain-Score, github.com/brain-score/vision: `benchmarks/allen2022_fmri/benchmark.py` (added on
    2026-03-19 in f2ded55c), `metrics/regression_correlation/metric.py` (the median), and
    `explained_variance` in `benchmark_helpers/neural_common.py`, which divides r^2 by the ceiling
    since e376e306 of 2026-01-13. The square of r over the ceiling, which it gave before, was never
    that of these benchmarks.
    """
    ratios = [
        np.median(r[mask]) ** 2 / np.median(ceiling[mask])
        for r, ceiling in parts
        if (mask := ceiling > RELIABLE).any()
    ]
    return float(np.mean(ratios)) if ratios else None


DEFINITIONS: dict[str, Callable[[Sequence[Part]], float | None]] = {
    "algonauts2021": algonauts2021,
    "brainscore_allen2022": brainscore_allen2022,
}
EXPLAINED = {
    "algonauts2021": "mean over vertices of r / sqrt(noise ceiling)",
    "brainscore_allen2022": "(median r)^2 / median noise ceiling over vertices of ceilings above "
    "30 %, mean of subjects",
}
SOURCES = {
    "algonauts2021": "competitions.codalab.org/competitions/30930, 2021",
    "brainscore_allen2022": "github.com/brain-score/vision f2ded55c, 2026-03-19",
}


def check_definitions(names: Sequence[str]) -> None:
    """Raise an error for names that are not in `DEFINITIONS`."""
    if wrong := [name for name in names if name not in DEFINITIONS]:
        raise EvaluateError(
            f"unknown definition {', '.join(wrong)}: {choose_from(wrong[0], DEFINITIONS)}"
        )

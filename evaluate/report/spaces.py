"""Which feature space predicts best where."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from challenge import HEMISPHERES, Subject
from evaluate.scoring.hemisphere_rows import roi_rank
from evaluate.tables.scores_figure import COLOURS

# For each subject, space and hemisphere, r of a model on this space alone.
Alone = Mapping[str, Mapping[str, Mapping[str, NDArray[Any]]]]


def winners(subjects: Sequence[Subject], alone: Alone) -> dict[str, Any] | None:
    """Count, per ROI, the vertices that each space alone predicts best.

    Parameters
    ----------
    alone : mapping
        By subject, space and hemisphere, Pearson's r of each vertex.

    Returns
    -------
    dict or None
        `spaces` with their colours, and `rois`: for each, the share of vertices and the mean r of
        every space; None where no two spaces can be compared.
    """
    spaces = list(dict.fromkeys(space for one in alone.values() for space in one))
    if len(spaces) < 2:
        return None
    wins: dict[tuple[str, str], Any] = defaultdict(lambda: np.zeros(len(spaces)))
    sums: dict[tuple[str, str], Any] = defaultdict(lambda: np.zeros(len(spaces)))
    counts: dict[tuple[str, str], int] = defaultdict(int)
    for subject in subjects:
        for hemisphere in HEMISPHERES:
            each = [alone.get(subject.name, {}).get(s, {}).get(hemisphere) for s in spaces]
            if any(r is None for r in each):
                continue
            r = np.stack([np.asarray(one, float) for one in each if one is not None])
            known = np.isfinite(r).all(0)
            for roi in subject.regions(hemisphere):
                vertices = roi.vertices[known[roi.vertices]]
                key = (roi.roi_class, roi.name)
                wins[key] += np.bincount(r[:, vertices].argmax(0), minlength=len(spaces))
                sums[key] += r[:, vertices].sum(1)
                counts[key] += len(vertices)
    return {
        "spaces": [{"name": s, "colour": COLOURS[i % len(COLOURS)]} for i, s in enumerate(spaces)],
        "rois": [
            {
                "roi_class": key[0],
                "roi": key[1],
                "n": counts[key],
                "share": [float(v) / counts[key] for v in wins[key]],
                "r": [float(v) / counts[key] for v in sums[key]],
            }
            for key in sorted(counts, key=lambda roi: roi_rank(*roi))
            if counts[key]
        ],
    }

"""The feature space that predicts best, per ROI."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from challenge import HEMISPHERES, Subject
from evaluate.arrays import Array
from evaluate.scoring.hemisphere_rows import roi_rank
from evaluate.tables.scores_figure import COLOURS

# For each subject, space and hemisphere, r of a model on this space alone.
Alone = Mapping[str, Mapping[str, Mapping[str, Array]]]


def winners(subjects: Sequence[Subject], alone: Alone) -> dict[str, Any] | None:
    """Count, per ROI, the vertices that each space alone predicts best.

    The result has `spaces` with their colours, and `rois`, each with the share of vertices and the
    mean r of every space. It is None if no two spaces can be compared.
    """
    spaces = list(dict.fromkeys(space for by_space in alone.values() for space in by_space))
    if len(spaces) < 2:
        return None
    wins: dict[tuple[str, str], Any] = defaultdict(lambda: np.zeros(len(spaces)))
    sums: dict[tuple[str, str], Any] = defaultdict(lambda: np.zeros(len(spaces)))
    counts: dict[tuple[str, str], int] = defaultdict(int)
    for subject in subjects:
        for hemisphere in HEMISPHERES:
            columns = [alone.get(subject.name, {}).get(s, {}).get(hemisphere) for s in spaces]
            if any(column is None for column in columns):
                continue
            r = np.stack([np.asarray(column, float) for column in columns if column is not None])
            is_finite = np.isfinite(r).all(0)
            for roi in subject.regions(hemisphere):
                vertices = roi.vertices[is_finite[roi.vertices]]
                key = (roi.roi_class, roi.name)
                wins[key] += np.bincount(r[:, vertices].argmax(0), minlength=len(spaces))
                sums[key] += r[:, vertices].sum(1)
                counts[key] += len(vertices)
    rois = []
    for key in sorted(counts, key=lambda roi: roi_rank(*roi)):
        if n := counts[key]:
            share, r = (wins[key] / n).tolist(), (sums[key] / n).tolist()
            rois.append({"roi_class": key[0], "roi": key[1], "n": n, "share": share, "r": r})
    colours = [COLOURS[i % len(COLOURS)] for i in range(len(spaces))]
    names = [{"name": s, "colour": c} for s, c in zip(spaces, colours, strict=True)]
    return {"spaces": names, "rois": rois}

"""Small maps of Pearson's r, one for each model, on one scale of colours."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from evaluate.arrays import Indices
from evaluate.fits.runs import Run
from evaluate.maps.camera import RenderedView, render_views
from evaluate.maps.paint import Map, maps_of, paint
from evaluate.maps.shown_subjects import measured_vertices
from evaluate.maps.surface import Mesh
from evaluate.maps.values import SubjectValues
from evaluate.report.brain import bar
from evaluate.report.examples import encode
from evaluate.scoring.score_report import ScoreReport

# Pixels: width of a flat map before it is cropped to the measured vertices, margin around these,
# and gap between the hemispheres.
WIDTH, AROUND, GAP = 280, 4, 8


def multiples(
    values_by_run: Mapping[str, Sequence[SubjectValues]],
    subject_values: Sequence[SubjectValues],
    runs: Sequence[Run],
    report: ScoreReport,
    rows: Mapping[str, str],
    mesh: Mesh,
) -> dict[str, Any]:
    """Paint the map of r of every model, the best first, all in the limits of `subject_values`.

    Outlines would hide too much of maps this small; the larger maps of the ensemble have them. The
    result has `bar` and `panels`: for each subject and run `subject`, `row`, `title`, `differs`,
    `r` (the mean over all vertices), `width`, `height`, `png` in base64 and `alt`.
    """
    focus = measured_vertices(subject_values)
    views = [
        _cut(view, focus[view.hemisphere]) for view in render_views(mesh, WIDTH, focus, ("flat",))
    ]
    means = _means(report.frame)
    panels, brain_map = [], None
    for name in dict.fromkeys(subject.subject for subject in subject_values):
        subject_panels = []
        for run in runs:
            for subject in values_by_run[run.name]:
                if subject.subject == name:
                    brain_map = _map_of_r(subject, subject_values)
                    r = means.get((run.name, "all" if name == "mean" else name))
                    row = rows.get(run.name, "")
                    subject_panels.append(_panel(views, brain_map, subject, run, r, row))
        # Runs whose r has no mean come last, in their order.
        panels += sorted(subject_panels, key=lambda panel: 2 if panel["r"] is None else -panel["r"])
    assert brain_map is not None
    return {"bar": bar(brain_map), "panels": panels}


def _cut(view: RenderedView, focus: Indices) -> RenderedView:
    rows, columns = np.nonzero(np.isin(view.vertex, focus))
    if not rows.size:
        return view
    part = tuple(
        slice(max(0, along.min() - AROUND), along.max() + AROUND + 1) for along in (rows, columns)
    )
    return replace(view, vertex=view.vertex[part], grey=view.grey[part], light=view.light[part])


def _map_of_r(subject: SubjectValues, subject_values: Sequence[SubjectValues]) -> Map:
    return next(
        brain_map for brain_map in maps_of(subject, subject_values) if brain_map.name == "r"
    )


def _means(frame: pd.DataFrame) -> dict[tuple[str, str], float]:
    whole = frame[(frame["hemisphere"] == "all") & (frame["roi_class"] == "all")]
    whole = whole[whole["pearson_r"].notna()]
    names = zip(whole["fit"], whole["subject"], strict=True)
    return dict(zip(names, whole["pearson_r"].astype(float), strict=True))


def _panel(
    views: Sequence[RenderedView],
    brain_map: Map,
    subject: SubjectValues,
    run: Run,
    r: float | None,
    row: str,
) -> dict[str, Any]:
    sides = [paint(view, brain_map, subject, outlined=False) for view in views]
    height = max(map(len, sides))
    between = np.zeros((height, GAP, 4), np.uint8)
    padded = [np.pad(side, ((0, height - len(side)), (0, 0), (0, 0))) for side in sides]
    image = Image.fromarray(np.hstack([padded[0], between, padded[1]]))
    values = np.concatenate(list(subject.r.values()))
    summary = f"median {np.nanmedian(values):.2f}" if np.isfinite(values).any() else "no values"
    return {
        "subject": subject.subject,
        "row": row,
        "title": run.title,
        "differs": run.differs,
        "r": r,
        "width": image.width,
        "height": image.height,
        "png": encode(image.quantize(64, Image.Quantize.FASTOCTREE), "PNG"),
        "alt": f"Pearson's r of {row or run.title}, both hemispheres flattened: {summary}",
    }

"""Predicted against measured responses of the best vertex of each ROI, with the pictures."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from base import progress
from challenge import HEMISPHERES, Subject, load_rgb
from evaluate.arrays import Indices
from evaluate.fits.runs import RoiModel, Run
from evaluate.metrics._correlation import correlation
from evaluate.report.charts import scatter
from evaluate.scoring.hemisphere_rows import roi_rank
from evaluate.scoring.vertex_files import Vertices

N_PICTURES = 4
PIXELS = 128
QUALITY = 72


class _BestVertex(NamedTuple):
    """The best vertex of a ROI: its r, subject and hemisphere, and its column in the hemisphere."""

    r: float
    subject: Subject
    hemisphere: str
    column: int


def examples(
    subjects: Sequence[Subject], run: Run, vertices: Mapping[str, Vertices], split: str
) -> list[dict[str, Any]]:
    """Describe, for each ROI, the vertex that a run's own model of it predicts best.

    Each has `roi_class`, `roi`, `name` of the vertex, the number `n` of vertices from which it was
    chosen, its `r` and `ceiling`, the scatter as `svg`, and pictures of `highest` and `lowest`
    response.
    """
    models = {(m.meta["subject"], m.meta["hemisphere"], *m.roi_key): m for m in run.models}
    regions = _regions(subjects)
    rois = sorted(regions, key=lambda roi: roi_rank(*roi))
    entries = []
    for roi_class, roi in progress(rois, desc="choosing vertices", unit="ROI"):
        best, n = _best_vertex(regions[roi_class, roi], vertices)
        model = best and models.get((best.subject.name, best.hemisphere, roi_class, roi))
        if best and model:
            entries.append(
                {"roi_class": roi_class, "roi": roi, "n": n}
                | _describe_vertex(best, model, vertices[best.subject.name], split)
            )
    return entries


def _regions(
    subjects: Sequence[Subject],
) -> dict[tuple[str, str], list[tuple[Subject, str, Indices]]]:
    regions: dict[tuple[str, str], list[tuple[Subject, str, Indices]]] = {}
    for subject in subjects:
        for h in HEMISPHERES:
            for roi in subject.regions(h):
                key = (roi.roi_class, roi.name)
                regions.setdefault(key, []).append((subject, h, roi.vertices))
    return regions


def _best_vertex(
    regions: Sequence[tuple[Subject, str, Indices]], vertices: Mapping[str, Vertices]
) -> tuple[_BestVertex | None, int]:
    """Return the vertex of the greatest r, and the number of vertices that have an r."""
    best, n = None, 0
    for subject, h, columns in regions:
        hemispheres = vertices[subject.name].hemispheres if subject.name in vertices else {}
        if h not in hemispheres:
            continue
        r = np.where(hemispheres[h]["excluded"][columns], np.nan, hemispheres[h]["r"][columns])
        n += int(np.isfinite(r).sum())
        if not np.isfinite(r).any():
            continue
        place = int(np.nanargmax(r))
        if best is None or r[place] > best.r:
            best = _BestVertex(float(r[place]), subject, h, int(columns[place]))
    return best, n


def _describe_vertex(
    best: _BestVertex, model: RoiModel, vertices: Vertices, split: str
) -> dict[str, Any]:
    arrays = model.read("vertices", "heldout_rows")
    column = int(np.flatnonzero(arrays["vertices"] == best.column)[0])
    predicted = model.predictions(split)[:, column]
    picture_split = "test" if split == "test" else "train"
    rows = np.arange(len(predicted)) if split == "test" else arrays["heldout_rows"]
    measured = np.asarray(best.subject.responses(best.hemisphere, picture_split)[rows, best.column])
    files = [best.subject.pictures(picture_split)[row] for row in rows]
    r = float(correlation(measured[:, None], predicted[:, None])[0])
    name = f"vertex {best.column} of subject {best.subject.name}, {best.hemisphere}"
    ceiling = float(vertices.hemispheres[best.hemisphere]["ceiling"][best.column])
    order = np.argsort(measured, kind="stable")
    count = min(N_PICTURES, len(order) // 2)
    return {
        "name": name,
        "r": r,
        "ceiling": ceiling if np.isfinite(ceiling) else None,
        "svg": scatter(predicted, measured, {"name": name, "r": r, "roi": model.roi}),
        "highest": [_picture(files[i], measured[i], predicted[i]) for i in order[::-1][:count]],
        "lowest": [_picture(files[i], measured[i], predicted[i]) for i in order[:count]],
    }


def _picture(file: Path, measured: float, predicted: float) -> dict[str, Any]:
    small = load_rgb(file).resize((PIXELS, PIXELS), Image.Resampling.LANCZOS)
    return {
        "name": file.stem,
        "measured": float(measured),
        "predicted": float(predicted),
        "jpeg": encode(small, "JPEG", quality=QUALITY),
    }


def encode(image: Image.Image, kind: str, **options: Any) -> str:
    """Return an image as base64 text for the page."""
    buffer = BytesIO()
    image.save(buffer, kind, optimize=True, **options)
    return b64encode(buffer.getvalue()).decode("ascii")

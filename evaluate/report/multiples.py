"""Pearson's r at each vertex, the same small picture for every model, on one scale of colours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from evaluate.fits.runs import Run
from evaluate.maps.camera import Picture, photograph
from evaluate.maps.paint import Map, maps_of, paint
from evaluate.maps.shown_subjects import measured
from evaluate.maps.surface import Mesh
from evaluate.maps.values import Known
from evaluate.report.brain import bar
from evaluate.report.examples import encode

# Of a flat map, before what is around the measured vertices is cut off; what is left around them;
# between the hemispheres. Pixels.
WIDTH, AROUND, GAP = 280, 4, 8


def multiples(
    each: Mapping[str, Sequence[Known]],
    known: Sequence[Known],
    runs: Sequence[Run],
    frame: pd.DataFrame,
    rows: Mapping[str, str],
    mesh: Mesh,
) -> dict[str, Any]:
    """Paint the map of r of every model, the best first.

    Outlines would hide what is this small; the larger maps of the ensemble have them.

    Parameters
    ----------
    each : mapping of str to sequence of Known
        For each run, the mean and the subjects, or one subject alone.
    known : sequence of Known
        The same of the ensemble, whose limits of colours all maps of the page share.
    rows : mapping of str to str
        Which row of a study a run is, where it is one.

    Returns
    -------
    dict
        `bar`, and `panels`: for each subject and run `subject`, `row`, `title`, `differs`, `r` (the
        mean over all vertices), `width`, `height`, `png` in base64 and `alt`.
    """
    focus = measured(known)
    pictures = [_cut(one, focus[one.hemisphere])
                for one in photograph(mesh, WIDTH, focus, ("flat",))]  # fmt: skip
    means = _means(frame)
    panels, shown = [], None
    for whose in dict.fromkeys(one.subject for one in known):
        of_subject = []
        for run in runs:
            for one in each[run.name]:
                if one.subject == whose:
                    shown = _map_of_r(one, known)
                    r = means.get((run.name, "all" if whose == "mean" else whose))
                    of_subject.append(_panel(pictures, shown, one, run, r, rows.get(run.name, "")))
        # Where r has no mean at all, the order is that of the runs.
        panels += sorted(of_subject, key=lambda panel: -(-2 if panel["r"] is None else panel["r"]))
    assert shown is not None
    return {"bar": bar(shown), "panels": panels}


def _cut(picture: Picture, focus: NDArray[np.int64]) -> Picture:
    rows, columns = np.nonzero(np.isin(picture.vertex, focus))
    if not rows.size:
        return picture
    part = tuple(
        slice(max(0, along.min() - AROUND), along.max() + AROUND + 1) for along in (rows, columns)
    )
    return replace(
        picture, vertex=picture.vertex[part], grey=picture.grey[part], light=picture.light[part]
    )


def _map_of_r(one: Known, known: Sequence[Known]) -> Map:
    return next(shown for shown in maps_of(one, known) if shown.name == "r")


def _means(frame: pd.DataFrame) -> dict[tuple[str, str], float]:
    whole = frame[(frame["hemisphere"] == "all") & (frame["roi_class"] == "all")]
    whole = whole[whole["pearson_r"].notna()]
    names = zip(whole["fit"], whole["subject"], strict=True)
    return dict(zip(names, whole["pearson_r"].astype(float), strict=True))


def _panel(
    pictures: Sequence[Picture], shown: Map, known: Known, run: Run, r: float | None, row: str
) -> dict[str, Any]:
    sides = [paint(picture, shown, known, outlined=False) for picture in pictures]
    height = max(map(len, sides))
    between = np.zeros((height, GAP, 4), np.uint8)
    padded = [np.pad(side, ((0, height - len(side)), (0, 0), (0, 0))) for side in sides]
    image = Image.fromarray(np.hstack([padded[0], between, padded[1]]))
    values = np.concatenate(list(known.r.values()))
    told = f"median {np.nanmedian(values):.2f}" if np.isfinite(values).any() else "no values"
    return {
        "subject": known.subject,
        "row": row,
        "title": run.title,
        "differs": run.differs,
        "r": r,
        "width": image.width,
        "height": image.height,
        "png": encode(image.quantize(64, Image.Quantize.FASTOCTREE), "PNG"),
        "alt": f"Pearson's r of {row or run.title}, both hemispheres flattened: {told}",
    }

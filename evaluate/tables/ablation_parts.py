"""Tabulate and draw the contribution of each feature space, with intervals."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from base import provenance, replacing, run_hint, say
from cache import CacheError, read_artifact
from cache.records import AblationsRecord, load_record
from challenge import HEMISPHERES, Subject, SubjectChoice, find_subjects
from evaluate.errors import EvaluateError
from evaluate.fits.sidecar import write_csv, write_json
from evaluate.fits.up_to_date import ablation_inputs, changed_inputs
from evaluate.scoring.contributions import Part, contributions
from evaluate.tables.ablation_figure import draw_ablation
from evaluate.tables.ablation_table import describe, render

LAST = Path("ablations/last.h5")
# Subject, hemisphere, ROI class and ROI.
Place = tuple[str, str, str, str]


def tabulate_ablation(data: Path, out: Path, subject: SubjectChoice) -> None:
    """Tabulate and draw the last `make ablate`: ablation.csv, ablation.json, .png and .svg."""
    path = out / LAST
    if not path.is_file():
        raise EvaluateError(f"{path}: no such file: run `{run_hint('ablate')}` first")
    last_call = load_record(AblationsRecord, path, f"run `{run_hint('ablate')}` again")
    subjects = find_subjects(data, subject)
    parts = pool(subjects, last_call, out)
    frame = pd.DataFrame(_rows(parts, last_call))
    counts = {s.name: len(parts[s.name, "all", "all", "all"].pictures) for s in subjects}
    about = describe(subjects, last_call, counts) | {"provenance": provenance()}
    csv = out / "ablation.csv"
    write_csv(csv, frame)
    figures = [csv.with_suffix(suffix) for suffix in (".png", ".svg")]
    with replacing(figures[0]) as png, replacing(figures[1]) as svg:
        draw_ablation(frame, about, [png, svg])
    write_json(csv.with_suffix(".json"), about)
    say("\n".join([*render(frame, about), *(f"-> {file}" for file in (csv, *figures))]))


def pool(subjects: Sequence[Subject], last_call: AblationsRecord, out: Path) -> dict[Place, Part]:
    """Read every ROI, pool ROIs of a class, hemispheres and subjects, and sort for the table."""
    parts: dict[Place, Part] = {}
    for subject, hemisphere in product(subjects, HEMISPHERES):
        for (roi_class, roi), part in _read(subject, hemisphere, last_call, out).items():
            sides = product((subject.name, "all"), (hemisphere, "all"), dict.fromkeys((roi, "all")))
            for subject_name, side, name in sides:
                place = (subject_name, side, roi_class, name)
                parts[place] = part if place not in parts else parts[place] + part
    classes = list(dict.fromkeys(place[2] for place in parts))
    names = list(dict.fromkeys(place[2:] for place in parts if place[3] != "all"))

    def order(place: Place) -> tuple[Any, ...]:
        subject_name, side, roi_class, roi = place
        number = names.index((roi_class, roi)) if roi != "all" else 0
        roi_order = (roi_class == "all", classes.index(roi_class), roi == "all", number)
        side_order = [*HEMISPHERES, "all"].index(side)
        return subject_name == "all", subject_name, side_order, *roi_order

    return {place: parts[place] for place in sorted(parts, key=order)}


def _read(
    subject: Subject, hemisphere: str, last_call: AblationsRecord, out: Path
) -> dict[tuple[str, str], Part]:
    """Read the sums of every subset for each ROI class and ROI of a hemisphere."""
    names = last_call["files"].get(subject.name, {}).get(hemisphere)
    if names is None:
        raise EvaluateError(
            f"{out / LAST}: holds subjects {', '.join(last_call['files'])}, not {subject.name}: "
            f"run `{run_hint('ablate', subject=subject.name)}`, or `{run_hint('ablate')}` for all"
        )
    folder = out / "ablations" / f"subj{subject.name}"
    inputs = ablation_inputs(subject, hemisphere)
    subset_arrays = []
    for name in names:
        try:
            arrays, meta = read_artifact(folder / name)
        except CacheError as error:
            raise EvaluateError(f"{error}: run `{run_hint('ablate')}` again") from error
        if changed := changed_inputs(meta["key"], inputs):
            words = " and ".join(changed).replace("_", " ")
            raise EvaluateError(
                f"{folder / name}: {words} have changed since: run `{run_hint('ablate')}` again"
            )
        subset_arrays.append(arrays)
    parts = {}
    regions = {(roi.roi_class, roi.name): roi.vertices for roi in subject.regions(hemisphere)}
    for column, (roi_class, roi, n_vertices) in enumerate(meta["parts"]):
        columns: Any = regions.get((roi_class, roi), slice(None))
        parts[roi_class, roi] = Part(
            n_vertices,
            np.array([arrays["pearson_r"][columns].sum(dtype=float) for arrays in subset_arrays]),
            np.array([arrays["r2"][columns].sum(dtype=float) for arrays in subset_arrays]),
            subset_arrays[-1]["product"][:, columns].sum(axis=1, dtype=float),
            subset_arrays[-1]["pictures"],
            np.stack([arrays["left_out"][:, column] for arrays in subset_arrays]),
        )
    return parts


def _rows(parts: Mapping[Place, Part], last_call: AblationsRecord) -> Iterator[dict[str, Any]]:
    """Yield the rows of ablation.csv."""
    names, subsets = last_call["spaces"], last_call["subsets"]
    for place, part in parts.items():
        about = dict(zip(("subject", "hemisphere", "roi_class", "roi"), place, strict=True))
        for number, subset in enumerate(subsets):
            row = {**about, "n_vertices": part.n_vertices,
                   "spaces": "+".join(names[n] for n in subset), "split": last_call["split"],
                   "pearson_r": float(part.pearson_r[number]) / part.n_vertices}  # fmt: skip
            row |= part.interval("r2", np.eye(len(subsets))[number])
            if number == len(subsets) - 1:
                for name, weights in contributions(names, subsets).items():
                    row |= part.interval(name, weights)
                products = zip(names, part.product, strict=True)
                row |= {f"product:{name}": float(sum_) / part.n_vertices for name, sum_ in products}
            yield row

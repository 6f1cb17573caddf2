"""The table of an ablation: subsets that are there already are read, the others fitted and kept."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from base import progress, provenance, say, sha256_files
from cache import CacheError, digest, read_artifact, write_artifact
from challenge import HEMISPHERES, Subject
from regress.ablation import JOIN, Ablation, Scores
from regress.design import Design
from regress.linear import ALPHAS

# Responses and their sums that are in memory at once.
MEMORY = 1 << 30
FIELDS = ("pearson_r", "r2", "product")
Subset = tuple[int, ...]


@dataclass(frozen=True)
class Plan:
    """One subject's ablation.

    Attributes
    ----------
    subject : Subject
        The subject.
    design : Design
        Its features.
    wanted : sequence of tuple of int
        The subsets; the last is the whole.
    settings : dict
        `heldout`, `folds` and `seed`.
    folder : Path
        Where scores of subsets are kept: `derivatives/ablations`.
    """

    subject: Subject
    design: Design
    wanted: Sequence[Subset]
    settings: dict[str, Any]
    folder: Path

    def path(self, hemisphere: str, responses: str, numbers: Subset) -> Path:
        """Say where the scores of a subset are kept.

        Parameters
        ----------
        hemisphere : str
            "lh" or "rh".
        responses : str
            The sha256 of the responses' file.
        numbers : tuple of int
            The subset.

        Returns
        -------
        Path
            Named by a digest of all that the scores depend on; spaces beside the subset are not in
            it, so that a space more leaves the subsets without it valid.
        """
        key = {
            "schema": 1,
            "spaces": [self.design.keys[self.design.spaces[n]] for n in numbers],
            "pictures": self.design.pictures_digest,
            "responses": responses,
            "alphas": list(ALPHAS),
            **self.settings,
        }
        return self.folder / f"subj{self.subject.name}" / f"{hemisphere}-{digest(key)}.h5"


def ablate_subject(plan: Plan) -> pd.DataFrame:
    """Score every subset for all vertices of a subject, and average over its ROIs.

    Parameters
    ----------
    plan : Plan
        What to do.

    Returns
    -------
    DataFrame
        A row for each ROI x hemisphere and subset: `spaces`, `n_vertices`, the means `pearson_r`
        and `r2`, and for the whole set `unique:SPACE`, `shared` and `product:SPACE`.
    """
    rows: list[dict[str, Any]] = []
    shared: list[Ablation] = []

    def sums() -> Ablation:
        # Formed once, and only where a subset is missing.
        if not shared:
            shared.append(Ablation(plan.design, **plan.settings))
        return shared[0]

    for hemisphere in HEMISPHERES:
        scores = _scores(plan, hemisphere, sums)
        for roi in plan.subject.regions(hemisphere):
            about = {
                "subject": plan.subject.name,
                "hemisphere": hemisphere,
                "roi_class": roi.roi_class,
                "roi": roi.name,
                "n_vertices": len(roi.vertices),
            }
            for numbers, found in scores.items():
                row = {**about, "spaces": JOIN.join(plan.design.spaces[n] for n in numbers)}
                row["pearson_r"] = float(found.pearson_r[roi.vertices].mean())
                row["r2"] = float(found.r2[roi.vertices].mean())
                rows.append(row)
            rows[-1].update(_contributions(plan.design.spaces, scores, roi.vertices))
    return pd.DataFrame(rows)


def _scores(plan: Plan, hemisphere: str, sums: Callable[[], Ablation]) -> dict[Subset, Scores]:
    """Read the subsets that are kept; fit and keep the others."""
    file = Path(str(plan.subject.responses(hemisphere).filename))
    (responses,) = sha256_files([file])
    paths = {numbers: plan.path(hemisphere, responses, numbers) for numbers in plan.wanted}
    known: dict[Subset, Scores] = {}
    for numbers, path in paths.items():
        if path.exists():
            try:
                known[numbers] = Scores(**read_artifact(path, FIELDS)[0])
            except CacheError as error:
                say(f"{error}; it is fitted again")
    missing = [numbers for numbers in plan.wanted if numbers not in known]
    say(
        f"subj{plan.subject.name} {hemisphere}: {len(known)} subsets there already, "
        f"{len(missing)} to fit"
    )
    if missing:
        plan.subject.check_finite(hemisphere, "train")
        for numbers, found in zip(missing, _fit(plan, hemisphere, sums(), missing), strict=True):
            known[numbers] = found
            arrays = {name: getattr(found, name) for name in FIELDS}
            spaces = [plan.design.spaces[n] for n in numbers]
            meta = {"kind": "ablation", "spaces": spaces, "provenance": provenance()}
            write_artifact(paths[numbers], arrays, meta)
    return {numbers: known[numbers] for numbers in plan.wanted}


def _fit(
    plan: Plan, hemisphere: str, ablation: Ablation, missing: Sequence[Subset]
) -> list[Scores]:
    responses = plan.subject.responses(hemisphere)
    n_images, n_vertices = responses.shape
    step = max(1, MEMORY // max(ablation.form.bytes_per_vertex, 4 * n_images))
    parts: list[list[Scores]] = []
    label = f"subj{plan.subject.name} {hemisphere}"
    with progress(total=n_vertices * len(missing), desc=label, unit="fit") as bar:
        for start in range(0, n_vertices, step):
            batch = np.array(responses[:, start : start + step], np.float32)
            parts.append([])
            for scores in ablation.fit(batch, missing):
                parts[-1].append(scores)
                bar.update(batch.shape[1])
    return [
        Scores(*(np.concatenate([getattr(s, name) for s in same], -1) for name in FIELDS))
        for same in zip(*parts, strict=True)
    ]


def _contributions(
    spaces: Sequence[str], scores: dict[Subset, Scores], vertices: NDArray[np.int64]
) -> dict[str, float]:
    """Partition the whole set's R^2; what was not fitted is left out."""
    everything = tuple(range(len(spaces)))
    whole = scores[everything]
    full = float(whole.r2[vertices].mean())
    found: dict[str, float] = {}
    for number, name in enumerate(spaces):
        without = tuple(n for n in everything if n != number)
        if without in scores:
            found[f"unique:{name}"] = full - float(scores[without].r2[vertices].mean())
    if len(found) == len(spaces) > 1:
        found["shared"] = full - sum(found.values())
    for number, name in enumerate(spaces):
        found[f"product:{name}"] = float(whole.product[number][vertices].mean())
    return found

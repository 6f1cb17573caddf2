"""The table of an ablation: subsets that are there already are read, the others fitted and kept."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from base import progress, provenance, say, sha256_files
from cache import CacheError, digest, read_artifact, write_artifact
from challenge import HEMISPHERES, Subject
from challenge.inputs import check_values
from regress.ablation import JOIN, Ablation, Scores, Subset
from regress.design import Design
from regress.linear import ALPHAS

FIELDS = ("pearson_r", "r2", "product")
# A hemisphere and a subset.
Fit = tuple[str, Subset]


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

    def key(self, responses: str, numbers: Subset) -> dict[str, Any]:
        """Give all that the scores of a subset depend on.

        Parameters
        ----------
        responses : str
            The sha256 of the responses' file.
        numbers : tuple of int
            The subset.

        Returns
        -------
        dict
            Without the spaces beside the subset: a space more leaves those without it valid.
        """
        return {
            "schema": 1,
            "spaces": [self.design.band_keys[n] for n in numbers],
            "pictures": self.design.pictures_digest,
            "responses": responses,
            "alphas": list(ALPHAS),
            **self.settings,
        }

    def path(self, hemisphere: str, key: Mapping[str, Any]) -> Path:
        """Say where the scores of a subset are kept.

        Parameters
        ----------
        hemisphere : str
            "lh" or "rh".
        key : mapping
            Of `key`.

        Returns
        -------
        Path
            Named by a digest of the key.
        """
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
    scores = _scores(plan)
    rows: list[dict[str, Any]] = []
    for hemisphere in HEMISPHERES:
        for roi in plan.subject.regions(hemisphere):
            about = {
                "subject": plan.subject.name,
                "hemisphere": hemisphere,
                "roi_class": roi.roi_class,
                "roi": roi.name,
                "n_vertices": len(roi.vertices),
            }
            for numbers in plan.wanted:
                found = scores[hemisphere, numbers]
                row = {**about, "spaces": JOIN.join(plan.design.band_names[n] for n in numbers)}
                row["pearson_r"] = float(found.pearson_r[roi.vertices].mean())
                row["r2"] = float(found.r2[roi.vertices].mean())
                rows.append(row)
            rows[-1].update(
                _contributions(plan.design.band_names, scores, hemisphere, roi.vertices)
            )
    return pd.DataFrame(rows)


def _scores(plan: Plan) -> dict[Fit, Scores]:
    """Read the subsets that are kept; fit and keep the others."""
    known: dict[Fit, Scores] = {}
    responses = {}
    for hemisphere in HEMISPHERES:
        file = Path(str(plan.subject.responses(hemisphere).filename))
        (responses[hemisphere],) = sha256_files([file])
        for numbers in plan.wanted:
            path = plan.path(hemisphere, plan.key(responses[hemisphere], numbers))
            if path.exists():
                try:
                    known[hemisphere, numbers] = Scores(**read_artifact(path, FIELDS)[0])
                except CacheError as error:
                    say(f"{error}; it is fitted again")
    every = [(hemisphere, numbers) for hemisphere in HEMISPHERES for numbers in plan.wanted]
    missing = [fit for fit in every if fit not in known]
    say(
        f"subj{plan.subject.name}: {len(plan.wanted)} subsets x 2 hemispheres, {len(known)} fits "
        f"there already, {len(missing)} to fit"
    )
    if missing:
        for (hemisphere, numbers), found in _fit(plan, missing, responses):
            known[hemisphere, numbers] = found
            arrays = {name: getattr(found, name) for name in FIELDS}
            spaces = [plan.design.band_names[n] for n in numbers]
            key = plan.key(responses[hemisphere], numbers)
            meta = {"kind": "ablation", "spaces": spaces, "key": key, "provenance": provenance()}
            write_artifact(plan.path(hemisphere, key), arrays, meta)
    return known


def _fit(
    plan: Plan, missing: Sequence[Fit], responses: dict[str, str]
) -> Iterator[tuple[Fit, Scores]]:
    """Fit subset after subset: one decomposition serves all vertices of both hemispheres."""
    name = f"subj{plan.subject.name}"
    ablation = Ablation(plan.design, plan.folder.parent / "moments" / name, **plan.settings)
    held = np.flatnonzero(ablation.held)
    batches = {}
    check_values([plan.subject])
    for hemisphere in dict.fromkeys(hemisphere for hemisphere, _ in missing):
        batches[hemisphere] = ablation.batches(plan.subject, hemisphere, responses[hemisphere])
        primal = [n for h, n in missing if h == hemisphere and not ablation.is_dual(n)]
        spaces = sorted({number for numbers in primal for number in numbers})
        ablation.stored.complete(batches[hemisphere], spaces, f"{name} {hemisphere}")
    with progress(total=len(missing), desc=name, unit="fit") as bar:
        for numbers in dict.fromkeys(numbers for _, numbers in missing):
            form = ablation.form(numbers)
            for hemisphere in [h for h, n in missing if n == numbers]:
                measured = plan.subject.responses(hemisphere)
                parts = [
                    ablation.fit(form, numbers, batch, np.array(measured[held, batch.vertices]))
                    for batch in batches[hemisphere]
                ]
                bar.update()
                yield (
                    (hemisphere, numbers),
                    Scores(
                        *(
                            np.concatenate([getattr(p, field) for p in parts], -1)
                            for field in FIELDS
                        )
                    ),
                )


def _contributions(
    spaces: Sequence[str],
    scores: Mapping[Fit, Scores],
    hemisphere: str,
    vertices: NDArray[np.int64],
) -> dict[str, float]:
    """Partition the whole set's R^2; what was not fitted is left out."""
    everything = tuple(range(len(spaces)))
    whole = scores[hemisphere, everything]
    full = float(whole.r2[vertices].mean())
    found: dict[str, float] = {}
    for number, name in enumerate(spaces):
        without = tuple(n for n in everything if n != number)
        if (hemisphere, without) in scores:
            found[f"unique:{name}"] = full - float(scores[hemisphere, without].r2[vertices].mean())
    if len(found) == len(spaces) > 1:
        found["shared"] = full - sum(found.values())
    for number, name in enumerate(spaces):
        found[f"product:{name}"] = float(whole.product[number][vertices].mean())
    return found

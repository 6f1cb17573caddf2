"""The ablation of one subject: fit the subsets whose scores are missing, and save them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from base import progress, provenance, say, sha256_files
from cache import CacheError, digest, read_artifact, write_artifact
from challenge import HEMISPHERES, Subject
from challenge.dataset import check_values
from regress.ablation.left_out_pictures import Parts, hemisphere_parts
from regress.ablation.subsets import Ablation, Scores, Subset
from regress.data.design import Design
from regress.linear_model import ALPHAS

FIELDS = tuple(field.name for field in fields(Scores))
# A hemisphere and a subset.
Fit = tuple[str, Subset]


@dataclass(frozen=True)
class Plan:
    """The plan of one subject's ablation.

    Attributes
    ----------
    subject : Subject
        The subject.
    design : Design
        Features of the subject's pictures.
    subsets : sequence of tuple of int
        The subsets, as numbers of spaces; the last is the whole set.
    settings : dict
        The parameters `heldout`, `folds` and `seed` of `Ablation`.
    folder : Path
        The folder of the scores, `derivatives/ablations`.
    split : str
        The pictures to score: "heldout" or "test".
    """

    subject: Subject
    design: Design
    subsets: Sequence[Subset]
    settings: dict[str, Any]
    folder: Path
    split: str = "heldout"

    @cached_property
    def data(self) -> dict[str, dict[str, Any]]:
        """For each hemisphere, digests of the data that the scores depend on, and the split."""
        splits = {"responses": "train"}
        if self.split == "test":
            splits["test_responses"] = "test"
        sides = [(h, name, split) for h in HEMISPHERES for name, split in splits.items()]
        files = [Path(str(self.subject.responses(h, split).filename)) for h, _, split in sides]
        digests: dict[str, dict[str, Any]] = {h: {} for h in HEMISPHERES}
        for (h, name, _), sha256 in zip(sides, sha256_files(files), strict=True):
            digests[h][name] = sha256
        masks = digest(self.subject.mask_digests())
        for files_digests in digests.values():
            files_digests |= {"split": self.split, "masks": masks}
        return digests

    def key(self, hemisphere: str, numbers: Subset) -> dict[str, Any]:
        """Return all that the scores of a subset depend on; other spaces are no part of it."""
        return {
            "schema": 2,
            "spaces": [self.design.band_keys[n] for n in numbers],
            "pictures": self.design.pictures_digest,
            "alphas": list(ALPHAS),
            **self.data[hemisphere],
            **self.settings,
        }

    def path(self, hemisphere: str, numbers: Subset) -> Path:
        """Return the file of a subset's scores."""
        name = f"{hemisphere}-{digest(self.key(hemisphere, numbers))}.h5"
        return self.folder / f"subj{self.subject.name}" / name


def ablate_subject(plan: Plan) -> dict[str, list[str]]:
    """Fit and save the missing subsets; return each hemisphere's files, in the subsets' order."""
    fits = [(hemisphere, numbers) for hemisphere in HEMISPHERES for numbers in plan.subsets]
    missing = [fit for fit in fits if not _is_readable(plan.path(*fit))]
    say(
        f"subj{plan.subject.name}: {len(plan.subsets)} subsets x 2 hemispheres, "
        f"{len(fits) - len(missing)} fits there already, {len(missing)} to fit"
    )
    if missing:
        for (hemisphere, numbers), arrays, names in _fit(plan, missing):
            spaces = [plan.design.band_names[n] for n in numbers]
            meta = {"kind": "ablation", "spaces": spaces, "parts": names,
                    "key": plan.key(hemisphere, numbers), "provenance": provenance()}  # fmt: skip
            write_artifact(plan.path(hemisphere, numbers), arrays, meta)
    files = {}
    for hemisphere in HEMISPHERES:
        files[hemisphere] = [plan.path(hemisphere, numbers).name for numbers in plan.subsets]
    return files


def _is_readable(path: Path) -> bool:
    if not path.exists():
        return False
    try:
        read_artifact(path)
    except CacheError as error:
        say(f"{error}; it is fitted again")
        return False
    return True


def _fit(
    plan: Plan, missing: Sequence[Fit]
) -> Iterator[tuple[Fit, Mapping[str, NDArray[Any]], list[list[Any]]]]:
    """Fit the missing subsets; one decomposition serves all vertices of both hemispheres."""
    name = f"subj{plan.subject.name}"
    moments = plan.folder.parent / "moments" / name
    ablation = Ablation(plan.design, moments, **plan.settings, split=plan.split)
    batches, parts = {}, {}
    check_values([plan.subject])
    for hemisphere in dict.fromkeys(hemisphere for hemisphere, _ in missing):
        parts[hemisphere] = hemisphere_parts(plan.subject, hemisphere)
        responses = plan.data[hemisphere]["responses"]
        batches[hemisphere] = ablation.batches(plan.subject, hemisphere, responses)
        primal = [n for h, n in missing if h == hemisphere and not ablation.is_dual(n)]
        spaces = sorted({number for numbers in primal for number in numbers})
        ablation.stored.complete(batches[hemisphere], spaces, f"{name} {hemisphere}")
        if plan.split == "test":
            plan.subject.check_finite(hemisphere, "test")
    pictures = np.array(sorted(set(ablation.pictures)), "S64")
    with progress(total=len(missing), desc=name, unit="fit") as bar:
        for numbers in dict.fromkeys(numbers for _, numbers in missing):
            form = ablation.form(numbers)
            for hemisphere in [h for h, n in missing if n == numbers]:
                measured_file = plan.subject.responses(
                    hemisphere, "test" if plan.split == "test" else "train"
                )
                scores = []
                for batch in batches[hemisphere]:
                    measured = np.array(measured_file[ablation.rows, batch.vertices], np.float32)
                    fitted = ablation.fit(form, numbers, batch, measured)
                    scores.append(_sum_parts(fitted, parts[hemisphere], batch.vertices.start))
                bar.update()
                arrays = _join_batches(scores) | {"pictures": pictures}
                yield (hemisphere, numbers), arrays, _describe_parts(parts[hemisphere])


def _sum_parts(scores: Scores, parts: Parts, first: int) -> dict[str, NDArray[Any]]:
    arrays = {name: getattr(scores, name) for name in FIELDS}
    return arrays | {"left_out": parts.sums(scores.left_out, first)}


def _join_batches(batches: Sequence[Mapping[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    """Join the scores of batches of vertices; add `left_out`, which is summed over vertices."""
    joined = {}
    for name in FIELDS:
        parts = [batch[name] for batch in batches]
        joined[name] = np.sum(parts, axis=0) if name == "left_out" else np.concatenate(parts, -1)
    return joined


def _describe_parts(parts: Parts) -> list[list[Any]]:
    pairs = zip(parts.names, parts.vertices, strict=True)
    return [[*names, len(vertices)] for names, vertices in pairs]

"""The fits of stage 2: find them by name and read their predictions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from base import nearest, run_hint
from cache import (
    digest,
    find_fits,
    fit_folders,
    read_artifact,
    read_fit_name,
    read_meta,
)
from evaluate.errors import EvaluateError
from evaluate.fits.run_differences import differences

FIELDS = (
    "digest",
    "hemisphere",
    "model",
    "responses",
    "roi",
    "roi_class",
    "spaces",
    "subject",
    "untrained",
)
# Digits of the digest in the label of a fit without a name.
LABEL_DIGITS = 6

# Defaults of the arguments of a fit that no make variable sets.
RARE = {"heldout": 0.1, "folds": 5, "seed": 0}


@dataclass(frozen=True)
class RoiModel:
    """The fitted model of one ROI, hemisphere and subject.

    Attributes
    ----------
    path : Path
        The model's file.
    meta : dict
        The meta that stage 2 wrote to the file.
    """

    path: Path
    meta: dict[str, Any]

    @property
    def run(self) -> str:
        """The name of the run's folder, `<model>-<digest>`."""
        return self.path.parent.parent.name

    @property
    def roi_class(self) -> str:
        """The class of its ROI, or "residual"."""
        return str(self.meta["roi_class"])

    @property
    def roi(self) -> str:
        """The name of its ROI, or "residual"."""
        return str(self.meta["roi"])

    @property
    def fit_command(self) -> str:
        """The command that repeats this fit."""
        settings = self.meta.get("settings") or {}
        joint_subjects = settings.get("subjects")
        subject_options = (
            {"subjects": joint_subjects} if joint_subjects else {"subject": self.meta["subject"]}
        )
        options = {name: settings.get(name) for name in ("group_by", "images")}
        options["params"] = settings.get("parameters")
        rare = {n: settings[n] for n, usual in RARE.items() if settings.get(n, usual) != usual}
        # Arguments that no make variable sets need the command itself, with its flags.
        folders = {"data": None, "out": None} if rare else {}
        model, spaces = self.meta["model"], self.meta["spaces"]
        name = "regress" if rare else "fit"
        return run_hint(
            name, **subject_options, model=model, spaces=spaces, **options, **rare, **folders
        )

    def read(self, *names: str) -> dict[str, NDArray[Any]]:
        """Read the named arrays of the file and verify their checksums."""
        return read_artifact(self.path, names)[0]

    def predictions(self, split: str) -> NDArray[np.float32]:
        """Read the predictions of a split: (n_images, n_roi_vertices), float32, finite."""
        name = f"{split}_predictions"
        predicted = self.read(name)[name]
        if not np.isfinite(predicted).all():
            raise EvaluateError(
                f"{self.path}: {name} has NaN or infinity: remove the file and run "
                f"{self.fit_command} again"
            )
        return predicted


@dataclass(frozen=True)
class Run:
    """All ROI models that were fitted with the same settings.

    Attributes
    ----------
    name : str
        The folder, `<model>-<digest>`.
    label : str
        The name in tables: that of `make fit NAME=…`, else the beginning of the folder's name. It
        does not depend on other runs.
    model : str
        The model's name.
    spaces : tuple of str
        The feature spaces.
    untrained : frozenset of str
        Feature spaces of networks with random weights.
    models : tuple of RoiModel
        The ROI models of all subjects and hemispheres.
    differs : str
        The settings in which it differs from runs of the same model and spaces, if there are any.
    """

    name: str
    label: str
    model: str
    spaces: tuple[str, ...]
    untrained: frozenset[str]
    models: tuple[RoiModel, ...]
    differs: str = ""

    @property
    def joined(self) -> str:
        """The spaces joined by "+", as in the column `spaces` of scores.csv."""
        return "+".join(self.spaces)

    @property
    def title(self) -> str:
        """The label with the model and its spaces."""
        return describe_fit(self.label, self.model, self.joined)

    @property
    def subjects(self) -> list[str]:
        """The sorted subjects that have models of this run, such as "01"."""
        return sorted({str(model.meta["subject"]) for model in self.models})


def describe_fit(label: str, model: str, spaces: str) -> str:
    """Return the label and the spaces, with the model where the label does not name it."""
    return f"{label} ({spaces if label.startswith(f'{model}-') else f'{model}, {spaces}'})"


def find_runs(
    out: Path, names: Sequence[str] | None = None, subjects: Sequence[str] | None = None
) -> list[Run]:
    """Find the fits under an output folder.

    Parameters
    ----------
    names : sequence of str, optional
        Names of fits, or beginnings of their folders' names (`ridge`, `ridge-3f`); all by default.
    subjects : sequence of str, optional
        Subjects such as "01"; all by default.
    """
    root = out / "fits"
    folders = _find_folders(root, names) if names else fit_folders(root)
    models_by_folder = [(folder, _load_models(folder, subjects)) for folder in folders]
    runs = [_build_run(folder, models) for folder, models in models_by_folder if models]
    if not runs:
        of_subjects = f" of subject {', '.join(subjects)}" if subjects else ""
        raise EvaluateError(
            f"no fits{of_subjects} under {root}: run `{run_hint('features', out=out)}` and "
            f"`{run_hint('fit', subject=subjects, out=out)}` first, or name the folder with --out"
        )
    runs_by_spaces = defaultdict(list)
    for run in runs:
        runs_by_spaces[run.model, run.spaces].append(run)
    runs = [run for alike in runs_by_spaces.values() for run in _with_differences(alike)]
    return sorted(
        runs, key=lambda run: (len(run.spaces), len(run.model), run.model, run.spaces, run.name)
    )


def _find_folders(root: Path, names: Sequence[str]) -> list[Path]:
    """Find the folders that names or beginnings of names stand for."""
    folders_by_name = {name: find_fits(root, name) for name in names}
    if unknown := [name for name, folders in folders_by_name.items() if not folders]:
        existing = fit_folders(root)
        listing = ", ".join(map(_describe_folder, existing)) or "none"
        folders = [folder.name for folder in existing]
        beginnings = {name[: len(unknown[0]) + 1] for name in folders}
        fit_names = {name for name in map(read_fit_name, existing) if name}
        raise EvaluateError(
            f"no fits named {', '.join(unknown)}: there are {listing}"
            f"{nearest(unknown[0], sorted(beginnings | fit_names | set(folders)))}"
        )
    return sorted({folder for folders in folders_by_name.values() for folder in folders})


def _describe_folder(folder: Path) -> str:
    name = read_fit_name(folder)
    return f"{name} ({folder.name})" if name else folder.name


def _load_models(folder: Path, subjects: Sequence[str] | None) -> tuple[RoiModel, ...]:
    """Read the meta of the ROI models of a fit and check that it has all fields."""
    models = []
    for path in sorted(folder.glob("subj*/*.h5")):
        is_selected = subjects is None or path.parent.name.removeprefix("subj") in subjects
        if not is_selected or path.name.startswith("."):
            continue
        meta = read_meta(path)
        absent = [field for field in FIELDS if field not in meta]
        if meta.get("kind") != "fit" or absent:
            fault = f"lacks {', '.join(absent)}" if absent else f"of kind {meta.get('kind')!r}"
            raise EvaluateError(
                f"{path}: is not a fit ({fault}): remove it and run {run_hint('fit')} again"
            )
        models.append(RoiModel(path, meta))
    return tuple(models)


def _with_differences(alike: Sequence[Run]) -> Sequence[Run]:
    """Return runs of the same model and spaces with `differs` set."""
    if len(alike) == 1:
        return alike
    texts = differences([run.models[0].meta for run in alike])
    return [replace(run, differs=differs) for run, differs in zip(alike, texts, strict=True)]


def _build_run(folder: Path, models: tuple[RoiModel, ...]) -> Run:
    meta = models[0].meta
    model, digest = str(meta["model"]), str(meta["digest"])
    return Run(
        name=folder.name,
        label=read_fit_name(folder) or f"{model}-{digest[:LABEL_DIGITS]}",
        model=model,
        spaces=tuple(meta["spaces"]),
        untrained=frozenset(space for m in models for space in m.meta["untrained"]),
        models=models,
    )


ENSEMBLE = "ensemble"


def fits_digest(models: Sequence[RoiModel]) -> str:
    """Digest the file names and meta of models; changes if one is refitted, added or removed."""
    return digest({model.path.name: digest(model.meta) for model in models})

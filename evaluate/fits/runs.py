"""The fits of stage 2: find them by name and read their predictions."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from base import nearest, run_hint
from cache import digest, find_fits, fit_folders, read_artifact, read_fit_name
from cache.records import FitRecord, load_record
from evaluate.arrays import Array, Singles
from evaluate.errors import EvaluateError
from evaluate.fits.run_differences import differences
from evaluate.fits.run_labels import ENSEMBLE, FitLabel, describe_fit, make_label

# Defaults of the arguments of a fit that no make variable sets.
RARE = {"heldout": 0.1, "folds": 5, "seed": 0}


@dataclass(frozen=True)
class RoiModel:
    """The fitted model of one ROI, hemisphere and subject: its file and record."""

    path: Path
    meta: FitRecord

    @property
    def run(self) -> str:
        """The name of the run's folder, `<model>-<digest>`."""
        return self.path.parent.parent.name

    @property
    def roi_class(self) -> str:
        """The class of its ROI, or "residual"."""
        return self.meta["roi_class"]

    @property
    def roi(self) -> str:
        """The name of its ROI, or "residual"."""
        return self.meta["roi"]

    @property
    def roi_key(self) -> tuple[str, str]:
        """The class and the name of its ROI."""
        return self.roi_class, self.roi

    @property
    def fit_command(self) -> str:
        """The command that repeats this fit."""
        settings: dict[str, Any] = dict(self.meta.get("settings") or {})
        options = {
            "model": self.meta["model"],
            "spaces": self.meta["spaces"],
            **{name: settings.get(name) for name in ("group_by", "images")},
            "params": settings.get("parameters"),
        }
        # Arguments that no make variable sets need the command itself, with its flags.
        rare = {n: settings[n] for n, usual in RARE.items() if settings.get(n, usual) != usual}
        folders = {"data": None, "out": None} if rare else {}
        joint = settings.get("subjects")
        subjects = {"subjects": joint} if joint else {"subject": self.meta["subject"]}
        return run_hint("regress" if rare else "fit", **subjects, **options, **rare, **folders)

    def read(self, *names: str) -> dict[str, Array]:
        """Read the named arrays of the file and verify their checksums."""
        return read_artifact(self.path, names)[0]

    def predictions(self, split: str) -> Singles:
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
    """All ROI models that were fitted with the same settings."""

    name: str  # the folder, `<model>-<digest>`
    label: str  # in tables; does not depend on other runs
    model: str
    spaces: tuple[str, ...]
    untrained: frozenset[str]  # spaces of networks with random weights
    models: tuple[RoiModel, ...]  # of all subjects and hemispheres
    differs: str = ""  # settings in which it differs from runs of the same model and spaces

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
        return sorted({model.meta["subject"] for model in self.models})

    def models_of(self, subject: str = "all", hemisphere: str = "all") -> list[RoiModel]:
        """Return the models of a subject and hemisphere, or of all."""
        return [
            model
            for model in self.models
            if subject in ("all", model.meta["subject"])
            and hemisphere in ("all", model.meta["hemisphere"])
        ]


def find_runs(
    out: Path, names: Sequence[str] | None = None, subjects: Sequence[str] | None = None
) -> list[Run]:
    """Find the fits under an output folder.

    `names` are those of fits, or beginnings of their folders' names (`ridge`, `ridge-3f`), and
    `subjects` are such as "01"; all by default.
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
        existing = {folder.name: read_fit_name(folder) for folder in fit_folders(root)}
        texts = [f"{name} ({folder})" if name else folder for folder, name in existing.items()]
        beginnings = {folder[: len(unknown[0]) + 1] for folder in existing}
        candidates = sorted(beginnings | set(filter(None, existing.values())) | set(existing))
        raise EvaluateError(
            f"no fits named {', '.join(unknown)}: there are {', '.join(texts) or 'none'}"
            f"{nearest(unknown[0], candidates)}"
        )
    return sorted({folder for folders in folders_by_name.values() for folder in folders})


def _load_models(folder: Path, subjects: Sequence[str] | None) -> tuple[RoiModel, ...]:
    """Load the records of the ROI models of a fit."""
    fix = f"remove it and run {run_hint('fit')} again"
    return tuple(
        RoiModel(path, load_record(FitRecord, path, fix))
        for path in sorted(folder.glob("subj*/[!.]*.h5"))
        if subjects is None or path.parent.name.removeprefix("subj") in subjects
    )


def _with_differences(alike: Sequence[Run]) -> Sequence[Run]:
    """Return runs of the same model and spaces with `differs` set."""
    if len(alike) == 1:
        return alike
    texts = differences([run.models[0].meta for run in alike])
    return [replace(run, differs=differs) for run, differs in zip(alike, texts, strict=True)]


def _build_run(folder: Path, models: tuple[RoiModel, ...]) -> Run:
    meta = models[0].meta
    return Run(
        name=folder.name,
        label=make_label(read_fit_name(folder), meta["model"], meta["digest"]),
        model=meta["model"],
        spaces=tuple(meta["spaces"]),
        untrained=frozenset(space for m in models for space in m.meta["untrained"]),
        models=models,
    )


def label_fits(runs: Sequence[Run]) -> dict[str, FitLabel]:
    """Return the labels by the name of the fit's folder, and of "ensemble"."""
    labels = {run.name: FitLabel(run.name, run.label, run.model, run.joined) for run in runs}
    spaces = sorted({space for run in runs for space in run.spaces})
    return labels | {ENSEMBLE: FitLabel(ENSEMBLE, ENSEMBLE, ENSEMBLE, "+".join(spaces))}


def fits_digest(models: Sequence[RoiModel]) -> str:
    """Digest the file names and records of models; changes if one is refitted or removed."""
    return digest({model.path.name: digest(model.meta) for model in models})

"""Settings, features and folder of the models of one subject."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cache import digest
from challenge import Roi, Subject
from regress.data.design import Design
from regress.encoding_model import Encoder


@dataclass(frozen=True)
class Settings:
    """Everything besides the data that changes the numbers of a fit.

    Attributes
    ----------
    model : str
        Name of a file in `regress/models`.
    parameters : dict
        The estimator's parameters that the user set.
    heldout : float
        The share of training pictures that are held out to score the model.
    folds : int
        Folds of the cross-validation within the other pictures.
    seed : int
        Seed of the held-out pictures and of the folds.
    group_by : str
        The grouping of vertices that choose or train together, a key of `GROUPINGS`.
    subjects : tuple of str
        Subjects that are trained together; empty where each subject is fitted alone.
    images : int, optional
        Number of training pictures that are fitted on; all by default.
    start : str
        A digest of the fit that the training begins from; empty where there is none.
    defaults : dict
        The estimator's other parameters: a version with other defaults makes another fit.
    """

    model: str
    parameters: dict[str, Any]
    heldout: float
    folds: int
    seed: int
    group_by: str = "roi"
    subjects: tuple[str, ...] = ()
    images: int | None = None
    start: str = ""
    defaults: dict[str, Any] = field(default_factory=dict)

    def digest(self, keys: Mapping[str, str]) -> str:
        """Return a digest of the settings and the features' keys, in the order of the columns."""
        fields = self.as_dict() | {"parameters": self.defaults | self.parameters}
        del fields["defaults"]
        return digest({"schema": 2, **fields, "spaces": list(keys.values())})

    def as_dict(self) -> dict[str, Any]:
        """Return the settings for JSON.

        Fields that the first fits did not have are left out at the values that those fits used, so
        that their digests stay valid.
        """
        original = {"group_by": "roi", "subjects": (), "images": None, "start": ""}
        fields = {n: v for n, v in vars(self).items() if n not in original or v != original[n]}
        return fields | ({"subjects": list(self.subjects)} if self.subjects else {})


@dataclass(frozen=True)
class Job:
    """The fit of one subject's models, which share features, settings and splits.

    Attributes
    ----------
    subject : Subject
        The subject.
    design : Design
        Features of the subject's pictures.
    settings : Settings
        Everything besides the data that changes the numbers.
    estimator : Encoder
        The unfitted model, of which copies are fitted.
    folder : Path
        The folder of the fit, `fits/<model>-<digest>`.
    """

    subject: Subject
    design: Design
    settings: Settings
    estimator: Encoder
    folder: Path

    @property
    def subject_label(self) -> str:
        """The subjects trained together, as in names of files: "subj01" or "subj01+02"."""
        return f"subj{'+'.join(self.settings.subjects or (self.subject.name,))}"

    @property
    def grouping(self) -> str | None:
        """The grouping of vertices; None where the model chooses for each vertex alone."""
        scope = self.estimator.get_params().get("scope", "vertex")
        return None if isinstance(scope, str) and scope == "vertex" else self.settings.group_by

    def path(self, roi: Roi) -> Path:
        """Return the file of an ROI's model."""
        return self.folder / f"subj{self.subject.name}" / f"{roi.hemisphere}.{roi.name}.h5"

    def checkpoint(self, span: str, start: int) -> Path:
        """Return the file of an unfinished search on the columns of a span from `start` on."""
        return self._sibling_folder("searches") / f"{self.subject_label}.{span}.{start}.h5"

    def log(self, span: str, start: int) -> Path:
        """Return the file of a training's log."""
        return self._sibling_folder("logs") / f"{self.subject_label}.{span}.{start}.csv"

    def claim(self, span: Sequence[str]) -> Path:
        """Return the file with which a process claims the fit of a span."""
        return self._sibling_folder("claims") / f"{self.subject_label}.{'+'.join(span)}"

    def _sibling_folder(self, kind: str) -> Path:
        return self.folder.parent.parent / kind / self.folder.name

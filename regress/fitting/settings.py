"""What is to be fitted: settings, features and folder of the models of one subject."""

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
    """What of a fit changes its numbers, besides the data.

    Attributes
    ----------
    model : str
        A file in `regress/models`.
    parameters : dict
        The estimator's own.
    heldout : float
        The share of training pictures that the model is judged on.
    folds : int
        Folds of the cross-validation within the others.
    seed : int
        Of the split and the folds.
    group_by : str
        Whose vertices choose or train together.
    subjects : tuple of str
        Who are trained together; none where each subject is fitted alone.
    images : int, optional
        How many training pictures are fitted on; all by default.
    start : str
        A digest of the fit that the training begins from; empty where it begins from none.
    defaults : dict
        The estimator's other parameters, as this version has them: a version that has others makes
        another fit.
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
        """Digest the settings with the features they are used on.

        Parameters
        ----------
        keys : mapping of str to str
            The digest of each space's key, by its name, in the order of the columns.

        Returns
        -------
        str
            Sixteen hexadecimal digits.
        """
        fields = self.as_dict() | {"parameters": self.defaults | self.parameters}
        del fields["defaults"]
        return digest({"schema": 2, **fields, "spaces": list(keys.values())})

    def as_dict(self) -> dict[str, Any]:
        """Give the settings as JSON can hold them.

        Returns
        -------
        dict
            All fields; those that fits did not have at first where they are not what these were,
            so that those are known again.
        """
        usual = {"group_by": "roi", "subjects": (), "images": None, "start": ""}
        fields = {n: v for n, v in vars(self).items() if n not in usual or v != usual[n]}
        return fields | ({"subjects": list(self.subjects)} if self.subjects else {})


@dataclass(frozen=True)
class Job:
    """The models of one subject that share features, settings and splits.

    Attributes
    ----------
    subject : Subject
        The subject.
    design : Design
        Its features.
    settings : Settings
        The settings.
    estimator : Encoder
        Unfitted; a copy of it is fitted.
    folder : Path
        `fits/<model>-<digest>`.
    """

    subject: Subject
    design: Design
    settings: Settings
    estimator: Encoder
    folder: Path

    @property
    def whom(self) -> str:
        """Who is fitted in one go, as in names of files: "subj01", or "subj01+02"."""
        return f"subj{'+'.join(self.settings.subjects or (self.subject.name,))}"

    @property
    def grouping(self) -> str | None:
        """Whose vertices choose together; None where the model chooses for each alone."""
        scope = self.estimator.get_params().get("scope", "vertex")
        return None if isinstance(scope, str) and scope == "vertex" else self.settings.group_by

    def path(self, roi: Roi) -> Path:
        """Say where an ROI's model is saved."""
        return self.folder / f"subj{self.subject.name}" / f"{roi.hemisphere}.{roi.name}.h5"

    def checkpoint(self, span: str, start: int) -> Path:
        """Say where a search that is not yet done is kept.

        Parameters
        ----------
        span : str
            The hemispheres that are fitted in one go, "lh", "rh" or "lh+rh".
        """
        return self._beside("searches") / f"{self.whom}.{span}.{start}.h5"

    def log(self, span: str, start: int) -> Path:
        """Say where the log of a training is written."""
        return self._beside("logs") / f"{self.whom}.{span}.{start}.csv"

    def claim(self, span: Sequence[str]) -> Path:
        """Say where it stands who fits now."""
        return self._beside("claims") / f"{self.whom}.{'+'.join(span)}"

    def _beside(self, kind: str) -> Path:
        return self.folder.parent.parent / kind / self.folder.name

"""What is to be fitted: settings, features and folder of the models of one subject."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cache import digest
from challenge import Roi, Subject
from regress.design import Design
from regress.linear import LinearModel


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
    """

    model: str
    parameters: dict[str, Any]
    heldout: float
    folds: int
    seed: int

    def digest(self, design: Design) -> str:
        """Digest the settings with the features they are used on.

        Parameters
        ----------
        design : Design
            The features.

        Returns
        -------
        str
            Sixteen hexadecimal digits.
        """
        # The order of the spaces is that of the columns.
        return digest({"schema": 1, **self.as_dict(), "spaces": list(design.keys.values())})

    def as_dict(self) -> dict[str, Any]:
        """Give the settings as JSON can hold them.

        Returns
        -------
        dict
            All fields.
        """
        return dict(vars(self))


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
    estimator : LinearModel
        Unfitted; its folds are set here.
    folder : Path
        `fits/<model>-<digest>`.
    """

    subject: Subject
    design: Design
    settings: Settings
    estimator: LinearModel
    folder: Path

    def path(self, roi: Roi) -> Path:
        """Say where an ROI's model is saved.

        Parameters
        ----------
        roi : Roi
            The region.

        Returns
        -------
        Path
            `fits/<model>-<digest>/subj01/lh.V1v.h5`.
        """
        return self.folder / f"subj{self.subject.name}" / f"{roi.hemisphere}.{roi.name}.h5"

    def checkpoint(self, hemisphere: str, start: int) -> Path:
        """Say where a search that is not yet done is kept.

        Parameters
        ----------
        hemisphere : str
            "lh" or "rh".
        start : int
            The first column of the batch.

        Returns
        -------
        Path
            `searches/<model>-<digest>/subj01.lh.0.h5`.
        """
        folder = self.folder.parent.parent / "searches" / self.folder.name
        return folder / f"subj{self.subject.name}.{hemisphere}.{start}.h5"
